r"""What speckles do to the score of a fit that weighs pairs alike, or by a noise of their own.

The score of a fit with weights W is <W X, R>, X the columns of its Jacobian. With C / M the
covariance of the noise of an angle (`noise.covariance_operator`), M and the photon noise w from the
residuals (`noise.find_speckles`), its variance is

    <V, C V> / M,    V = W X

Of C the part w^2 is independent from pair to pair: it is the variance that the fit's own sums have,
times w^2 / (M sigma^2). The rest is smooth, and taken over blocks of frames: sums of V over pairs
of blocks, means of g1, w over the frames of a block. The covariance of the parameters is then
H^-1 V H^-1 with H the Hessian (the sandwich of P. J. Huber, Proc. 5th Berkeley Symp. 1, 221, 1967).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import AngleScaling
from homodyne_cli.core.maps.pair_noise import pair_weights
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, model_maps, pair_model
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.angle_data import FrameBlocks
from homodyne_cli.core.noise.find_speckles import SpecklesSeen, find_speckles
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray

#: Blocks of frames for all that is smooth; products cost the third power of their number.
_MOST_BLOCKS = 200


@dataclass(frozen=True)
class SpeckleNoise:
    """How the score of each angle varies, contrast and offset included.

    Attributes
    ----------
    scores
        (n_phi, p + 2, p + 2) variance that is shared between pairs.
    white
        (n_phi,) variance of what is not, over sigma^2.
    speckles
        The speckles; None where noise is white.
    """

    scores: FloatArray
    white: FloatArray
    speckles: SpecklesSeen | None

    def variances(self, independent: FloatArray) -> FloatArray:
        """Return the whole, (n_phi, p + 2, p + 2), from that of independent noise."""
        return self.white[:, None, None] * independent + self.scores


def speckles_in_residuals(
    dataset: Dataset, objective: PairObjective, x: FloatArray, at: Projection
) -> SpecklesSeen | None:
    """Look for speckles in what a model with parameters x (p,) leaves over."""
    convention = objective.kind.convention
    fitted = model_maps(dataset, objective.expand(x), at.contrast, at.offset, convention)
    return find_speckles(dataset, fitted, objective.sigma)


def speckle_noise(
    dataset: Dataset,
    objective: PairObjective,
    x: FloatArray,
    at: Projection,
    speckles: SpecklesSeen | None,
) -> SpeckleNoise:
    """Evaluate how the scores of a fit with the objective's weights vary.

    Parameters
    ----------
    x
        (p,) free parameters at the solution.
    at
        The projection there.
    speckles
        Speckles in the residuals.
    """
    n_phi, size = dataset.n_phi, len(objective.places) + 2
    if speckles is None:
        return SpeckleNoise(np.zeros((n_phi, size, size)), np.ones(n_phi), None)
    data, parameters = dataset, objective.expand(x)
    convention = objective.kind.convention
    curves = model_curves(data.t, data.phi, data.q, data.gap, parameters, convention)
    angles = [_Angle(dataset, objective, at, curves, speckles, a) for a in range(n_phi)]
    with core_threads() as threads:
        scores = np.stack(list(threads.map(_Angle.score_variance, angles)))
    white = np.ones(n_phi)
    if dataset.sigma is None or dataset.sigma.ndim == 1:
        estimate = speckles.estimate
        white = estimate.photon_noise**2 / (estimate.of_angles * objective.sigma**2)
    return SpeckleNoise(scores, white, speckles)


@dataclass(frozen=True)
class _Angle:
    """One angle of the fit, at any of its pairs."""

    dataset: Dataset
    objective: PairObjective
    at: Projection
    curves: ModelCurves
    speckles: SpecklesSeen
    angle: int

    @property
    def contrast(self) -> float:
        return float(self.at.contrast[self.angle])

    def score_variance(self) -> FloatArray:
        """Return the shared variance over free parameters, contrast and offset."""
        model = pair_model(self.curves, self.angle, self.objective.kind.convention)
        blocks = FrameBlocks.of(self.dataset.n_frames, _MOST_BLOCKS)
        sums = self._weighted_sums(model, blocks)
        estimate, contrast = self.speckles.estimate, min(self.contrast, 1.0)
        operator = blocks.covariance(
            model,
            contrast,
            float(estimate.photon_noise[self.angle]) / blocks.size,
            min(estimate.modes, 1.0 / contrast),
        )
        rest = operator.apply(sums) - operator.photon_noise**2 * sums
        flat = sums.reshape(len(sums), -1)
        variance = 0.5 * flat @ rest.reshape(len(rest), -1).T + operator.four_cycles(sums)
        return 0.5 * (variance + variance.T) / float(estimate.of_angles[self.angle])

    def _weighted_sums(self, model: PairModel, blocks: FrameBlocks) -> FloatArray:
        """Return W X summed over pairs of blocks, mirrored: (p + 2, m, m)."""
        p = len(self.objective.full)
        columns = [*self.objective.places, p, p + 1]

        def weighted(rows: slice, right: slice) -> FloatArray:
            i, j = np.arange(rows.start, rows.stop), np.arange(right.start, right.stop)
            part = angle_columns(model, self.curves, self.angle, self.contrast, i, j)
            return np.asarray(part[columns] * self._weights(i[:, None], j[None], part[-2]))

        return blocks.mirrored_sums(len(columns), weighted)

    def _weights(self, i: IndexArray, j: IndexArray, f: FloatArray) -> FloatArray:
        """Return the weights of pairs in the fit, zero where there are no data."""
        i, j = np.broadcast_arrays(i, j)
        data, sigma = self.dataset.pairs(self.angle, i, j), float(self.objective.sigma[self.angle])
        noise = self.dataset.sigma
        if noise is None or noise.ndim == 1:
            weight = np.isfinite(data).astype(float)
        else:
            weight = pair_weights(data, noise[self.angle][i, j], sigma)
        weight = weight * (i < j)
        if self.objective.robust:
            weight = self._robust(f, data, weight)
        return np.asarray(weight / sigma**2)

    def _robust(self, f: FloatArray, data: MapArray, weight: FloatArray) -> FloatArray:
        from homodyne_cli.core.gram_pass.losses import loss_terms
        from homodyne_cli.core.numerics.backend import jnp

        single = slice(self.angle, self.angle + 1)
        known = (self.at.contrast[single], self.at.offset[single], self.objective.sigma[single])
        state = AngleScaling(*(jnp.asarray(v) for v in known))
        values = (f, np.where(weight > 0.0, data, 0.0), weight)
        model, y, w = (jnp.asarray(v, dtype=float).reshape(1, 1, f.size, 1) for v in values)
        robust, _ = loss_terms(self.objective.kind.weight, model, y, w, state)
        return np.asarray(robust).reshape(f.shape)
