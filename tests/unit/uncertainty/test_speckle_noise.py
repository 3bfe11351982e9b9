"""Speckle noise: closed forms against permutations and drawing, blocks against frames, M."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.uncertainty import speckle_noise as module
from homodyne_cli.core.uncertainty.speckle_noise import speckle_noise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import AnalysisMode, Convention, NoiseWeights
from homodyne_cli.problem import FitProblem, SolverOptions
from homodyne_cli.results import IterationRecord
from tests.support.arrows import dense
from tests.support.datasets import PUBLISHED, RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns, signed_g1
from tests.support.particles import FREE, THREE_ANGLES, particle_dataset, particle_problem
from tests.support.problems import make_problem


def seen(n_phi: int, photons: float = 1e6) -> SpecklesSeen:
    """One speckle, one mode and a background."""
    w = np.full(n_phi, 1.0 / photons)
    return SpecklesSeen(SpeckleEstimate(1.0, 0.1, w, 0.1 * w, 1.0, 0.0, np.ones(n_phi)), 0.0)


def score_variances(data: Dataset, objective: PairObjective, x: FloatArray) -> FloatArray:
    at = objective.derivatives(x)
    noise = speckle_noise(data, objective, x, at, seen(data.n_phi))
    return noise.variances(objective.angle_hessians(x, at))


def moment(g: FloatArray, frames: tuple[int, ...]) -> float:
    """Mean product of I - 1 over frames: permutations without fixed points, one by one."""
    total = 0.0
    for order in permutations(range(len(frames))):
        if all(place != k for k, place in enumerate(order)):
            total += float(np.prod([g[frames[k], frames[place]] for k, place in enumerate(order)]))
    return total


def slow_covariance(
    g: FloatArray, root: float, first: tuple[int, int], second: tuple[int, int]
) -> float:
    """Covariance of x_i x_j - b (x_i + x_j) at two pairs, term by term."""
    terms = []
    for i, j in (first, second):
        b = root * g[i, j] ** 2
        terms.append([(1.0, (i, j)), (-b, (i,)), (-b, (j,))])
    means = [sum(c * moment(g, at) for c, at in part) for part in terms]
    product = sum(c * d * moment(g, at + to) for c, at in terms[0] for d, to in terms[1])
    return float(product - means[0] * means[1])


def test_permutations_give_the_moments_of_drawn_intensities() -> None:
    """Two frames, f = 0.49, contrast 0.3: to 2%, 400,000 draws."""
    g = np.array([[1.0, -0.7], [-0.7, 1.0]])
    real, imaginary = np.random.default_rng(1).standard_normal((2, 2, 400_000)) / np.sqrt(2.0)
    root = np.linalg.cholesky(g)
    x = (root @ real) ** 2 + (root @ imaginary) ** 2 - 1.0
    b = np.sqrt(0.3) * 0.49
    psi = x[0] * x[1] - b * (x[0] + x[1])
    assert psi.mean() == pytest.approx(0.49, abs=0.02)
    assert psi.var() == pytest.approx(slow_covariance(g, np.sqrt(0.3), (0, 1), (0, 1)), rel=0.02)


@pytest.mark.parametrize(
    ("mode", "convention"),
    [("laminar_flow", "he2024"), ("laminar_flow", "homodyne-2"), ("static", "he2024")],
)
def test_score_covariance_is_the_sum_over_pairs_of_pairs(
    mode: AnalysisMode, convention: Convention
) -> None:
    """Columns from autodiff of the plain model; five pairs are missing."""
    values = RESOLVED[: 7 if mode == "laminar_flow" else 3]
    data = make_dataset(
        7, 2, parameters=values, convention=convention, seed=4, noise=0.01, masked=5
    )
    problem = make_problem(mode, convention, start=tuple(values))
    objective = build_objective(data, problem, np.array([0.05, 0.08]))
    at = objective.derivatives(objective.free.start)
    found = score_variances(data, objective, values)

    i, j = np.triu_indices(7, 1)
    # (n_phi, columns, pairs): parameters, then f, 1 and y, zero where masked.
    columns = autodiff_columns(data, values, convention)
    for a, sigma in enumerate(objective.sigma):
        c = float(at.contrast[a])
        scaling = columns[a, -3:-1]
        jacobian = np.concatenate([c * columns[a, : len(values)], scaling]) * c / sigma**2
        g = signed_g1(values, data.t, data.phi[a], float(data.q[a]), 2e6, convention)
        pairs = list(zip(i.tolist(), j.tolist(), strict=True))
        cov = np.array([[slow_covariance(g, np.sqrt(c), p, q) for q in pairs] for p in pairs])
        slow = jacobian @ cov @ jacobian.T
        scale = np.sqrt(np.where(np.diag(slow) > 0.0, np.diag(slow), 1.0))
        unit = np.outer(scale, scale)
        np.testing.assert_allclose(found[a] / unit, slow / unit, atol=1e-5)


def scatter_of(data: Dataset, problem: FitProblem) -> FloatArray:
    """Parameters' scatter that speckles alone would cause at the start of the problem."""
    objective = build_objective(data, problem, dataset_sigma(data))
    x = objective.free.start
    at = objective.derivatives(x)
    inverse = np.linalg.inv(dense(at.hessian))
    score = dense(at.directions.assembled(score_variances(data, objective, x)))
    return np.asarray(np.sqrt(np.diag(inverse @ score @ inverse))[: len(x)])


