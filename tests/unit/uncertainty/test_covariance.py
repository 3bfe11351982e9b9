"""What the data know and leave free, in numbers and in words."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.objective.scaling import ScalingDirections
from homodyne_cli.core.uncertainty.covariance import ScoreNoise, covariance, describe_direction
from homodyne_cli.dataset import FloatArray


@pytest.mark.parametrize(
    ("direction", "sentence"),
    [
        ({"phi0": 1.0}, "phi0 is not determined"),
        ({"D0": 0.7, "D_offset": -0.71}, "D_offset and D0 trade off: only their (scaled) sum"),
        ({"D0": 0.7, "alpha": 0.71}, "alpha and D0 trade off: only their (scaled) combination"),
        (
            {"D0": 0.7, "alpha": -0.2, "D_offset": -0.6},
            "D0, D_offset and alpha trade off: only their (scaled) combination",
        ),
    ],
)
def test_a_direction_is_told_by_what_it_leaves_measured(
    direction: dict[str, float], sentence: str
) -> None:
    """Two parameters that move against each other keep their sum; no other two numbers do."""
    assert describe_direction(direction).startswith(sentence)


def at_minimum(hessian: FloatArray) -> Projection:
    """A minimum of parameters alone: no map, no contrast."""
    p, nothing = len(hessian), np.zeros(0)
    arrow = Arrow(hessian, np.zeros((0, p, 2)), np.zeros((0, 2, 2)))
    directions = ScalingDirections(np.zeros((0, 2, 0)), None)
    return Projection(nothing, nothing, 5.0, arrow, np.zeros(p), directions)


NAMES = ("D0", "alpha", "phi0")
SIGMA = np.array([50.0, 1e-2, 3.0])
CORRELATED = np.array([[1.0, 0.98, 0.3], [0.98, 1.0, 0.4], [0.3, 0.4, 1.0]])


def test_what_is_determined_has_the_inverse_of_the_curvature() -> None:
    known = CORRELATED * np.outer(SIGMA, SIGMA)
    told = covariance(at_minimum(np.linalg.inv(known)), NAMES, 20.0 * SIGMA)
    np.testing.assert_allclose(told.parameters, known, rtol=1e-9)
    np.testing.assert_allclose(told.within_bounds, known, rtol=1e-9)
    assert told.directions == ()


@pytest.mark.parametrize("width", [0.9, 1.1])
def test_an_uncertainty_wider_than_its_bounds_is_a_direction(width: float) -> None:
    """The main one, in units of the uncertainties, whatever parameters are counted in."""
    known = CORRELATED * np.outer(SIGMA, SIGMA)
    widths = SIGMA * np.array([20.0, width, 20.0])
    told = covariance(at_minimum(np.linalg.inv(known)), NAMES, widths)
    if width > 1.0:
        assert told.directions == ()
        return
    (direction,) = told.directions
    (expected,) = np.linalg.svd(CORRELATED)[0].T[:1]
    off = np.array([direction[name] for name in NAMES])
    np.testing.assert_allclose(off * np.sign(off[0] * expected[0]), expected, rtol=1e-9)


@pytest.mark.parametrize("units", [1.0, 1e-6])
def test_what_is_not_determined_is_as_free_as_its_bounds(units: float) -> None:
    """Where D0 and alpha show in one sum alone: a uniform line across the rectangle of bounds."""
    across = np.array([[1.0, 1.0, 0.0]]) / (units * SIGMA)
    hessian = across.T @ across + np.diag([0.0, 0.0, 1.0 / SIGMA[2] ** 2])
    widths = np.array([300.0, 0.05, 20.0])
    told = covariance(at_minimum(hessian), NAMES, widths)
    assert np.isnan(told.parameters[:2]).all()
    assert told.parameters[2, 2] == pytest.approx(SIGMA[2] ** 2)
    (direction,) = told.directions
    assert direction == pytest.approx({"D0": np.sqrt(0.5), "alpha": -np.sqrt(0.5)}, abs=1e-6) or (
        direction == pytest.approx({"D0": -np.sqrt(0.5), "alpha": np.sqrt(0.5)}, abs=1e-6)
    )
    # The direction in units of the bounds, w / sqrt(12) along it.
    line = np.array([SIGMA[0], -SIGMA[1]]) / (widths[:2] / np.sqrt(12.0))
    line = line / np.linalg.norm(line) * widths[:2] / np.sqrt(12.0)
    free = told.within_bounds[:2, :2] - np.outer(line, line)
    # What is left is what the sum knows of them.
    assert np.abs(free).max() <= 1.01 * (units * SIGMA[0]) ** 2
    assert told.within_bounds[2, 2] == pytest.approx(SIGMA[2] ** 2)


@pytest.mark.parametrize("width", [0.99, 1.01])
def test_a_parameter_that_shows_nowhere_inside_its_bounds_is_not_determined(width: float) -> None:
    """Even with all others known: its column is less than one deviation over the bounds."""
    sigma = np.array([50.0, 1e-2])
    told = covariance(at_minimum(np.diag(sigma**-2.0)), NAMES[:2], np.array([50.0 * width, 1.0]))
    assert told.parameters[1, 1] == pytest.approx(1e-4)
    if width > 1.0:
        assert told.parameters[0, 0] == pytest.approx(2500.0)
        assert told.directions == ()
        return
    assert np.isnan(told.parameters[0]).all()
    (direction,) = told.directions
    assert list(direction) == ["D0"]
    assert told.within_bounds[0, 0] == pytest.approx((50.0 * width) ** 2 / 12.0)


@pytest.mark.parametrize(("small", "is_part"), [(0.09, False), (0.11, True)])
def test_parameters_have_a_part_in_a_direction_from_a_tenth_on(small: float, is_part: bool) -> None:
    """Columns of length one with a c1 + a c2 + small c3 = 0."""
    a = np.sqrt(0.5 * (1.0 - small**2))
    t = 0.5 * small / a
    s = np.sqrt(1.0 - t * t)
    columns = np.array([[-t, s], [-t, -s], [1.0, 0.0]]).T / SIGMA
    told = covariance(at_minimum(columns.T @ columns), NAMES, 1e3 * SIGMA)
    (direction,) = told.directions
    assert set(direction) == {"D0", "alpha", "phi0"} if is_part else {"D0", "alpha"}
    assert np.isnan(told.parameters[2, 2]) == is_part
    assert abs(direction["D0"]) == pytest.approx(a, rel=1e-6)


def test_noise_of_its_own_makes_a_sandwich() -> None:
    """H^-1 V H^-1 of parameters, contrast and offset together, which follow three coefficients."""
    rng = np.random.default_rng(6)
    root, other = rng.standard_normal((2, 8, 5))
    each = rng.standard_normal((4, 2, 3))
    none = np.zeros((0, 5, 2)), np.zeros((0, 2, 2))
    hessian, variance = Arrow(root.T @ root, *none), Arrow(other.T @ other, *none)
    at = Projection(
        np.zeros(4), np.zeros(4), 5.0, hessian, np.zeros(2), ScalingDirections(each, None)
    )
    inverse = np.linalg.inv(root.T @ root)
    curved = ScoreNoise(Arrow(4.0 * hessian.head, *none), variance)
    for noise, exact in (
        (None, inverse),
        (ScoreNoise(hessian, variance), inverse @ variance.head @ inverse),
        (curved, inverse @ variance.head @ inverse / 16.0),
    ):
        told = covariance(at, NAMES[:2], np.full(2, 1e6), noise)
        np.testing.assert_allclose(told.parameters, exact[:2, :2], rtol=1e-9)
        np.testing.assert_allclose(told.within_bounds, exact[:2, :2], rtol=1e-9)
        for a in range(4):
            own = each[a] @ exact[2:, 2:] @ each[a].T
            assert told.contrast_uncertainty[a] == pytest.approx(np.sqrt(own[0, 0]))
            assert told.offset_uncertainty[a] == pytest.approx(np.sqrt(own[1, 1]))


def test_restricted_noise_is_that_of_some_unknowns() -> None:
    head = np.arange(9.0).reshape(3, 3)
    none = np.zeros((0, 3, 2)), np.zeros((0, 2, 2))
    some = ScoreNoise(Arrow(head, *none), Arrow(10.0 * head, *none)).restricted([0, 2])
    np.testing.assert_array_equal(some.curvature.head, [[0.0, 2.0], [6.0, 8.0]])
    np.testing.assert_array_equal(some.variance.head, [[0.0, 20.0], [60.0, 80.0]])
