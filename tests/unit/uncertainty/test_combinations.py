"""Combinations of parameters that are not known apart, from Hessians with known directions."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.uncertainty.covariance import ScoreNoise
from homodyne_cli.core.uncertainty.degeneracies import (
    _leading,
    _sizes,
    find_combinations,
    shear_unseen,
)
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.results import Combination
from tests.support.arrows import multiplied
from tests.unit.uncertainty.test_covariance import at_minimum
from tests.unit.uncertainty.test_symmetries import dataset

#: Frames at 1 s and 16 s: rates are compared at 4 s, where 4^-0.5 is a half.
DATA: Dataset = dataset([0.0, 30.0], t=np.array([1.0, 16.0]))
PARAMETERS = {
    "D0": 1000.0, "alpha": -0.5, "D_offset": 300.0,
    "gamma_dot_t0": 2e-3, "beta": 0.5, "gamma_dot_t_offset": -1e-3, "phi0": 5.0,
}  # fmt: skip
#: Each changes the rate at 4 s by as much as the rate, 800 and 3e-3.
SIZES = {
    "D0": 1600.0, "alpha": 0.5, "D_offset": 800.0,
    "gamma_dot_t0": 1.5e-3, "beta": 0.5, "gamma_dot_t_offset": 3e-3, "phi0": 30.0,
}  # fmt: skip


def test_sizes_change_the_model_altogether() -> None:
    names = tuple(SIZES)
    np.testing.assert_allclose(_sizes(names, PARAMETERS, 4.0), list(SIZES.values()), rtol=1e-12)
    assert _sizes(("D_offset",), PARAMETERS, 4.0) == pytest.approx([800.0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rates_that_cancel_have_a_thousandth_of_their_power_law(sign: float) -> None:
    cancelled = {"D0": 1000.0 * sign, "alpha": -0.5, "D_offset": -500.0 * sign}
    assert _sizes(("D0", "D_offset"), cancelled, 4.0) == pytest.approx([1.0, 0.5])
    nearly = {**cancelled, "D_offset": -501.0 * sign}
    assert _sizes(("D0", "D_offset"), nearly, 4.0) == pytest.approx([2.0, 1.0])


def hessian(names: tuple[str, ...], directions: list[tuple[list[float], float]]) -> FloatArray:
    """Known directions in units of the sizes, each with its deviation."""
    size = np.array([SIZES[name] for name in names])
    inner = np.zeros((len(names), len(names)))
    for direction, deviation in directions:
        unit = np.array(direction) / np.linalg.norm(direction)
        inner += np.outer(unit, unit) / deviation**2
    return np.asarray(inner / np.outer(size, size))


def combined(
    names: tuple[str, ...],
    directions: list[tuple[list[float], float]],
    louder: float = 1.0,
) -> tuple[Combination, ...]:
    """Combinations where noise is `louder` times what the Hessian says."""
    at = at_minimum(hessian(names, directions))
    noise = ScoreNoise(at.hessian, multiplied(at.hessian, louder**2))
    return find_combinations(DATA, names, PARAMETERS, at, noise)


PAIR = ("D0", "D_offset")


@pytest.mark.parametrize("louder", [1.0, 2.0])
def test_a_known_sum_of_unknown_parts(louder: float) -> None:
    """0.8 D0 / 1600 + 0.6 D_offset / 800 is known to 0.1: in units of D_offset."""
    (one,) = combined(PAIR, [([0.8, 0.6], 0.1), ([0.6, -0.8], 50.0)], louder)
    assert one.names == PAIR
    assert one.coefficients == pytest.approx((2.0 / 3.0, 1.0))
    assert one.value == pytest.approx(1000.0 * 2.0 / 3.0 + 300.0)
    assert one.uncertainty == pytest.approx(louder * 0.1 * 800.0 / 0.6)
    assert one.unit == "Å²/s"


def test_an_offset_that_hardly_matters_does_not_lead() -> None:
    (one,) = combined(PAIR, [([0.96, 0.28], 0.1), ([0.28, -0.96], 50.0)])
    assert one.coefficients == pytest.approx((1.0, 0.28 * 2.0 / 0.96))
    assert one.unit == "Å²/s^(1+α)"


@pytest.mark.parametrize(
    ("deviation", "louder", "count"),
    [(0.29, 1.0, 1), (0.31, 1.0, 0), (0.2, 1.45, 1), (0.2, 1.55, 0), (0.31, 0.1, 0)],
)
def test_what_is_known_to_a_third_of_its_size_is_determined(
    deviation: float, louder: float, count: int
) -> None:
    """By the Hessian and with the noise as it is."""
    found = combined(PAIR, [([0.8, 0.6], deviation), ([0.6, -0.8], 50.0)], louder)
    assert len(found) == count


@pytest.mark.parametrize(("sigma", "count"), [(0.99, 0), (1.01, 1)])
def test_parts_known_to_their_size_are_known_apart(sigma: float, count: int) -> None:
    """Both have the deviation sigma: half of 0.1^2 and half of the other direction's square."""
    across = np.sqrt(2.0 * sigma**2 - 0.01)
    assert len(combined(PAIR, [([1.0, 1.0], 0.1), ([1.0, -1.0], across)])) == count


