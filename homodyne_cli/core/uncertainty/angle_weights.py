r"""Shares of the angles in a fit whose noise is correlated.

Per pair an angle with slow dynamics looks as precise as one with fast dynamics, but its pairs
repeat each other. With H_a the part of the Hessian that an angle gives, V_a the variance of its
score (white and speckle parts) and S = sum_a H_a, contrast and offset projected out,

    sigma_a^2 -> sigma_a^2 tr(S^-1 V_a) / tr(S^-1 H_a)

makes the score of every angle as uncertain as the Hessian says, on average over parameters. All
sigma are then multiplied by one factor that leaves the mean of 1/sigma^2 over pairs as it was: the
shares change, and chi2 goes on comparing residuals with the noise between neighbouring pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise.state import MinimiserState
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.speckle_noise import SpeckleNoise, score_variances, speckle_noise
from homodyne_cli.dataset import Dataset, FloatArray

_RANK_TOLERANCE = 1e-10


@dataclass(frozen=True)
class AngleWeights:
    """What the angles count, and the noise that says so.

    Attributes
    ----------
    objective
        With the sigma that the shares make.
    noise
        As found; its scores are those of the point where it was looked for.
    share
        (n_phi,) old over new variance; None where sigma stays as it was.
    """

    objective: Objective
    noise: SpeckleNoise
    share: FloatArray | None = None


@dataclass(frozen=True)
class Weighted:
    """A fit with the shares of its angles, and its noise.

    `white` is the (k, k) variance that white noise of the estimated sigma gives to the score, None
    where sigma is that noise and it is the Hessian.
    """

    objective: Objective
    descent: MinimiserState
    noise: SpeckleNoise
    white: FloatArray | None = None


def weigh_angles(dataset: Dataset, objective: Objective, reached: MinimiserState) -> AngleWeights:
    """Find the noise of a fit and what it makes the angles count.

    A sigma that was given stays as it is, and so does a robust fit, which has weights of its own.

    Parameters
    ----------
    reached
        A point at which what is left of chi2 is little beside chi2 itself: near the minimum, or
        the end of a descent. One that was stopped short of its minimum gets no shares.
    """
    noise = speckle_noise(dataset, objective, reached.x, reached.at)
    kept = dataset.sigma is not None or objective.robust or dataset.n_phi == 1
    if kept or not np.isfinite(noise.n_speckles) or reached.stopped:
        return AngleWeights(objective, noise)
    hessians = objective.angle_hessians(reached.x, reached.at)
    sigma = _due_sigma(objective, reached.at, hessians, noise)
    return AngleWeights(replace(objective, sigma=sigma), noise, (objective.sigma / sigma) ** 2)


def with_noise(dataset: Dataset, shares: AngleWeights, descent: MinimiserState) -> Weighted:
    """Evaluate what the noise does to the score at the end of the fit."""
    objective, noise = shares.objective, shares.noise
    x, at = descent.x, descent.at
    scores = np.zeros((dataset.n_phi, *at.hessian.shape))
    if np.isfinite(noise.n_speckles):
        scores = score_variances(dataset, objective, x, at) / noise.n_speckles
    white = None
    if shares.share is not None:
        white = np.einsum("a,akl->kl", shares.share, objective.angle_hessians(x, at))
    return Weighted(objective, descent, replace(noise, scores=scores), white)


def _due_sigma(
    objective: Objective, at: Projection, hessians: FloatArray, noise: SpeckleNoise
) -> FloatArray:
    p = len(at.gradient)
    total = hessians.sum(axis=0)
    onto = np.eye(p, len(total))
    if len(total) > p:
        onto[:, p:] = -np.linalg.lstsq(total[p:, p:], total[p:, :p], rcond=_RANK_TOLERANCE)[0].T
    inside = onto @ hessians @ onto.T
    variances = onto @ (noise.white_scale * hessians + noise.scores) @ onto.T
    norm = np.sqrt(np.maximum(np.diag(inside.sum(axis=0)), 1e-300))
    unit = np.outer(norm, norm)
    inverse = np.linalg.pinv(inside.sum(axis=0) / unit, rcond=_RANK_TOLERANCE, hermitian=True)
    seen = np.einsum("ij,aji->a", inverse, inside / unit)
    varied = np.einsum("ij,aji->a", inverse, variances / unit)
    informed = (seen > 0.0) & (varied > 0.0)
    ratio = np.where(informed, varied, 1.0) / np.where(informed, seen, 1.0)
    # An angle that says nothing about the parameters keeps the average share.
    ratio[~informed] = np.mean(ratio[informed]) if informed.any() else 1.0
    pairs, weights = objective.tiles.moments.n_points, objective.sigma**-2.0
    factor = float(pairs @ (weights / ratio)) / float(pairs @ weights)
    return np.asarray(objective.sigma * np.sqrt(ratio * factor))
