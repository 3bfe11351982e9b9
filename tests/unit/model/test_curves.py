"""Running integrals and their derivatives against adaptive quadrature and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from homodyne_cli.core.model.curves import model_curves, phase_factors, running_integral
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import Convention
from tests.support.datasets import PUBLISHED
from tests.support.oracle import quadrature
from tests.support.oracle import running_integral as slow_integral

T = np.linspace(0.1, 6.0, 60)
#: Around the singular exponent, where the integrand is constant, and out to the bounds.
EXPONENTS = (-2.0, -1.3, -1.0 - 1e-9, -1.0, -1.0 + 1e-9, -0.7, -1e-12, 0.0, 0.4, 1.0, 2.0)
CONVENTIONS: tuple[Convention, ...] = ("he2024", "homodyne-2")


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("offset", [0.0, 0.7, -0.2])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_integrals_are_those_of_quadrature(
    exponent: float, offset: float, convention: Convention
) -> None:
    """Quadrature is asked for 1e-13; sums of 60 steps of either sign lose a digit."""
    rate = np.array([3.0, exponent, offset])
    found = running_integral(T, rate, convention).value
    scale = float(np.sum(np.abs(rate[0] * T**exponent) + abs(offset)) * 0.1)
    np.testing.assert_allclose(
        found, slow_integral(T, rate, convention), rtol=1e-12, atol=1e-14 * scale
    )


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_derivatives_are_integrals_of_the_derivatives_of_the_rate(exponent: float) -> None:
    found = running_integral(T, np.array([3.0, exponent, 0.7]), "he2024").derivatives
    slow = (
        quadrature(T, lambda s: s**exponent),
        quadrature(T, lambda s: 3.0 * s**exponent * math.log(s)),
        T - T[0],
    )
    # The logarithm changes sign at 1 s: what is left of the sum there is known as the whole is.
    for one, other in zip(found, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13 * np.abs(other).max())


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_derivatives_are_finite_differences_of_the_slow_integral(
    exponent: float, convention: Convention
) -> None:
    """Steps of 1e-3 to fourth order leave 1e-12 of the fourth derivative, and 1e-13 / 1e-3."""
    rate = np.array([3.0, exponent, 0.7])
    found = running_integral(T, rate, convention).derivatives
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-3

        def at(multiple: float, step: FloatArray = step) -> FloatArray:
            return slow_integral(T, rate + multiple * step, convention)

        slope = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / 12e-3
        np.testing.assert_allclose(found[k], slope, rtol=1e-8, atol=1e-9 * np.abs(slope).max())


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_first_frame_counts_from_half_a_step(exponent: float) -> None:
    """In `homodyne-2`, where a negative power of the first frame's time would be none."""
    rate, t = np.array([3.0, exponent, 0.7]), T - T[0] + 0.02
    found = running_integral(t, rate, "homodyne-2")
    np.testing.assert_allclose(found.value, slow_integral(t, rate, "homodyne-2"), rtol=1e-12)
    first, second = (3.0 * s**exponent + 0.7 for s in (0.05, 0.12))
    assert found.value[1] == pytest.approx(0.1 * (first + second) / 2.0, rel=1e-12)
    slopes = [0.5 * 0.1 * 3.0 * (s**exponent * math.log(s)) for s in (0.05, 0.12)]
    assert found.derivatives[1, 1] == pytest.approx(sum(slopes), rel=1e-12)


def test_a_floored_rate_moves_nothing() -> None:
    """In `homodyne-2` a rate below its floor is the floor, and does not depend on parameters."""
    rate = np.array([3.0, -1.0, -1.0])
    found = running_integral(T, rate, "homodyne-2")
    floored = 3.0 / T - 1.0 < 0.0
    assert 0 < floored.sum() < len(T)
    np.testing.assert_allclose(found.value, slow_integral(T, rate, "homodyne-2"), rtol=1e-12)
    # Steps between two floored frames.
    still = np.flatnonzero(floored)[1:]
    assert np.all(np.diff(found.derivatives, axis=1)[:, still - 1] == 0.0)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_chosen_frames_and_several_points_are_the_same_curves(convention: Convention) -> None:
    frames = np.array([0, 3, 4, 30, 59])
    phi = np.array([-20.0, 40.0])
    points = np.stack([PUBLISHED, 1.01 * PUBLISHED], axis=1)
    many = model_curves(T, phi, 0.0054, 2e6, points[:, :, None], convention, frames)
    for k, point in enumerate(points.T):
        one = model_curves(T, phi, 0.0054, 2e6, point, convention)
        np.testing.assert_allclose(many.transport[k], one.transport[frames], rtol=1e-13)
        np.testing.assert_allclose(many.strain[k], one.strain[frames], rtol=1e-13)
        np.testing.assert_allclose(many.kappa[k], one.kappa, rtol=1e-13)
        np.testing.assert_allclose(
            many.transport_slopes[:, k], one.transport_slopes[:, frames], rtol=1e-13
        )


def test_phase_factors_and_their_slope() -> None:
    phi = np.array([-30.0, 0.0, 92.0, 200.0])
    kappa, slope = phase_factors(np.asarray(2.0), phi, 0.0054, 2e6)
    for k, angle in enumerate(phi.tolist()):
        along = math.radians(2.0 - angle)
        assert kappa[k] == pytest.approx(0.0054 * 2e6 * math.cos(along), abs=1e-10)
        expected = -0.0054 * 2e6 * math.sin(along) * math.pi / 180.0
        assert slope[k] == pytest.approx(expected, abs=1e-12)
