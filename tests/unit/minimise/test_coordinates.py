"""Coordinates of the optimiser: there and back, their Jacobian, bounds, and what a scale means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.coordinates import Coordinates, coordinates_of
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.trust_region import run_trust_region
from homodyne_cli.core.minimise.x_scale import choose_scale
from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES, PARAMETERS
from homodyne_cli.problem import Bounds, ShearTransforms, SolverOptions
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

BOUNDS = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
LOWER, UPPER = np.array([(p.lower, p.upper) for p in PARAMETERS]).T
KINDS = [
    ShearTransforms(),
    ShearTransforms(enabled=True, gamma_dot_t0_ref=2e-3, beta_ref=-0.2),
    ShearTransforms(decorrelate=True),
    ShearTransforms(enabled=True, gamma_dot_t0_ref=2e-3, beta_ref=-0.2, decorrelate=True),
]
DATA = make_dataset(60, 4, parameters=RESOLVED, noise=0.01, seed=5)
START = tuple(RESOLVED * [1.3, 0.8, 1.2, 0.8, 1.2, 1.5, 0.8])


def made(kind: ShearTransforms) -> Coordinates:
    return coordinates_of(NAMES, kind, BOUNDS, 3.7)


def inside(seed: int) -> FloatArray:
    return np.asarray(LOWER + np.random.default_rng(seed).random(7) * (UPPER - LOWER))


@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_and_the_jacobian(kind: ShearTransforms) -> None:
    moves = made(kind)
    for seed in range(5):
        x = inside(seed)
        u = moves.to_u(x)
        np.testing.assert_allclose(moves.to_x(u), x, rtol=1e-12, atol=1e-12)
        steps = 1e-6 * np.maximum(np.abs(u), 1e-3)
        numeric = [
            (moves.to_x(u + step) - moves.to_x(u - step)) / (2.0 * size)
            for step, size in zip(np.diag(steps), steps, strict=True)
        ]
        # Central differences lose half of the digits.
        scale = np.abs(moves.jacobian(x)).max(axis=1, keepdims=True)
        np.testing.assert_allclose(
            np.transpose(numeric) / scale, moves.jacobian(x) / scale, atol=1e-6
        )


@pytest.mark.parametrize("kind", KINDS)
def test_shifted_coordinates_differ_by_the_shift(kind: ShearTransforms) -> None:
    plain = made(kind)
    shift = np.random.default_rng(3).normal(size=7)
    moves = plain.shifted(shift)
    for seed in range(5):
        x = inside(seed)
        np.testing.assert_allclose(moves.to_u(x) - plain.to_u(x), shift, atol=1e-9)
        np.testing.assert_allclose(moves.to_x(plain.to_u(x) + shift), x, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(moves.jacobian(x), plain.jacobian(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_box_holds_every_point_inside_the_bounds_and_no_slack(kind: ShearTransforms) -> None:
    moves = made(kind)
    low, high = moves.box(LOWER, UPPER)
    points = np.array([moves.to_u(inside(seed)) for seed in range(500)])
    assert np.all((points >= low) & (points <= high))
    corners = np.array(np.meshgrid(*zip(LOWER[3:5], UPPER[3:5], strict=True))).reshape(2, -1).T
    images = []
    for a, e in corners:
        x = inside(0)
        x[3:5] = a, e
        images.append(moves.to_u(x)[3])
    assert low[3] == pytest.approx(min(images))
    assert high[3] == pytest.approx(max(images))


def test_the_rate_at_the_reference_time_is_the_coordinate() -> None:
    x = RESOLVED
    u = made(KINDS[2]).to_u(x)
    assert u[0] == pytest.approx(x[0] * 3.7 ** x[1])
    assert u[3] == pytest.approx(x[3] * 3.7 ** x[4])
    np.testing.assert_array_equal(np.delete(u, [0, 3]), np.delete(x, [0, 3]))
    logged = made(KINDS[3]).to_u(x)
    assert logged[3] == pytest.approx(np.log(x[3] * 3.7 ** x[4] / 2e-3))


def test_amplitude_and_exponent_of_the_shear_rate_are_less_correlated() -> None:
    problem = make_problem(start=tuple(RESOLVED))
    objective = build_objective(DATA, problem, dataset_sigma(DATA))
    hessian = objective.derivatives(RESOLVED).reduced_hessian
    slope = coordinates_of(NAMES, KINDS[2], BOUNDS, reference_time(DATA.t)).jacobian(RESOLVED)
    turned = slope.T @ hessian @ slope
    before, after = (abs(m[3, 4]) / np.sqrt(m[3, 3] * m[4, 4]) for m in (hessian, turned))
    assert before > 0.7
    assert after < 0.3


@pytest.mark.parametrize("scale", ["auto", "unit", "jac", "config"])
def test_the_minimum_is_the_same(scale: str) -> None:
    table = {"D0": 1e3, "alpha": 0.1, "D_offset": 1e3, "gamma_dot_t0": 1e-4, "beta": 0.1}
    options = SolverOptions(
        x_scale=scale,  # type: ignore[arg-type]
        x_scale_map={**table, "gamma_dot_t_offset": 1e-4},
        max_iterations=400,
    )
    plain, turned = (
        fit(DATA, make_problem(start=START, solver=replace(options, shear_transforms=kind)))
        for kind in (KINDS[0], KINDS[2])
    )
    # D0 and D_offset lie in a valley here, in which a descent may stop 0.01 above the floor.
    assert turned.chi2 == pytest.approx(plain.chi2, abs=0.02)
    errors = np.array([p.uncertainty for p in plain.parameters])
    assert np.all(np.abs(turned.values - plain.values) < 0.15 * errors)
    if scale == "config":
        assert turned.x_scale == plain.x_scale


def test_a_given_scale_is_a_step_of_the_physical_parameter() -> None:
    """One unit along u_k moves parameter k by x_scale_k, in every kind of coordinates."""
    wanted = np.array([1e3, 0.1, 1e2, 1e-4, 0.05, 1e-5, 0.5])
    options = SolverOptions(
        x_scale="config",
        x_scale_map=dict(zip(NAMES, wanted.tolist(), strict=True)),
        max_iterations=1,
    )
    problem = make_problem(start=START)
    objective = build_objective(DATA, problem, dataset_sigma(DATA))
    for kind in KINDS:
        moves = made(kind)
        log = Minimisation(objective, options, moves)
        run_trust_region(log)
        np.testing.assert_array_equal(log.scaled.x_scale, wanted)
        own = np.diag(moves.jacobian(objective.free.start))
        np.testing.assert_allclose(log.scaled.scale * own, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_of_the_amplitude_hold_and_the_minimum_on_them_is_found(
    kind: ShearTransforms,
) -> None:
    """The unbounded minimum lies outside: the rate's box is left, and the fit goes on."""
    tight = {"D0": Bounds(1.0, 6000.0), "gamma_dot_t0": Bounds(1e-6, 0.8e-3)}
    start = (3000.0, -0.2, 1000.0, 5e-4, -0.1, 2e-4, 1.0)
    solver = SolverOptions(shear_transforms=kind, max_iterations=300)
    result = fit(DATA, make_problem(start=start, bounds=tight, solver=solver))
    plain = fit(DATA, make_problem(start=start, bounds=tight, solver=SolverOptions()))
    assert result.converged
    assert result.parameters[0].at_bound
    assert result.parameters[3].at_bound
    for p in result.parameters:
        assert p.bounds.lower <= p.value <= p.bounds.upper
    assert result.chi2 == pytest.approx(plain.chi2, abs=1e-2)


