"""Ends of profile intervals on curves in closed form, and the rise that they are looked for at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from homodyne_cli.core.uncertainty.profile_likelihood import _crossing, _rise
from homodyne_cli.problem import Bounds
from homodyne_cli.results import FitResult, FittedParameter

NAN = float("nan")


def parameter(
    value: float = 3.0,
    uncertainty: float = 0.5,
    hessian: float = 0.25,
    bounds: tuple[float, float] = (-1e9, 1e9),
) -> FittedParameter:
    return FittedParameter(
        "alpha", value, uncertainty, "", value, Bounds(*bounds), at_bound=False, fixed=False,
        unmoved=False, uncertainty_hessian=hessian,
    )  # fmt: skip


def result(*parameters: FittedParameter) -> FitResult:
    return cast(FitResult, SimpleNamespace(parameters=parameters))


def test_chi2_rises_by_the_square_of_what_noise_adds() -> None:
    """Of the parameter, of the median of the others where it has none, or by one."""
    own = parameter(uncertainty=0.6, hessian=0.2)
    others = [parameter(uncertainty=u, hessian=0.1) for u in (0.2, 0.3, 0.7)]
    assert _rise(result(own, *others), own) == pytest.approx(9.0)
    for unknown in (
        parameter(uncertainty=NAN, hessian=0.2),
        parameter(uncertainty=0.2, hessian=NAN),
        parameter(uncertainty=0.0, hessian=0.2),
        parameter(uncertainty=0.2, hessian=0.0),
    ):
        assert _rise(result(unknown, *others), unknown) == pytest.approx(9.0)
        assert _rise(result(unknown), unknown) == 1.0


def counting(
    curve: Callable[[float], float],
) -> tuple[Callable[[float], float], list[float]]:
    asked: list[float] = []

    def above(value: float) -> float:
        asked.append(value)
        return curve(value)

    return above, asked


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize("reach", [0.2, 0.5, 0.51, 1.4, 3.6, 100.0])
def test_an_end_is_where_the_curve_crosses(side: float, reach: float) -> None:
    """To a fiftieth of the uncertainty 0.5; each step out is twice the last."""
    above, asked = counting(lambda v: (v - 3.0) ** 2 / reach**2 - 1.0)
    end = _crossing(above, parameter(), side, side * 1e9)
    assert end is not None
    assert end == pytest.approx(3.0 + side * reach, abs=0.01)
    outward = [3.0 + side * 0.5 * (2.0**k - 1.0) for k in range(1, 12)]
    needed = next(k for k, v in enumerate(outward) if abs(v - 3.0) >= reach)
    assert asked[: needed + 1] == pytest.approx(outward[: needed + 1])
    assert needed == 0 or abs(end - 3.0) >= abs(outward[needed - 1] - 3.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_bound_ends_what_does_not_cross(side: float) -> None:
    def curve(value: float) -> float:
        return (value - 3.0) ** 2 / 1.2**2 - 1.0

    assert _crossing(curve, parameter(), side, 3.0 + side * 1.1) is None
    at = _crossing(curve, parameter(), side, 3.0 + side * 1.3)
    assert at == pytest.approx(3.0 + side * 1.2, abs=0.01)
    # Nothing is asked where there is no room, or beyond a bound.
    above, asked = counting(curve)
    assert _crossing(above, parameter(), side, 3.0) is None
    assert asked == []
    assert _crossing(above, parameter(), side, 3.0 + side * 0.5) is None
    assert asked == [3.0 + side * 0.5]


def test_an_end_beyond_sixteen_doublings_is_none() -> None:
    """2^16 - 1 uncertainties of 0.5 out."""
    for reach, is_found in ((0.49 * 65535.0, True), (0.51 * 65535.0, False)):
        end = _crossing(lambda v, r=reach: abs(v - 3.0) - r, parameter(), 1.0, 1e9)  # type: ignore[misc]
        assert (end is not None) == is_found


@pytest.mark.parametrize("unknown", [NAN, 0.0])
def test_without_an_uncertainty_the_first_step_is_a_share_of_the_bounds(unknown: float) -> None:
    """A ten thousandth of 20."""
    above, asked = counting(lambda v: abs(v - 3.0) - 0.001)
    end = _crossing(above, parameter(uncertainty=unknown, bounds=(-5.0, 15.0)), 1.0, 15.0)
    assert asked[0] == pytest.approx(3.002)
    assert end == pytest.approx(3.001, abs=4e-5)
