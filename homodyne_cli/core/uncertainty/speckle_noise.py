r"""Noise of a finite number of speckles: how it is correlated, and what it does to the fit.

A map averaged over M speckles differs from its expectation by the mean of M independent influences

    psi_ij = contrast (x_i x_j - sqrt(contrast) f_ij (x_i + x_j)),    x = I - 1, f = |g1|^2

of intensities I = |E|^2 whose fields E are complex Gaussian with covariance g1 (the signed square
root of the model's decay times shear factor). The second term comes from normalising by the mean
intensities, whose fluctuations a background, or several modes per speckle, makes smaller. All pairs
that share a frame share its speckles, and slow dynamics spread the correlation further, so the
parameters scatter by much more than the inverse Hessian says. The score of one speckle is
s = J^T W psi, with W the weights that the fit used; the variance of the fit's own score is
Cov(s)/M, and the covariance of the parameters is H^-1 Cov(s) H^-1 / M. `speckle_scores` has Cov(s)
in closed form.

M and the share of white noise (photons) follow from variances of the residuals: their mean square,
and that of second differences along the diagonals over strides of 1, 2, 4 ... frames. White noise
enters all of them alike, slow speckle noise the more the longer the stride::

    mean square            = white + P / M       P: mean square of psi with the fit projected out
    differences, stride s  = white + Q_s / M     Q_s: the same differences of psi

a straight line over Q whose short strides are known best. P and Q follow from the moments of a
complex Gaussian: with b = sqrt(contrast) f, Var(psi) = contrast^2 (1 + 4 f + 3 f^2 - 8 b f
+ 2 b^2 (1 + f)), and projecting the fit out of psi takes the trace of H^-1 Cov(s) away from its sum
of squares. Both are looked at on a sample of pairs; nothing more is done where it shows no growth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize

from homodyne_cli.core.gram_pass.losses import AngleScaling, loss_terms
from homodyne_cli.core.maps.pair_noise import pair_weights, robust_variance
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.numerics.arrow import invert
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.core.numerics.gram import SINGULAR
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.score_covariance import (
    BlockSums,
    block_size,
    score_covariance,
    sum_blocks,
)
from homodyne_cli.core.uncertainty.speckle_moments import psi_covariance, psi_variance
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray

#: Pairs per angle whose residuals are looked at, and at which differences of psi are.
_RESIDUAL_PAIRS = 20_000
_PSI_PAIRS = 1_500
_MAX_STRIDES = 6
#: (x_0 - 2 x_1 + x_2)^2 as sum of factor x_k x_m.
_SQUARED_DIFFERENCE = ((0, 0, 1), (1, 1, 4), (2, 2, 1), (0, 1, -4), (1, 2, -4), (0, 2, 2))
#: Excess of the residuals over white noise, in standard errors, that counts as speckle noise.
_SIGNIFICANT = 4.0
#: Where differences over one frame hold all but this share of psi, speckle noise is white.
_DISTINCT = 0.02


@dataclass(frozen=True)
class SpeckleNoise:
    """Correlated noise in a fit.

    Attributes
    ----------
    scores
        (n_phi, p + 2, p + 2) variance of J^T W r that the speckles of each angle cause, by free
        parameters, its contrast and its offset.
    n_speckles
        M; infinite where the noise is white.
    white_share
        Of the residuals' variance.
    white_scale
        Variance of the white part over sigma^2.
    """

    scores: FloatArray
    n_speckles: float
    white_share: float
    white_scale: float


def speckle_noise(
    dataset: Dataset, objective: PairObjective, x: FloatArray, at: Projection
) -> SpeckleNoise:
    """Find the correlated part of the noise and the variance of the score that it causes.

    Parameters
    ----------
    x
        (p,) free parameters at the solution.
    at
        The projection there.
    """
    angles = _angles(dataset, objective, x, at)
    strides = _strides(dataset.n_frames)
    size = len(at.gradient) + 2
    none = SpeckleNoise(np.zeros((len(angles), size, size)), float("inf"), 1.0, 1.0)
    if not strides:
        return none
    sampled = sample_pairs(dataset.n_frames, 0, _RESIDUAL_PAIRS)
    with core_threads() as threads:
        samples = list(threads.map(lambda a: a.sample(*sampled), angles))
        pairs = np.array([s.pairs for s in samples])
        weights = pairs / pairs.sum()
        total = float(weights @ [s.residual for s in samples])

        def differences(stride: int) -> float:
            i, j = sample_pairs(dataset.n_frames, stride, _RESIDUAL_PAIRS)
            variances = threads.map(lambda a: a.differences(stride, i, j), angles)
            return float(weights @ list(variances))

        error = 2.5 * total / np.sqrt(sum(s.sampled for s in samples))
        nearest = differences(strides[0])
        if total - nearest < _SIGNIFICANT * error:
            return none
        shown = [nearest, *(differences(stride) for stride in strides[1:])]
        drawn = weights @ list(threads.map(lambda a: a.psi_differences(strides), angles))
    scores = _score_variances(angles)
    absorbed = invert(at.hessian, SINGULAR).trace(at.directions.assembled(scores))
    psi = float(weights @ [s.psi for s in samples]) - absorbed / float(pairs.sum())
    return _split(scores, np.array([*shown, total]), np.array([*drawn, psi])) or none


def score_variances(
    dataset: Dataset, objective: PairObjective, x: FloatArray, at: Projection
) -> FloatArray:
    """Return Cov(s) of each angle, of one speckle; as `scores`, arguments as above."""
    return _score_variances(_angles(dataset, objective, x, at))


def _angles(
    dataset: Dataset, objective: PairObjective, x: FloatArray, at: Projection
) -> list[_Angle]:
    curves = model_curves(
        dataset.t,
        dataset.phi,
        dataset.q,
        dataset.gap,
        objective.expand(x),
        objective.kind.convention,
    )
    return [_Angle(dataset, objective, at, curves, a) for a in range(dataset.n_phi)]


def _score_variances(angles: list[_Angle]) -> FloatArray:
    with core_threads() as threads:
        return np.stack(list(threads.map(_Angle.score_variance, angles)))


def _split(scores: FloatArray, shown: FloatArray, drawn: FloatArray) -> SpeckleNoise | None:
    """Fit shown = white + drawn / M; the last entries are the mean squares of residual and psi."""
    total, psi = float(shown[-1]), float(drawn[-1])
    if psi - drawn[0] < _DISTINCT * psi:
        return None
    # Variances of smooth noise scatter like the square root of the volume they average over.
    error = shown * np.sqrt(drawn)
    design = np.stack([np.ones_like(drawn), drawn], axis=1) / error[:, None]
    (_, inverse), _ = optimize.nnls(design, shown / error)
    if inverse <= 0.0:
        return None
    white = max(total - psi * float(inverse), 0.0)
    return SpeckleNoise(scores * inverse, 1.0 / float(inverse), white / total, white)


@dataclass(frozen=True)
class _Sample:
    """Means over pairs of one angle, in units of sigma^2: residual^2 and Var(psi); sum of weights.

    `sampled` is the number of pairs in the sample.
    """

    residual: float
    psi: float
    pairs: float
    sampled: int


@dataclass(frozen=True)
class _Angle:
    """One angle of the fit, at any of its pairs."""

    dataset: Dataset
    objective: PairObjective
    at: Projection
    curves: ModelCurves
    angle: int

    @property
    def contrast(self) -> float:
        return float(self.at.contrast[self.angle])

    @property
    def sigma(self) -> float:
        return float(self.objective.sigma[self.angle])

    @property
    def root(self) -> float:
        return float(np.sqrt(min(self.contrast, 1.0)))

    def model(self, dtype: type = np.float64) -> PairModel:
        convention = self.objective.kind.convention
        return pair_model(self.curves, self.angle, convention, dtype)

    def residual(self, i: IndexArray, j: IndexArray, f: FloatArray) -> FloatArray:
        """Return residual / sigma where the model is f, NaN where there are no data."""
        fit = self.at.offset[self.angle] + self.contrast * f
        return np.asarray((self.dataset.pairs(self.angle, i, j) - fit) / self.sigma)

    def weights(self, i: IndexArray, j: IndexArray, f: FloatArray) -> FloatArray:
        """Return the weights that the fit gives to pairs, zero where there are no data."""
        data = self.dataset.pairs(self.angle, i, j)
        noise = self.dataset.sigma
        if noise is None or noise.ndim == 1:
            weight = np.isfinite(data).astype(float)
        else:
            weight = pair_weights(data, noise[self.angle][i, j], self.sigma)
        weight *= i < j
        if not self.objective.robust:
            return np.asarray(weight)
        fitted = weight > 0.0
        single = slice(self.angle, self.angle + 1)
        known = (self.at.contrast[single], self.at.offset[single], self.objective.sigma[single])
        state = AngleScaling(*(jnp.asarray(v) for v in known))
        shape = (1, 1, f.size, 1)
        values = (f, np.where(fitted, data, 0.0), weight)
        model, y, w = (jnp.asarray(v, dtype=float).reshape(shape) for v in values)
        robust, _ = loss_terms(self.objective.kind.weight, model, y, w, state)
        return np.asarray(robust).reshape(f.shape)

    def sample(self, i: IndexArray, j: IndexArray) -> _Sample:
        """Look at residuals and the variance of psi on a sample of pairs."""
        f = self.model().f(i, j)
        weight = self.weights(i, j, f)
        square = np.where(weight > 0.0, self.residual(i, j, f), 0.0) ** 2
        total = max(float(weight.sum()), 1e-300)
        variance = (self.contrast / self.sigma) ** 2 * psi_variance(f, self.root * f)
        n_points = float(self.objective.tiles.moments.n_points[self.angle])
        sampled = int(np.count_nonzero(weight))
        return _Sample(
            residual=float(weight @ square) / total,
            psi=float(weight @ variance) / total,
            pairs=n_points * total / max(sampled, 1),
            sampled=sampled,
        )

    def differences(self, stride: int, i: IndexArray, j: IndexArray) -> float:
        """Return the variance of second differences of the residual along diagonals from (i, j)."""
        model = self.model()
        along = [(i + k * stride, j + k * stride) for k in range(3)]
        r = [self.residual(*pairs, model.f(*pairs)) for pairs in along]
        difference = (r[0] - 2.0 * r[1] + r[2]) / np.sqrt(6.0)
        difference = difference[np.isfinite(difference)]
        return robust_variance(difference) if len(difference) > 2 else 0.0

    def psi_differences(self, strides: list[int]) -> FloatArray:
        """Return the variances of the same differences of psi, (len(strides),)."""
        model = self.model()
        starts = [sample_pairs(self.dataset.n_frames, stride, _PSI_PAIRS) for stride in strides]
        i, j = np.concatenate(starts, axis=1)
        step = np.repeat(strides, [len(first) for first, _ in starts])
        at = [(i + k * step, j + k * step) for k in range(3)]
        variance = np.zeros(len(i))
        for k, m, factor in _SQUARED_DIFFERENCE:
            variance += factor * psi_covariance(model, self.root, at[k], at[m])
        groups = np.split(variance, np.cumsum([len(first) for first, _ in starts])[:-1])
        means = np.array([group.mean() for group in groups])
        return np.asarray((self.contrast / self.sigma) ** 2 * means / 6.0)

    def blocks(self) -> BlockSums:
        """Return the weighted columns summed over blocks of frames."""
        columns = len(self.objective.full) + 2
        size = block_size(self.dataset.n_frames, self.dataset.n_phi, columns)
        dtype = np.float64 if size == 1 else np.float32
        return sum_blocks(
            self.model(dtype), self.curves, self.angle, size, self.weights, self.contrast
        )

    def score_variance(self) -> FloatArray:
        """Return Cov(s) over free parameters, contrast and offset, (p + 2, p + 2)."""
        scale = (self.contrast / self.sigma**2) ** 2
        size = len(self.objective.full)
        kept = [*self.objective.places, size, size + 1]
        covariance = score_covariance(self.blocks(), self.dataset.n_phi)
        return np.asarray(scale * covariance[np.ix_(kept, kept)])


def _strides(n: int) -> list[int]:
    return [s for s in (2**k for k in range(_MAX_STRIDES)) if 8 * s <= n]


def sample_pairs(n: int, stride: int, count: int) -> tuple[IndexArray, IndexArray]:
    """Return up to `count` pairs i < j with room for two strides along the diagonal, evenly.

    The place in the list of all pairs goes in equal steps; the list is by rows of i.
    """
    room = n - 2 * stride
    pairs = room * (room - 1) // 2
    if pairs <= count:
        return np.triu_indices(room, 1)
    place = ((np.arange(count) + 0.5) * (pairs / count)).astype(np.intp)
    # Rows counted from the last one have 1, 2, 3 ... pairs.
    back = pairs - 1 - place
    row = ((np.sqrt(8.0 * back + 1.0) - 1.0) / 2.0).astype(np.intp)
    row -= row * (row + 1) // 2 > back
    row += (row + 1) * (row + 2) // 2 <= back
    return room - 2 - row, room - 1 - (back - row * (row + 1) // 2)
