"""What score tests need of an angle: residual, columns of the fit and noise, frames merged.

Frames are merged into blocks where there are many.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.score_tests import AngleScores, angle_scores
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.objective.build import free_names
from homodyne_cli.core.objective.scaling import scaling_groups
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import Convention, names_of
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import Solution

#: Frames, or blocks of them, that patterns are taken over.
_MOST = 320
#: Rows of a map that are merged at once.
_BAND = 64


@dataclass(frozen=True)
class FittedModel:
    """What was fitted, as far as the tests need it.

    Attributes
    ----------
    curves
        At the solution.
    contrast
        (n_phi,).
    convention
        Of the model.
    free
        Places of the free parameters in table order.
    groups
        (n_phi,) which contrast and offset an angle has.
    """

    curves: ModelCurves
    contrast: FloatArray
    convention: Convention
    free: tuple[int, ...]
    groups: IndexArray

    @classmethod
    def of(cls, dataset: Dataset, problem: FitProblem, solution: Solution) -> FittedModel:
        """Evaluate a solution."""
        convention, table = problem.convention, names_of(problem.mode)
        curves = model_curves(
            dataset.t, dataset.phi, dataset.q, dataset.gap, solution.vector, convention
        )
        free = tuple(table.index(name) for name in free_names(problem))
        mode = problem.per_angle_mode
        # What a smooth series leaves free is near to what single angles do.
        own = mode in ("individual", "shared")
        groups = scaling_groups(
            mode if own else "individual", dataset.rows, problem.per_repeat_mode
        )
        return cls(curves, solution.contrast, convention, free, groups)


@dataclass(frozen=True)
class MergedFrames:
    """Frames merged into blocks of `size`; the last frames that fill no block are left out."""

    size: int
    t: FloatArray

    @classmethod
    def of(cls, t: FloatArray, most: int = _MOST) -> MergedFrames:
        """Merge as many as leave at most so many blocks."""
        size = -(-len(t) // most)
        return cls(size, t[: len(t) // size * size].reshape(-1, size).mean(axis=1))

    def curve(self, values: FloatArray) -> FloatArray:
        """Average vectors over the frames (..., n) over the blocks."""
        m = len(self.t)
        part = values[..., : m * self.size]
        return np.asarray(part.reshape(*values.shape[:-1], m, self.size).mean(axis=-1))

    def curves(self, curves: ModelCurves) -> ModelCurves:
        """Average a model's curves."""
        return ModelCurves(
            self.curve(curves.transport),
            self.curve(curves.transport_slopes),
            self.curve(curves.strain),
            self.curve(curves.strain_slopes),
            curves.q,
            curves.kappa,
            curves.kappa_slope,
        )


@dataclass(frozen=True)
class AngleMaps:
    """One angle over m blocks of frames.

    Attributes
    ----------
    pairs
        The model.
    residual
        (m, m) data less fit, symmetric, zero where there are no data.
    columns, places
        (p + 2, m, m) derivatives by all parameters, f and 1; which of them the fit has free (k,),
        and (k,) which unknown of the fit each of these is.
    covariance
        Of one speckle's noise.
    share
        Speckles of the angle over M.
    """

    pairs: PairModel
    residual: FloatArray
    columns: FloatArray
    free: IndexArray
    places: IndexArray
    covariance: SpeckleCovariance
    share: float

    def scores(self, patterns: FloatArray) -> AngleScores:
        """Return the scores of patterns (b, m, m)."""
        chosen = self.columns[self.free]
        scores = angle_scores(self.covariance, self.residual, chosen, patterns, self.places)
        return scores.times(self.share)


def angle_maps(
    residuals: Residuals,
    model: FittedModel,
    noise: SpeckleEstimate,
    merged: MergedFrames,
    angle: int,
) -> AngleMaps:
    """Prepare one angle."""
    residual, present = _merged_residual(residuals, merged, angle)
    curves = merged.curves(model.curves)
    pairs = pair_model(curves, angle, model.convention)
    contrast = float(model.contrast[angle])
    covariance = _covariance(pairs, contrast, noise, merged, angle, present)
    columns = angle_columns(pairs, curves, angle, contrast)
    p, n_free = len(columns) - 2, len(model.free)
    scaling = n_free + 2 * int(model.groups[angle])
    places = np.array([*range(n_free), scaling, scaling + 1])
    free = np.array([*model.free, p, p + 1])
    share = float(noise.share[angle])
    return AngleMaps(pairs, residual, columns, free, places, covariance, share)


def _covariance(
    pairs: PairModel,
    contrast: float,
    noise: SpeckleEstimate,
    merged: MergedFrames,
    angle: int,
    present: FloatArray,
) -> SpeckleCovariance:
    frames = np.arange(len(merged.t))
    g1 = pairs.g1(frames[:, None], frames)
    contrast = min(max(contrast, 1e-6), 1.0)
    photon_noise = float(noise.photon_noise[angle]) / merged.size
    return SpeckleCovariance(g1, contrast, photon_noise, min(noise.modes, 1.0 / contrast), present)


def _merged_residual(
    residuals: Residuals, merged: MergedFrames, angle: int
) -> tuple[FloatArray, FloatArray]:
    """Return means over blocks of frames (m, m), symmetric, and where there are any pairs."""
    m, size = len(merged.t), merged.size
    total, count = np.zeros((2, m, m))
    n = residuals.dataset.n_frames
    # A band of one block has little to do beside what a call costs.
    for band in residuals.bands(angle, np.arange(0, n, max(_BAND // size, 1) * size)):
        row = band.first // size
        rows = min(len(band.keep) // size, m - row)
        if rows < 1:
            break
        for sums, part in ((total, band.residual), (count, band.keep.astype(float))):
            blocks = part[: rows * size, : (m - row) * size].reshape(rows, size, -1, size)
            sums[row : row + rows, row:] = blocks.sum(axis=(1, 3))
    mean = np.triu(total / np.maximum(count, 1.0), 1)
    # A block of which much is missing is noisier than its place says.
    present = np.triu(count > 0.5 * size**2, 1).astype(float)
    mean *= present
    return mean + mean.T, present + present.T
