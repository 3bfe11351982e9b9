"""Curves with bands: against quadrature, drawn parameters, and fits that trade parameters off."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.curves import Curve, Curves
from homodyne_cli.dataset import FloatArray
from homodyne_cli.io.files.curves_file import write_curves
from homodyne_cli.parameters import NAMES, Convention
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import running_integral
from tests.support.problems import make_problem

T = np.linspace(0.1, 10.0, 100)
CONVENTIONS: tuple[Convention, ...] = ("he2024", "homodyne-2")
CURVES = ("transport_coefficient", "mean_square_displacement", "shear_rate", "strain")


def covariance_of(relative: float) -> FloatArray:
    """A full covariance, correlations up to 0.9, of parameters around RESOLVED."""
    rng = np.random.default_rng(5)
    mixed = rng.standard_normal((7, 7)) + 2.0
    scale = relative * np.array([8000.0, 0.4, 600.0, 1e-3, 0.25, 1e-4, 2.0])
    correlation = mixed @ mixed.T
    size = np.sqrt(np.diag(correlation))
    return np.asarray(correlation / np.outer(size, size) * np.outer(scale, scale))


def slow_curves(parameters: FloatArray, convention: Convention) -> list[FloatArray]:
    """The four curves from plain arithmetic and quadrature."""
    out = []
    for first in (0, 3):
        rate = parameters[first : first + 3]
        out.append(rate[0] * T ** rate[1] + rate[2])
        out.append(running_integral(T, rate, convention))
    return out


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_values_are_rates_and_their_integrals(convention: Convention) -> None:
    curves = curves_with_bands(T, RESOLVED, convention, np.zeros((0, 0)), ())
    assert tuple(c.name for c in curves) == CURVES
    for curve, slow in zip(curves, slow_curves(RESOLVED, convention), strict=True):
        np.testing.assert_allclose(curve.value, slow, rtol=1e-12)
        assert np.all(curve.uncertainty == 0.0)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bands_are_the_scatter_over_drawn_parameters(convention: Convention) -> None:
    """20,000 draws know a standard deviation to 0.5%; 1e-4 of the values is linear to as much."""
    covariance = covariance_of(1e-4)
    curves = curves_with_bands(T, RESOLVED, convention, covariance, NAMES)
    draws = np.random.default_rng(6).multivariate_normal(RESOLVED, covariance, 20_000)
    samples = np.array(
        [
            [c.value for c in curves_with_bands(T, d, convention, np.zeros((0, 0)), ())]
            for d in draws
        ]
    )
    scatter = samples.std(axis=0, ddof=1)
    for curve, expected in zip(curves, scatter, strict=True):
        np.testing.assert_allclose(curve.uncertainty, expected, rtol=0.025, atol=1e-300)
        # The integrals begin at the first frame.
        assert (curve.uncertainty[0] == 0.0) == (curve.name in CURVES[1::2])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bands_are_those_of_finite_differences_of_quadrature(convention: Convention) -> None:
    """Two parameters are held; the rest by central differences, good to 1e-7."""
    free = [0, 1, 2, 4]
    covariance = covariance_of(0.05)[np.ix_(free, free)]
    names = [NAMES[k] for k in free]
    curves = curves_with_bands(T, RESOLVED, convention, covariance, names)
    slopes = []
    for k in free:
        step = np.zeros(7)
        step[k] = 1e-5 * abs(RESOLVED[k])
        above, below = (slow_curves(RESOLVED + s, convention) for s in (step, -step))
        slopes.append((np.array(above) - np.array(below)) / (2.0 * step[k]))
    variance = np.einsum("kcn,kl,lcn->cn", np.array(slopes), covariance, np.array(slopes))
    for curve, expected in zip(curves, np.sqrt(variance), strict=True):
        np.testing.assert_allclose(curve.uncertainty, expected, rtol=1e-6)


def test_static_fits_have_no_shear() -> None:
    curves = curves_with_bands(T, RESOLVED[:3], "he2024", np.eye(3), NAMES[:3])
    assert curves.shear_rate is None
    assert curves.strain is None
    assert len(list(curves)) == 2


def test_a_floored_rate_has_no_band() -> None:
    """Where homodyne-2 takes the floor, parameters do not matter."""
    parameters = np.array([3.0, -1.0, -1.0])
    curves = curves_with_bands(T, parameters, "homodyne-2", 0.01 * np.eye(3), NAMES[:3])
    floored = 3.0 / T - 1.0 < 0.0
    rate = curves.transport_coefficient
    assert np.all(rate.value[floored] == 1e-10)
    assert np.all(rate.uncertainty[floored] == 0.0)
    assert np.all(rate.uncertainty[~floored] > 0.0)


CONSTANT = np.array([8000.0, 0.0, 600.0, *RESOLVED[3:]])


def relative_band(curve: Curve | None) -> FloatArray:
    assert curve is not None
    # The integrals are zero at the first frame.
    return np.asarray(curve.uncertainty[1:] / curve.value[1:])


def test_parameters_that_cannot_be_told_apart_give_the_band_of_their_sum() -> None:
    """With alpha held at 0 only D0 + D_offset acts: the band is that of a fit of the sum alone."""
    data = make_dataset(100, 5, parameters=CONSTANT, noise=0.01, seed=1)
    start = tuple(CONSTANT)
    apart = fit(data, make_problem(start=start, fixed={"alpha": 0.0}))
    together = fit(data, make_problem(start=start, fixed={"alpha": 0.0, "D_offset": 600.0}))
    lost = {p.name for p in apart.parameters if np.isnan(p.uncertainty)}
    assert lost == {"D0", "D_offset"}
    for name in CURVES:
        one, other = getattr(apart.curves, name), getattr(together.curves, name)
        assert np.all(np.isfinite(one.uncertainty))
        np.testing.assert_allclose(one.value, other.value, rtol=1e-4, atol=1e-12)
        np.testing.assert_allclose(one.uncertainty, other.uncertainty, rtol=1e-3, atol=1e-12)


def test_parameters_that_trade_off_give_a_narrow_band() -> None:
    """An exponent near 0: D0 is known to tens of percent, the rate in the middle to under one."""
    data = make_dataset(100, 5, parameters=CONSTANT, noise=0.01, seed=1)
    result = fit(data, make_problem(start=None))
    d0 = next(p for p in result.parameters if p.name == "D0")
    assert not d0.uncertainty < 0.2 * abs(d0.value)
    assert relative_band(result.curves.transport_coefficient)[30:70].max() < 0.01
    truth = curves_with_bands(data.t, CONSTANT, "he2024", np.zeros((0, 0)), ())
    for found, true in zip(result.curves, truth, strict=True):
        pull = (found.value - true.value)[1:] / found.uncertainty[1:]
        assert np.sqrt(np.mean(pull**2)) < 2.5


def test_what_data_do_not_see_is_as_wide_as_its_bounds() -> None:
    """One angle across the flow: no shear in the data, so its rate is anywhere in its bounds."""
    data = make_dataset(60, 1, parameters=RESOLVED, noise=0.01, phi=np.array([92.0]))
    held = {"beta": -0.25, "gamma_dot_t_offset": 0.0, "phi0": 2.0}
    result = fit(data, make_problem(start=tuple(RESOLVED), fixed=held))
    shear = result.curves.shear_rate
    assert shear is not None
    # gamma_dot_t0 may be from 1e-6 to 0.5.
    expected = 0.5 / np.sqrt(12.0) * data.t**-0.25
    np.testing.assert_allclose(shear.uncertainty, expected, rtol=1e-4)
    assert relative_band(result.curves.mean_square_displacement).max() < 0.2


def test_file_has_units_in_its_header_and_every_number(tmp_path: Path) -> None:
    curves: Curves = curves_with_bands(T, RESOLVED, "he2024", covariance_of(0.01), NAMES)
    write_curves(tmp_path / "curves.csv", curves)
    with (tmp_path / "curves.csv").open(newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == [
        *("time [s]", "transport_coefficient [A^2/s]", "transport_coefficient_sigma [A^2/s]"),
        *("mean_square_displacement [A^2]", "mean_square_displacement_sigma [A^2]"),
        *("shear_rate [1/s]", "shear_rate_sigma [1/s]", "strain", "strain_sigma"),
    ]
    numbers = np.array(rows, dtype=float)
    assert numbers.shape == (100, 9)
    np.testing.assert_allclose(numbers[:, 0], T, rtol=1e-9)
    assert curves.strain is not None
    np.testing.assert_allclose(numbers[:, -1], curves.strain.uncertainty, rtol=1e-9)
