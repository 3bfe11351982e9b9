r"""Generalised least squares: chi2 with the inverse of the noise covariance as its weight.

    chi2(x) = sum over angles of scale_a <R(x), C0^-1 R(x)>

with R the residual map, C0 the main part of the covariance of one speckle at a reference point,
and the scale M over what the whole of C gives a pair on average, so that chi2 is expected to be the
number of pairs. C0 is held while chi2 is minimised. Its inverse stands for that of C: estimates
lose less than 2% of their precision (docs/uncertainties.md), and no system has to be solved. What
the whole of C, the 4-cycle included, does to the estimates is in `scores`.

Contrast and offset enter as in any fit, so the rest is `projection`'s: this objective differs from
the ordinary one in its Gram matrices alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import AngleGrams
from homodyne_cli.core.maps.map_threads import map_threads
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.noise.angle_data import AngleData, angle_data, sparse_data
from homodyne_cli.core.noise.weighed_angle import (
    AngleNoise,
    AngleScoreSums,
    WeighedAngle,
    weigh_angle,
)
from homodyne_cli.core.numerics.arrow import Arrow, invert
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection, project
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.noise_report import SpeckleWeights
from homodyne_cli.parameters import Convention

#: Frames or blocks of an angle, and their squares over all angles: time and memory of a pass.
_MOST_BLOCKS, _MOST_SQUARES = 1200, 30_000_000
#: Angles of maps on disk that are worked on together: a fifth of a gigabyte of products each.
_ANGLES_AT_ONCE = 3
#: Frames with which a minimisation begins: a fiftieth of the work for a thousand.
MANY_FRAMES = 150


def angle_noise(weights: SpeckleWeights, data: AngleData) -> AngleNoise:
    """Return the noise of one angle; contrast is held between nothing and 1.

    Modes in which the rest of the covariance counts are as many however many frames there are, so
    that its share falls with their number.
    """
    contrast = float(np.clip(weights.contrast[data.angle], 1e-6, 1.0))
    n_speckles = weights.n_speckles[data.angle]
    n_blocks = len(data.blocks)
    return AngleNoise(
        contrast=contrast,
        photon_noise=weights.photon_noise[data.angle],
        modes=min(weights.modes, 1.0 / contrast),
        n_speckles=n_speckles,
        scale=n_speckles / (1.0 + weights.excess / (data.blocks.size * n_blocks)),
    )


@dataclass(frozen=True)
class BestScores:
    """What a pass tells of scores.

    Attributes
    ----------
    at
        The pass.
    variance
        Of J^T C0^-1 R, with the whole of C.
    gain
        Uncertainty with equal weights over that with best ones, the largest of a parameter.
    """

    at: Projection
    variance: Arrow
    gain: float


@dataclass(frozen=True)
class BestObjective:
    """Generalised chi2 over the free parameters; see `Objective`.

    Attributes
    ----------
    pairs
        The ordinary objective of the same problem.
    dataset
        What it is fitted to.
    weights
        What C0 is made from.
    angles
        Those with data.
    """

    pairs: PairObjective
    dataset: Dataset
    weights: SpeckleWeights
    angles: tuple[WeighedAngle, ...]

    @property
    def free(self) -> FreeParameters:
        """Names, start and bounds of the free parameters."""
        return self.pairs.free

    @property
    def n_points(self) -> int:
        """Pairs that chi2 is expected to be, unknowns aside."""
        return sum(angle.n_pairs for angle in self.angles)

    def expand(self, x: FloatArray) -> FloatArray:
        """Return all parameters, the free ones set to `x`."""
        return self.pairs.expand(x)

    def renewed(self, x: FloatArray, contrast: FloatArray) -> BestObjective:
        """Return the objective with the covariance taken at another point."""
        weights = replace(
            self.weights,
            parameters=tuple(self.expand(x).tolist()),
            contrast=tuple(contrast.tolist()),
        )
        read = [angle.data for angle in self.angles]
        return best_objective(self.dataset, self.pairs, weights, read)

    def cost(self, x: FloatArray) -> float:
        """Return chi2 at the best contrast and offset."""
        return project(self.grams(x, derivatives=False), self.pairs.scaling, self._ones).chi2

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian (of the free parameters and the scaling)."""
        return self.project(self.grams(x))

    def project(self, grams: AngleGrams) -> Projection:
        """Return chi2 and derivatives at the best contrast and offset, from a pass."""
        return replace(self.pairs, sigma=self._ones).project(grams)

    def grams(self, x: FloatArray, *, derivatives: bool = True) -> AngleGrams:
        """Return scale <X, C0^-1 Y> in place of sums over pairs."""
        return self._grams(self._curves(self.expand(x)), self.angles, derivatives=derivatives)

    def grams_of(self, parameters: FloatArray, convention: Convention) -> AngleGrams:
        """Return those of another model, [f, 1, y] alone, in the metric of this one."""
        data = self.dataset
        curves = model_curves(data.t, data.phi, data.q, data.gap, parameters, convention)
        angles = [replace(angle, convention=convention) for angle in self.angles]
        return self._grams(curves, angles, derivatives=False)

    def _grams(
        self, curves: ModelCurves, angles: Sequence[WeighedAngle], *, derivatives: bool
    ) -> AngleGrams:
        with map_threads(self.dataset, _ANGLES_AT_ONCE) as threads, np.errstate(all="ignore"):
            grams = list(threads.map(partial(_gram, curves, derivatives=derivatives), angles))
        return self._assembled(grams, angles)

    def _assembled(self, grams: Sequence[FloatArray], angles: Sequence[WeighedAngle]) -> AngleGrams:
        n_phi = self.dataset.n_phi
        out, shift = np.zeros((n_phi, *grams[0].shape)), np.zeros(n_phi)
        for angle, gram in zip(angles, grams, strict=True):
            a = angle.data.angle
            out[a], shift[a] = gram, angle.data.shift
        return AngleGrams(out, np.zeros(n_phi), shift)

    def scores(self, x: FloatArray) -> BestScores:
        """Make a pass that also tells how scores vary, with best weights and with equal ones."""
        grams, sums = self.score_sums(x)
        at, n_phi, size = self.project(grams), self.dataset.n_phi, len(x) + 2
        best, hessians, equal = np.zeros((3, n_phi, size, size))
        for angle, one in zip(self.angles, sums, strict=True):
            a = angle.data.angle
            projector, weight = self.directions(at, a), self.pairs.sigma[a] ** -2.0
            best[a] = projector.T @ one.best @ projector
            hessians[a] = weight * projector.T @ one.equal_hessian @ projector
            equal[a] = weight**2 * projector.T @ one.equal @ projector
        return BestScores(at, at.directions.assembled(best), _gain(at, hessians, equal))

    def score_sums(self, x: FloatArray) -> tuple[AngleGrams, list[AngleScoreSums]]:
        """Return what `grams` does, and the sums of each angle with data."""
        curves = self._curves(self.expand(x))
        with map_threads(self.dataset, _ANGLES_AT_ONCE) as threads, np.errstate(all="ignore"):
            sums = list(threads.map(partial(WeighedAngle.scores, curves=curves), self.angles))
        return self._assembled([one.gram for one in sums], self.angles), sums

    def directions(self, at: Projection, angle: int) -> FloatArray:
        """Return (7 + 2, p + 2) how [df/dp, f, 1] make columns by p, contrast and offset."""
        places, p = self.pairs.places, len(self.pairs.full)
        projector = np.zeros((p + 2, len(places) + 2))
        projector[places, np.arange(len(places))] = at.contrast[angle]
        projector[[p, p + 1], [-2, -1]] = 1.0
        return projector

    @property
    def _ones(self) -> FloatArray:
        return np.ones(self.dataset.n_phi)

    def _curves(self, parameters: FloatArray) -> ModelCurves:
        data, convention = self.dataset, self.pairs.kind.convention
        return model_curves(data.t, data.phi, data.q, data.gap, parameters, convention)


