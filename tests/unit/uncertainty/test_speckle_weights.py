"""Scores of robust fits and of fits with a noise map among speckles, pair of pairs by pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.uncertainty.speckle_noise import speckle_noise
from homodyne_cli.parameters import Loss
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns, signed_g1
from tests.support.problems import make_problem
from tests.support.speckle_moments import BrightSpeckle

N, SIGMA = 6, np.array([0.02, 0.03])


@pytest.mark.parametrize("noise_map", [False, True])
@pytest.mark.parametrize("loss", ["linear", "soft_l1"])
def test_scores_are_weighed_as_the_fit_weighs_pairs(loss: Loss, noise_map: bool) -> None:
    """rho' of soft_l1 is (1 + z)^(-1/2), z the square of a residual in units of its noise.

    Of 40 and 60 speckles of 1.6 modes; what each pair has for itself, w^2, is left out.
    """
    data = make_dataset(N, 2, parameters=RESOLVED, seed=4, noise=0.03, masked=3)
    i, j = np.triu_indices(N, 1)
    relative = np.ones((2, N, N))
    if noise_map:
        relative = np.random.default_rng(2).uniform(0.7, 1.6, (2, N, N))
        relative = 0.5 * (relative + relative.swapaxes(1, 2))
        data = replace(data, sigma=SIGMA[:, None, None] * relative)
    problem = make_problem(start=tuple(RESOLVED), solver=SolverOptions(loss=loss))
    objective = build_objective(data, problem, SIGMA)
    assert objective.robust == (loss != "linear")
    x = objective.free.start
    at = objective.derivatives(x)
    w, modes = np.array([0.2, 0.3]), 1.6
    estimate = SpeckleEstimate(50.0, 5.0, w, 0.1 * w, modes, 0.0, np.array([0.8, 1.2]))
    found = speckle_noise(data, objective, x, at, SpecklesSeen(estimate, 0.5))

    columns = autodiff_columns(data, RESOLVED, "he2024")
    for a, sigma in enumerate(SIGMA.tolist()):
        c = float(at.contrast[a])
        known = np.isfinite(data.array[a][i, j])
        f = columns[a, -3]
        fit = c * f + at.offset[a]
        z = ((np.where(known, data.array[a][i, j], fit) - fit) / sigma) ** 2
        base = known * relative[a][i, j] ** -2.0
        factor = 1.0 / np.sqrt(1.0 + base * z) if loss == "soft_l1" else 1.0
        jacobian = np.vstack([c * columns[a, :-3], f, np.ones_like(f)])
        weighed = jacobian * base * factor / sigma**2
        g1 = signed_g1(RESOLVED, data.t, data.phi[a], float(data.q[a]), 2e6, "he2024")
        speckle = BrightSpeckle(g1, c, float(w[a]), modes)
        pairs = list(zip(i.tolist(), j.tolist(), strict=True))
        shared = np.array([[speckle.covariance(p, q) for q in pairs] for p in pairs])
        shared -= w[a] ** 2 * np.eye(len(pairs))
        slow = weighed @ shared @ weighed.T / (50.0 * [0.8, 1.2][a])
        scale = np.sqrt(np.where(np.diag(slow) > 0.0, np.diag(slow), 1.0))
        unit = np.outer(scale, scale)
        np.testing.assert_allclose(found.scores[a] / unit, slow / unit, atol=1e-5)
    white = np.ones(2) if noise_map else w**2 / (50.0 * np.array([0.8, 1.2]) * SIGMA**2)
    np.testing.assert_allclose(found.white, white, rtol=1e-12)


def test_without_speckles_noise_is_what_the_fit_takes_it_for() -> None:
    data = make_dataset(N, 2, parameters=RESOLVED, seed=4, noise=0.03)
    objective = build_objective(data, make_problem(start=tuple(RESOLVED)), SIGMA)
    at = objective.derivatives(objective.free.start)
    noise = speckle_noise(data, objective, objective.free.start, at, None)
    hessians = objective.angle_hessians(objective.free.start, at)
    np.testing.assert_array_equal(noise.variances(hessians), hessians)
    assert noise.speckles is None