def test_what_nothing_tells_apart_is_a_sum_as_well() -> None:
    (one,) = combined(PAIR, [([1.0, 1.0], 0.1)])
    assert one.coefficients == pytest.approx((0.5, 1.0))
    assert one.uncertainty == pytest.approx(0.1 * 800.0 * np.sqrt(2.0))


def test_the_best_known_comes_first_and_families_stay_apart() -> None:
    """Of each family one direction is free; D0 and the shear's have nothing to do with another."""
    names = ("D0", "alpha", "D_offset", "gamma_dot_t0", "phi0")
    found = combined(
        names,
        [
            ([2.0, 1.0, 2.0, 0.0, 0.0], 0.2),
            ([1.0, 2.0, -2.0, 0.0, 0.0], 0.02),
            ([2.0, -2.0, -1.0, 0.0, 0.0], 90.0),
            ([0.0, 0.0, 0.0, 0.6, 0.8], 0.1),
            ([0.0, 0.0, 0.0, 0.8, -0.6], 90.0),
        ],
    )
    assert [one.names for one in found] == [names[:3], names[:3], names[3:]]
    assert found[0].uncertainty == pytest.approx(0.02 * 800.0 * 1.5)
    assert found[1].uncertainty == pytest.approx(0.2 * 800.0 * 1.5)
    # phi0 has the larger coefficient in units of the sizes.
    assert found[2].unit == "deg"
    assert found[2].coefficients == pytest.approx((0.6 / 0.8 * 30.0 / 1.5e-3, 1.0))
    assert found[2].uncertainty == pytest.approx(0.1 * 30.0 / 0.8)


def test_one_unknown_is_no_combination() -> None:
    assert combined(PAIR, [([1.0, 0.0], 0.1), ([0.0, 1.0], 50.0)]) == ()
    assert combined(("D0", "gamma_dot_t0"), [([1.0, 1.0], 0.1), ([1.0, -1.0], 50.0)]) == ()


@pytest.mark.parametrize(
    ("vector", "members", "lead"),
    [
        ((0.95, 0.31), PAIR, 1),
        ((0.95, -0.31), PAIR, 1),
        ((0.95, 0.29), PAIR, 0),
        ((0.4, -0.9), ("gamma_dot_t_offset", "phi0"), 0),
        ((0.2, -0.9), ("gamma_dot_t_offset", "phi0"), 1),
        ((0.4, -0.9), ("gamma_dot_t0", "phi0"), 1),
    ],
)
def test_offsets_lead_where_they_matter(
    vector: tuple[float, float], members: tuple[str, str], lead: int
) -> None:
    assert _leading(np.array(vector), members) == lead


@pytest.mark.parametrize(
    ("phi", "said"),
    [
        # cos 84.27 deg is 0.0998, cos 84.25 deg 0.1002.
        ([89.27], "0.1 at most"),
        ([89.25], None),
        ([92.0, 95.0, 98.0], "0.052 at most"),
        ([92.0, 30.0], None),
        ([-82.0], "0.052 at most"),
    ],
)
def test_angles_across_the_flow_are_said_to_see_no_shear(
    phi: list[float], said: str | None
) -> None:
    data = dataset(phi)
    told = shear_unseen(data, PARAMETERS, ["gamma_dot_t0", "phi0"])
    assert len(told) == (said is not None)
    assert said is None or (said in told[0] and "phi0 = 5 " in told[0])
    assert shear_unseen(data, PARAMETERS, ["phi0"]) == ()
    assert shear_unseen(data, {"D0": 1.0}, ["gamma_dot_t0"]) == ()