def _gram(curves: ModelCurves, angle: WeighedAngle, *, derivatives: bool) -> FloatArray:
    return angle.gram(curves, derivatives=derivatives)


def _gain(at: Projection, hessians: FloatArray, scores: FloatArray) -> float:
    """Return the largest ratio of a parameter's uncertainties; arguments are of equal weights."""
    inverse = invert(at.directions.assembled(hessians))
    equal = inverse.sandwich(at.directions.assembled(scores)).head
    best, p = invert(at.hessian).spread.head, len(at.gradient)
    variances = [np.diag(v)[:p] for v in (equal, best)]
    known = (variances[0] > 0.0) & (variances[1] > 0.0)
    ratio = variances[0][known] / variances[1][known]
    return float(np.sqrt(np.max(ratio, initial=1.0)))


def affordable_blocks(n_phi: int) -> int:
    """Return how many frames, or blocks of them, an angle may have."""
    return min(_MOST_BLOCKS, int((_MOST_SQUARES / n_phi) ** 0.5))


def read_angles(dataset: Dataset) -> tuple[AngleData, ...]:
    """Read the angles that have data, over as many frames or blocks as can be afforded."""
    most = affordable_blocks(dataset.n_phi)
    with map_threads(dataset) as threads:
        read = list(
            threads.map(lambda angle: angle_data(dataset, angle, most), range(dataset.n_phi))
        )
    return tuple(one for one in read if one is not None)


def read_sparsely(dataset: Dataset) -> tuple[AngleData, ...]:
    """Read the angles that have data at a few frames: enough to come near the minimum."""
    return tuple(one for one in sparse_data(dataset, MANY_FRAMES) if one is not None)


def best_objective(
    dataset: Dataset,
    pairs: PairObjective,
    weights: SpeckleWeights,
    angles: Sequence[AngleData] | None = None,
) -> BestObjective:
    """Prepare generalised least squares with given weights.

    Parameters
    ----------
    angles
        The data of the angles, if they have been read.
    """
    convention = pairs.kind.convention
    curves = model_curves(
        dataset.t, dataset.phi, dataset.q, dataset.gap, np.array(weights.parameters), convention
    )

    def one(data: AngleData) -> WeighedAngle:
        return weigh_angle(data, curves, convention, angle_noise(weights, data))

    read = read_angles(dataset) if angles is None else angles
    with map_threads(dataset, _ANGLES_AT_ONCE) as threads:
        return BestObjective(pairs, dataset, weights, tuple(threads.map(one, read)))
