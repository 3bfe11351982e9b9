"""Which of several equal answers is reported, and which others there are: bounds and signs."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from homodyne_cli.core.minimise.coordinates import ScaledCoordinates
from homodyne_cli.core.minimise.state import MinimiserState, StopReason
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.uncertainty.symmetries import _flip, _turned, canonical, equivalents
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES
from tests.unit.uncertainty.test_covariance import at_minimum

SHEAR = ("gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0")
X = np.array([1e-3, -0.5, 2e-4, 20.0])


def free(
    names: tuple[str, ...] = SHEAR, phi0: tuple[float, float] = (-180.0, 180.0)
) -> FreeParameters:
    span = {"gamma_dot_t0": (-0.5, 0.5), "beta": (-2.0, 2.0), "gamma_dot_t_offset": (-0.1, 0.1)}
    bounds = np.array([span.get(name, phi0) for name in names])
    return FreeParameters(names, np.zeros(len(names)), bounds[:, 0], bounds[:, 1])


def dataset(phi: list[float], t: FloatArray | None = None) -> Dataset:
    times = np.array([1.0, 4.0]) if t is None else t
    n_phi, n = len(phi), len(times)
    return Dataset(np.ones((n_phi, n, n)), np.array(phi), times, np.ones(n_phi), 1.0, 1.0, None, {})


def objective(of: FreeParameters, beta: float = 0.0) -> Objective:
    """All that is asked of one: its free parameters, and where they stand among all."""

    def expand(x: FloatArray) -> FloatArray:
        values = dict(zip(of.names, x.tolist(), strict=True))
        return np.array([values.get(name, beta * (name == "beta")) for name in NAMES])

    return cast(Objective, SimpleNamespace(free=of, expand=expand))


def state(x: FloatArray) -> MinimiserState:
    p = len(x)
    root = np.random.default_rng(2).standard_normal((p + 2, p))
    at = replace(at_minimum(root.T @ root), gradient=np.arange(1.0, p + 1.0))
    return MinimiserState(x, at, cast(ScaledCoordinates, None), StopReason.GTOL, 1, ())


@pytest.mark.parametrize(
    ("value", "low", "high", "turned"),
    [
        (10.0, -200.0, 200.0, [-170.0, 190.0]),
        (10.0, -170.0, 190.0, [-170.0, 190.0]),
        (10.0, -169.9, 189.9, []),
        (10.0, -1000.0, 1000.0, [-350.0, -170.0, 190.0]),
        (0.0, -1000.0, 1000.0, [-360.0, -180.0, 180.0, 360.0]),
        (0.0, -1000.0, 359.0, [-360.0, -180.0, 180.0]),
    ],
)
def test_half_turns_within_a_turn_and_the_bounds(
    value: float, low: float, high: float, turned: list[float]
) -> None:
    assert _turned(value, low, high) == turned


def test_the_rate_turns_where_model_and_bounds_let_it() -> None:
    """All of the shear rate and nothing else; at a bound is inside."""
    signs = _flip(X, free(), "he2024")
    assert signs is not None
    np.testing.assert_array_equal(signs, [-1.0, 1.0, -1.0, 1.0])
    assert _flip(X, free(), "homodyne-2") is None
    assert _flip(X[:2], free(SHEAR[:2]), "he2024") is None
    for lower, turns in ((-1e-3, True), (-0.99e-3, False)):
        bounded = replace(free(), lower=np.array([lower, -2.0, -0.1, -180.0]))
        assert (_flip(X, bounded, "he2024") is not None) == turns
    for upper, turns in ((2e-4, True), (1.99e-4, False)):
        bounded = replace(free(), upper=np.array([0.5, 2.0, upper, 180.0]))
        assert (_flip(X * [1.0, 1.0, -1.0, 1.0], bounded, "he2024") is not None) == turns


@pytest.mark.parametrize(
    ("phi0", "reported"), [(160.0, -20.0), (-100.0, 80.0), (80.0, 80.0), (-89.0, -89.0)]
)
def test_phi0_is_reported_nearest_zero(phi0: float, reported: float) -> None:
    x = np.append(X[:3], phi0)
    assert canonical(state(x), objective(free()), dataset([0.0, 30.0]), "he2024").x[3] == reported
    # Half a turn on is outside.
    narrow = free(phi0=(phi0 - 1.0, phi0 + 1.0))
    assert canonical(state(x), objective(narrow), dataset([0.0, 30.0]), "he2024").x[3] == phi0


@pytest.mark.parametrize(("offset", "turns"), [(-0.49e-3, False), (-0.51e-3, True)])
def test_the_rate_at_mid_window_is_positive(offset: float, turns: bool) -> None:
    """Frames at 1 s and 16 s: the rate at 4 s is 1e-3 4^-0.5 + offset."""
    x = np.array([1e-3, -0.5, offset, 20.0])
    start, data = state(x), dataset([0.0], t=np.array([1.0, 16.0]))
    sign = np.array([-1.0, 1.0, -1.0, 1.0]) if turns else np.ones(4)
    for begin in (start, replace(start, x=x)):
        end = canonical(begin, objective(free()), data, "he2024")
        np.testing.assert_array_equal(end.x, sign * x)
        np.testing.assert_array_equal(end.at.gradient, sign * start.at.gradient)
        expected = np.outer(sign, sign) * start.at.hessian.head
        np.testing.assert_array_equal(end.at.hessian.head, expected)
    assert canonical(start, objective(free()), data, "homodyne-2").x[0] == 1e-3


@pytest.mark.parametrize(("beta", "turns"), [(-0.5, True), (0.0, False), (0.5, False)])
def test_an_exponent_that_is_held_counts_as_well(beta: float, turns: bool) -> None:
    """The rate at 4 s is 1e-3 4^beta - 0.7e-3."""
    x = np.array([1e-3, -0.7e-3, 20.0])
    held = objective(free((SHEAR[0], *SHEAR[2:])), beta)
    end = canonical(state(x), held, dataset([0.0], t=np.array([1.0, 16.0])), "he2024")
    np.testing.assert_array_equal(end.x[:2], -x[:2] if turns else x[:2])


def of_phi0(phi: list[float], bounds: tuple[float, float] = (-180.0, 180.0)) -> list[float]:
    told = equivalents(X[3:], free(("phi0",), bounds), dataset(phi), "he2024")
    assert all(list(one) == ["phi0"] for one in told)
    return sorted(one["phi0"] for one in told)


def test_mirrors_need_angles_that_are_equal_modulo_a_quarter_turn() -> None:
    """phi0 = 20 mirrored at 5 is -10; each has one other half a turn away."""
    assert of_phi0([5.0]) == pytest.approx([-160.0, -10.0, 170.0])
    assert of_phi0([5.0, 95.0, -85.0]) == pytest.approx([-160.0, -10.0, 170.0])
    assert of_phi0([5.0, 95.0009]) == pytest.approx([-160.0, -10.0, 170.0])
    assert of_phi0([5.0, 4.9991]) == pytest.approx([-160.0, -10.0, 170.0])
    assert of_phi0([5.0, 95.0011]) == [-160.0]
    assert of_phi0([5.0, 4.9989]) == [-160.0]
    assert of_phi0([5.0, 50.0]) == [-160.0]
    # The mirror image is phi0 itself, or half a turn from it.
    assert of_phi0([20.0]) == [-160.0]
    assert of_phi0([110.0]) == [-160.0]
    assert of_phi0([20.0009 - 0.0005]) == [-160.0]
    assert len(of_phi0([20.0011])) == 3
    assert of_phi0([5.0], (-10.0, 30.0)) == pytest.approx([-10.0])
    assert of_phi0([5.0], (-9.9, 30.0)) == []
    assert of_phi0([30.0], (0.0, 40.0)) == pytest.approx([40.0])
    assert of_phi0([30.0], (0.0, 39.9)) == []


def test_the_other_sign_of_the_rate_is_an_equivalent() -> None:
    told = equivalents(X, free(), dataset([0.0, 30.0]), "he2024")
    assert told == ({"phi0": -160.0}, {"gamma_dot_t0": -1e-3, "gamma_dot_t_offset": -2e-4})
    assert equivalents(X[:3], free(SHEAR[:3]), dataset([0.0]), "he2024") == told[1:]
    diffusion = FreeParameters(NAMES[:3], np.zeros(3), np.full(3, -1e6), np.full(3, 1e6))
    assert equivalents(np.ones(3), diffusion, dataset([0.0]), "he2024") == ()
