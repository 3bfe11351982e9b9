r"""Generalised least squares: chi2 with the inverse of the noise covariance as its weight.

    chi2(x) = sum over angles of scale_a <R(x), C0^-1 R(x)>

with R the residual map, C0 the main part of the covariance of one speckle at a reference point,
and the scale M over what the whole of C gives a pair on average, so that chi2 is expected to be the
number of pairs. C0 is held while chi2 is minimised. Its inverse stands for that of C: estimates
lose less than 2% of their precision (docs/uncertainties.md), and no system has to be solved. What
the whole of C, the 4-cycle included, does to the estimates is in `score_covariances`.

Contrast and offset enter as in any fit, so the rest is `projection`'s: this objective differs from
the ordinary one in its Gram matrices alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from homodyne_cli.core.gram_pass.gram_pass import AngleGrams
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.noise.weighed_angle import AngleNoise, WeighedAngle, weigh_angle
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection, project
from homodyne_cli.dataset import Dataset, FloatArray

#: Frames or blocks of an angle, and their squares over all angles: time and memory of a pass.
_MOST_BLOCKS, _MOST_SQUARES = 1200, 30_000_000


@dataclass(frozen=True)
class SpeckleWeights:
    """What best weights are made from: a run keeps it, and they can be made again.

    Attributes
    ----------
    parameters
        (7,) or (3,) in table order, at which C0 is evaluated.
    contrast, photon_noise, n_speckles
        (n_phi,) of each angle.
    modes, kappa
        See `SpeckleEstimate`.
    """

    parameters: FloatArray
    contrast: FloatArray
    photon_noise: FloatArray
    n_speckles: FloatArray
    modes: float
    kappa: float

    def of(self, angle: int) -> AngleNoise:
        """Return that of one angle; contrast is held between nothing and 1."""
        contrast = float(np.clip(self.contrast[angle], 1e-6, 1.0))
        n_speckles = float(self.n_speckles[angle])
        return AngleNoise(
            contrast=contrast,
            photon_noise=float(self.photon_noise[angle]),
            modes=min(self.modes, 1.0 / contrast),
            n_speckles=n_speckles,
            scale=n_speckles / self.kappa,
        )


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

    def cost(self, x: FloatArray) -> float:
        """Return chi2 at the best contrast and offset."""
        return project(self.grams(x, derivatives=False), self.pairs.scaling, self._ones).chi2

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian (of the free parameters and the scaling)."""
        return replace(self.pairs, sigma=self._ones).project(self.grams(x))

    def grams(self, x: FloatArray, *, derivatives: bool = True) -> AngleGrams:
        """Return scale <X, C0^-1 Y> in place of sums over pairs."""
        curves = self._curves(self.expand(x))
        with core_threads() as threads, np.errstate(all="ignore"):
            grams = list(threads.map(partial(_gram, curves, derivatives=derivatives), self.angles))
        n_phi = self.dataset.n_phi
        out, shift = np.zeros((n_phi, *grams[0].shape)), np.zeros(n_phi)
        for angle, gram in zip(self.angles, grams, strict=True):
            out[angle.angle], shift[angle.angle] = gram, angle.shift
        return AngleGrams(out, np.zeros(n_phi), shift)

    def score_covariances(self, x: FloatArray, at: Projection) -> FloatArray:
        """Return the variance of J^T C0^-1 R of each angle, (n_phi, p + 2, p + 2).

        By free parameters, contrast and offset of the angle.
        """
        grams = self.grams(x) if at.grams is None else at.grams
        curves, k = self._curves(self.expand(x)), len(x) + 2
        out = np.zeros((self.dataset.n_phi, k, k))
        with core_threads() as threads:
            of_angle = partial(_score_covariance, curves, grams)
            for angle, raw in zip(self.angles, threads.map(of_angle, self.angles), strict=True):
                projector = self.directions(at, angle.angle)
                out[angle.angle] = projector.T @ raw @ projector
        return out

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


def _score_covariance(curves: ModelCurves, grams: AngleGrams, angle: WeighedAngle) -> FloatArray:
    return angle.score_covariance(curves, grams.gram[angle.angle, :-1, :-1])


def affordable_blocks(n_phi: int) -> int:
    """Return how many frames, or blocks of them, an angle may have."""
    return min(_MOST_BLOCKS, int((_MOST_SQUARES / n_phi) ** 0.5))


def best_objective(
    dataset: Dataset, pairs: PairObjective, weights: SpeckleWeights
) -> BestObjective:
    """Prepare generalised least squares with given weights."""
    n_phi, convention = dataset.n_phi, pairs.kind.convention
    most = affordable_blocks(n_phi)
    curves = model_curves(
        dataset.t, dataset.phi, dataset.q, dataset.gap, weights.parameters, convention
    )

    def one(angle: int) -> WeighedAngle | None:
        return weigh_angle(dataset, curves, angle, convention, weights.of(angle), most)

    with core_threads() as threads:
        prepared = list(threads.map(one, range(n_phi)))
    return BestObjective(pairs, dataset, weights, tuple(a for a in prepared if a is not None))