def test_the_reference_time_is_inside_the_window() -> None:
    t = np.asarray(0.25 * np.arange(1, 400), dtype=np.float64)
    assert t[0] < reference_time(t) < t[-1]
    assert np.mean(np.log(t / reference_time(t))) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [{}, {"D0": 20.0, "gamma_dot_t0": 1e-4, "beta": 0.01}])
def test_a_step_of_the_scale_moves_its_parameter_by_the_x_scale(
    kind: ShearTransforms, given: dict[str, float]
) -> None:
    """Whatever the coordinates: a millionth of a step, to first order."""
    coordinates, objective = made(kind), build_objective(DATA, make_problem(), dataset_sigma(DATA))
    options = SolverOptions(x_scale="config" if given else "unit", x_scale_map=given)
    at = objective.derivatives(RESOLVED)
    scaled = choose_scale(options, coordinates, objective.free, RESOLVED, at)
    for k, name in enumerate(NAMES):
        assert scaled.x_scale[k] == given.get(name, 1.0)
        u = coordinates.to_u(RESOLVED)
        u[k] += 1e-6 * scaled.scale[k]
        step = coordinates.to_x(u)[k] - RESOLVED[k]
        assert step == pytest.approx(1e-6 * scaled.x_scale[k], rel=2e-3, abs=1e-15)
