r"""Weights of the angles in a fit whose noise is correlated.

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
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.numerics.gram import pseudo_inverse
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.covariance import ScoreNoise
from homodyne_cli.core.uncertainty.noisy_fit import NoisyFit
from homodyne_cli.core.uncertainty.speckle_noise import SpeckleNoise, speckle_noise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.noise_report import NoiseReport


@dataclass(frozen=True)
class AngleWeights:
    """What the angles count, and the noise that says so.

    Attributes
    ----------
    objective
        With the sigma that the weights make.
    speckles
        In the residuals; None where noise is white.
    at
        The pass there with that sigma; None if it takes a new one.
    share
        (n_phi,) old over new variance; None where sigma stays as it was.
    """

    objective: PairObjective
    speckles: SpecklesSeen | None
    at: Projection | None = None
    share: FloatArray | None = None


def weigh_angles(
    dataset: Dataset,
    objective: PairObjective,
    reached: MinimiserState,
    speckles: SpecklesSeen | None,
) -> AngleWeights:
    """Look at what the noise of a fit makes the angles count.

    A sigma that was given stays as it is, and so does a robust fit, which has weights of its own.

    Parameters
    ----------
    reached
        A point at which what is left of chi2 is little beside chi2 itself: near the minimum, or
        the end of a minimisation. One that was stopped short of its minimum gets no weights.
    speckles
        Speckles in the residuals there.
    """
    at = reached.at
    kept = dataset.sigma is not None or objective.robust or dataset.n_phi == 1
    if kept or speckles is None or reached.stopped:
        return AngleWeights(objective, speckles)
    noise = speckle_noise(dataset, objective, reached.x, at, speckles)
    hessians = objective.angle_hessians(reached.x, at)
    weighted = replace(objective, sigma=_due_sigma(objective, at, hessians, noise))
    # A pass does not depend on sigma.
    reprojected = None if at.grams is None else weighted.project(at.grams)
    return AngleWeights(weighted, speckles, reprojected, (objective.sigma / weighted.sigma) ** 2)


def with_equal_weights(dataset: Dataset, weights: AngleWeights, state: MinimiserState) -> NoisyFit:
    """Evaluate what the noise does to the score at the end of a fit with equal weights."""
    objective, speckles, at = weights.objective, weights.speckles, state.at
    independent = ScoreNoise(at.hessian, at.hessian)
    if objective.robust:
        independent = ScoreNoise(*objective.sandwich_parts(state.x, at))
    variance, report = independent.variance, NoiseReport()
    if speckles is not None:
        noise = speckle_noise(dataset, objective, state.x, at, speckles)
        variance = _variance(objective, noise, state, independent)
        report = replace(speckles.report, shared_out=weights.share is not None)
    return NoisyFit(
        pairs=objective,
        state=state,
        report=report,
        actual=ScoreNoise(independent.curvature, variance),
        independent=independent,
        n_points=objective.tiles.n_points,
        plain_chi2=at.chi2,
    )


def _variance(
    objective: PairObjective, noise: SpeckleNoise, state: MinimiserState, independent: ScoreNoise
) -> Arrow:
    assembled = state.at.directions.assembled
    if objective.robust:
        # Robust sums are not kept by angle.
        return independent.variance.plus(assembled(noise.scores), float(noise.white.mean()))
    return assembled(noise.variances(objective.angle_hessians(state.x, state.at)))


def _due_sigma(
    objective: PairObjective, at: Projection, hessians: FloatArray, noise: SpeckleNoise
) -> FloatArray:
    n_phi, p = len(hessians), len(at.gradient)
    # Contrast and offset projected out of every angle's part as they are out of the sum.
    projector = np.concatenate([np.broadcast_to(np.eye(p), (n_phi, p, p)), at.response], axis=1)
    inside = projector.swapaxes(1, 2) @ hessians @ projector
    variances = projector.swapaxes(1, 2) @ noise.variances(hessians) @ projector
    inverse = pseudo_inverse(inside.sum(axis=0)).matrix
    expected = np.einsum("ij,aji->a", inverse, inside)
    varied = np.einsum("ij,aji->a", inverse, variances)
    informed = (expected > 0.0) & (varied > 0.0)
    ratio = np.where(informed, varied, 1.0) / np.where(informed, expected, 1.0)
    # An angle that says nothing about the parameters keeps the average share.
    ratio[~informed] = np.mean(ratio[informed]) if informed.any() else 1.0
    pairs, weights = objective.tiles.moments.n_points, objective.sigma**-2.0
    factor = float(pairs @ (weights / ratio)) / float(pairs @ weights)
    return np.asarray(objective.sigma * np.sqrt(ratio * factor))
