"""Small linear algebra of the solver: bounded steps and systems that are singular."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from homodyne_cli.core.minimise.state import linear_step
from homodyne_cli.core.numerics.gram import (
    gauss_newton_step,
    project_out,
    pseudo_inverse,
    solve_gram,
)
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.dataset import FloatArray
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem


def jacobian(seed: int, columns: int) -> FloatArray:
    return np.random.default_rng(seed).normal(size=(12, columns))


def room(seed: int, columns: int) -> tuple[FloatArray, FloatArray]:
    below, above = np.random.default_rng(seed + 1).uniform(0.0, 0.3, (2, columns))
    return below, above


@given(seed=st.integers(0, 10_000))
def test_bounded_step_is_the_minimum_of_the_quadratic_model_within_the_bounds(seed: int) -> None:
    j, r = jacobian(seed, 4), np.random.default_rng(seed + 2).normal(size=12)
    below, above = room(seed, 4)
    step, gained = gauss_newton_step(j.T @ j, j.T @ r, below, above)
    best = optimize.lsq_linear(j, -r, bounds=(-below, above), method="trf", tol=1e-14)
    assert np.all((step >= -below - 1e-12) & (step <= above + 1e-12))
    assert gained == pytest.approx(float(r @ r) - 2.0 * best.cost, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_a_bounded_step_stays_where_the_data_do_not_see(seed: int) -> None:
    """A single angle sees rate and direction only together; alpha wants to leave its bound.

    Without a weight on its length most of these steps take phi0 to one of its bounds, twelve or
    seven degrees away, and half of them then promise nothing.
    """
    near = np.array([317.5, -2.0, 4928.0, 1.0226e-3, -0.24987, 8.3457e-5, 2.5259])
    angle = np.array([20.0])
    data = make_dataset(100, 1, parameters=RESOLVED, noise=0.01, seed=1, phi=angle)
    problem = make_problem(start=tuple(near))
    objective = build_objective(data, problem, dataset_sigma(data))
    free = objective.free
    x = near * (1.0 + 1e-3 * np.random.default_rng(seed).normal(size=7))
    x[1] = free.lower[1]
    at = objective.derivatives(x)
    step, gained = linear_step(at, x, free)
    assert abs(step[6]) < 1.0
    expected = -2.0 * at.gradient @ step - step @ at.reduced_hessian @ step
    assert gained == pytest.approx(float(expected), rel=1e-6)
    assert gained > 0.0


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
def test_gram_systems_are_solved_whatever_their_scale(seed: int, scale: float) -> None:
    j = jacobian(seed, 5)
    j[:, 0] *= scale
    wanted = np.random.default_rng(seed + 3).normal(size=(5, 2))
    found = solve_gram(j.T @ j, j.T @ j @ wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 / min(scale, 1.0))


def test_a_singular_gram_system_gets_the_shortest_answer() -> None:
    j = jacobian(1, 3)
    j[:, 2] = j[:, 1]
    right = j.T @ np.ones(12)
    expected = np.linalg.pinv(j) @ np.ones(12)
    np.testing.assert_allclose(solve_gram(j.T @ j, right), expected, rtol=1e-8)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
def test_columns_projected_out_leave_what_they_do_not_span(seed: int, scale: float) -> None:
    j = jacobian(seed, 6)
    j[:, 1] *= scale
    kept, rest = [0, 1, 4], [2, 3, 5]
    basis, _ = np.linalg.qr(j[:, rest])
    outside = j[:, kept] - basis @ (basis.T @ j[:, kept])
    norm = np.linalg.norm(outside, axis=0)
    unit = project_out(j.T @ j, kept) / np.outer(norm, norm)
    np.testing.assert_allclose(unit, outside.T @ outside / np.outer(norm, norm), atol=1e-6)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
def test_the_inverse_leaves_out_what_is_undetermined_whatever_the_scale(
    seed: int, scale: float
) -> None:
    """Columns 1 and 2 alike: their difference is undetermined, the rest as with one of them."""
    j = jacobian(seed, 4)
    j[:, 0] *= scale
    j[:, 2] = j[:, 1]
    inverse = pseudo_inverse(j.T @ j)
    assert inverse.null.shape == (4, 1)
    np.testing.assert_allclose(
        np.abs(inverse.null[:, 0]), [0.0, 0.5**0.5, 0.5**0.5, 0.0], atol=1e-6
    )
    alone = np.linalg.inv(np.delete(j, 2, axis=1).T @ np.delete(j, 2, axis=1))
    found = inverse.matrix[np.ix_([0, 3], [0, 3])]
    expected = alone[np.ix_([0, 2], [0, 2])]
    size = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        found / np.outer(size, size), expected / np.outer(size, size), atol=1e-5
    )


@pytest.mark.parametrize("right", [np.zeros(0), np.zeros((0, 3))], ids=["vector", "matrix"])
def test_a_system_without_unknowns_has_an_empty_answer(right: FloatArray) -> None:
    assert solve_gram(np.zeros((0, 0)), right).shape == right.shape