def test_blocks_of_frames_give_the_uncertainty_of_all_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks of three frames, correlated over about ten."""
    data, problem = particle_dataset(THREE_ANGLES, seed=0), particle_problem(THREE_ANGLES)
    exact = scatter_of(data, problem)
    monkeypatch.setattr(module, "_MOST_BLOCKS", 20)
    np.testing.assert_allclose(scatter_of(data, problem), exact, rtol=0.05)


def test_missing_pairs_and_a_sigma_map_are_part_of_the_weights() -> None:
    """A map that all but removes a frame acts as that frame masked: to 1e-3."""
    data, problem = particle_dataset(THREE_ANGLES, seed=0), particle_problem(THREE_ANGLES)
    masked = data.array.copy()
    masked[:, 20], masked[:, :, 20] = np.nan, np.nan
    sigma = np.full(data.c2.shape, 0.05)
    sigma[:, 20], sigma[:, :, 20] = 5.0, 5.0
    plain = replace(data, c2=masked, sigma=np.full(data.n_phi, 0.05))
    without = scatter_of(plain, problem)
    np.testing.assert_allclose(scatter_of(replace(data, sigma=sigma), problem), without, rtol=1e-3)


@pytest.mark.parametrize(("frames", "angles", "seed"), [(60, 4, 5), (120, 3, 6), (200, 5, 7)])
def test_white_noise_leaves_the_inverse_hessian_as_it_is(
    frames: int, angles: int, seed: int
) -> None:
    data = make_dataset(frames, angles, seed=seed)
    result = fit(data, make_problem(start=tuple(PUBLISHED)))
    assert result.noise.white_share == 1.0
    assert np.isinf(result.noise.n_speckles)
    for p in result.parameters:
        assert p.uncertainty == p.uncertainty_hessian


def test_particle_data_give_their_number_of_speckles_and_wide_uncertainties() -> None:
    """Of one realisation M is known to 13% (docs/uncertainties.md)."""
    data = particle_dataset(THREE_ANGLES, seed=1)
    solver = SolverOptions(global_search=False)
    problem = replace(particle_problem(THREE_ANGLES, solver=solver), weights="equal")
    result = fit(data, problem)
    assert 350.0 < result.noise.n_speckles < 1000.0
    assert result.noise.white_share < 0.2
    factors = [p.uncertainty / p.uncertainty_hessian for p in result.parameters if p.name in FREE]
    assert min(factors) > 5.0


@pytest.mark.parametrize("weights", ["equal", "best"])
@pytest.mark.parametrize("search", [True, False])
def test_steps_are_told_once_and_numbered_through(search: bool, weights: NoiseWeights) -> None:
    """All descents of a fit with shared-out sigma or renewed covariances, and last steps."""
    told: list[IterationRecord] = []
    problem = particle_problem(THREE_ANGLES, solver=SolverOptions(global_search=search))
    problem = replace(problem, weights=weights)
    result = fit(particle_dataset(THREE_ANGLES, seed=1), problem, told.append)
    assert result.noise.shared_out == (weights == "equal")
    assert tuple(told) == result.history
    assert [step.iteration for step in told] == list(range(len(told)))
    assert [step.seconds for step in told] == sorted(step.seconds for step in told)
