"""The model at pairs: against double loops over quadratures, in blocks, slopes, and physics."""

from __future__ import annotations

import cmath

import numpy as np
import pytest
from scipy import integrate

from homodyne_cli.core.model.curves import SHEAR_FACTORS, model_curves
from homodyne_cli.core.model.pair_model import PairModel, fitted_maps, model_maps, pair_model
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import Convention
from tests.support.datasets import PUBLISHED, RESOLVED, make_dataset
from tests.support.oracle import model_values, signed_g1

CONVENTIONS: tuple[Convention, ...] = ("he2024", "homodyne-2")
DATA = make_dataset(40, 3)
VECTORS = pytest.mark.parametrize(
    "values", [PUBLISHED, RESOLVED, RESOLVED[:3]], ids=["published", "resolved", "static"]
)


def model_of(values: FloatArray, convention: Convention, angle: int = 0) -> PairModel:
    curves = model_curves(DATA.t, DATA.phi, DATA.q, DATA.gap, values, convention)
    return pair_model(curves, angle, convention)


@VECTORS
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_g1_and_f_are_those_of_the_loops(values: FloatArray, convention: Convention) -> None:
    """Phases reach a few hundred radians, each to 1e-13: g1 to a few 1e-12 of 1."""
    every = np.arange(40)
    for angle in range(3):
        slow = signed_g1(values, DATA.t, DATA.phi[angle], float(DATA.q[angle]), 2e6, convention)
        model = model_of(values, convention, angle)
        np.testing.assert_allclose(model.g1(every[:, None], every), slow, atol=1e-11)
        np.testing.assert_allclose(model.f(every[:, None], every), slow**2, atol=1e-11)
    assert values.size == 3 or convention == "homodyne-2" or slow.min() < -0.1


@VECTORS
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_version_that_is_differentiated_is_that_of_the_loops(
    values: FloatArray, convention: Convention
) -> None:
    """Two forms of the oracle, so that a slip in one does not stay unnoticed."""
    plain = model_values(values, DATA.t, DATA.phi, DATA.q, 2e6, convention)
    for angle in range(3):
        slow = signed_g1(values, DATA.t, DATA.phi[angle], float(DATA.q[angle]), 2e6, convention)
        np.testing.assert_allclose(plain[angle], slow**2, atol=1e-11)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.4, 2.0, 6.0, 2.0 * np.pi, 40.0])
def test_shear_factor_is_the_average_over_a_uniform_velocity_gradient(x: float) -> None:
    """S = |mean over the gap of exp(i x z)|^2, z from 0 to 1."""
    real = integrate.quad(lambda z: cmath.exp(1j * x * z).real, 0.0, 1.0, limit=200)[0]
    imaginary = integrate.quad(lambda z: cmath.exp(1j * x * z).imag, 0.0, 1.0, limit=200)[0]
    form = SHEAR_FACTORS["he2024"]
    model = PairModel(np.zeros(2), np.multiply(form.scale, [0.0, x]), form)
    assert model.f(np.array([0]), np.array([1])) == pytest.approx(real**2 + imaginary**2, abs=1e-14)


@pytest.mark.parametrize("power", [2, 4])
def test_slope_is_the_difference_of_f(power: int) -> None:
    """From phases far below the radius of the series to far above; central differences of 1e-5."""
    form = SHEAR_FACTORS["he2024" if power == 2 else "homodyne-2"]
    h = np.array([0.0, 1e-7, 1e-3, 0.1, 0.249, 0.251, 0.7, np.pi, 5.0, 60.0])

    def f(phase: FloatArray) -> FloatArray:
        model = PairModel(np.full(len(h), 0.1), phase, form)
        at = np.arange(1, len(h))
        return model.f(np.zeros(1, np.intp), at)

    step = np.zeros_like(h)
    step[1:] = 1e-5 * form.scale
    slope = (f(h + step) - f(h - step)) / 2e-5
    model = PairModel(np.full(len(h), 0.1), h, form)
    g1, found = model.with_slope(np.zeros(1, np.intp), np.arange(1, len(h)))
    np.testing.assert_allclose(found, slope, atol=1e-10)
    np.testing.assert_allclose(g1**2, f(h), rtol=1e-13, atol=1e-30)
    dtype: type = np.float32
    single = PairModel(np.full(len(h), 0.1, dtype), h.astype(dtype), form)
    _, coarse = single.with_slope(np.zeros(1, np.intp), np.arange(1, len(h)))
    assert coarse.dtype == np.float32
    np.testing.assert_allclose(coarse, found, atol=3e-6)


def test_maps_are_the_same_by_blocks_pairs_and_frames() -> None:
    scaling = np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.1, 1.2])
    whole = fitted_maps(DATA, RESOLVED, *scaling, "he2024")
    contrast, offset = (v[:, None, None] for v in scaling)
    f = model_values(RESOLVED, DATA.t, DATA.phi, DATA.q, 2e6, "he2024")
    np.testing.assert_allclose(whole, contrast * f + offset, atol=1e-11)
    maps = model_maps(DATA, RESOLVED, *scaling, "he2024")
    assert maps.shape == whole.shape
    frames, (i, j) = np.array([0, 3, 17, 39]), (np.array([1, 2, 5]), np.array([3, 39, 6]))
    for a in range(3):
        block = maps.block(a, slice(3, 9), slice(20, None))
        np.testing.assert_array_equal(block, whole[a, 3:9, 20:])
        np.testing.assert_array_equal(maps.pairs(a, i, j), whole[a, i, j])
        np.testing.assert_array_equal(maps.selected(frames)[a], whole[a][np.ix_(frames, frames)])
