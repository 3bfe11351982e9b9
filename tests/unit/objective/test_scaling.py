"""Contrast and offset that bounds hold, against a solver; costs of many points at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from homodyne_cli.core.gram_pass.gram_pass import AngleGrams
from homodyne_cli.core.objective.projection import project, project_costs
from homodyne_cli.core.objective.scaling import ScalingModel, scaling_model
from homodyne_cli.dataset import FloatArray, Rows
from homodyne_cli.parameters import PerAngleMode
from homodyne_cli.problem import Bounds
from tests.support.arrows import dense

#: Angles and pairs of each.
ANGLES, PAIRS = 5, 40
#: A truth, and bounds that hold some of the angles at each of their ends.
CONTRAST, OFFSET = 0.3, 1.0
PHI = np.linspace(0.0, 140.0, ANGLES)


def columns_of(seed: int, points: int = 1) -> FloatArray:
    """[f, 1, y] of pairs, (points, n_phi, 3, pairs), contrast and offset scattered over angles."""
    rng = np.random.default_rng(seed)
    f = rng.uniform(0.0, 1.0, (points, ANGLES, PAIRS))
    contrast, offset = (v + rng.normal(0, 0.05, (ANGLES, 1)) for v in (CONTRAST, OFFSET))
    y = contrast * f + offset + rng.normal(0, 0.05, f.shape)
    return np.stack([f, np.ones_like(f), y], axis=2)


def grams_of(columns: FloatArray) -> AngleGrams:
    gram = columns @ columns.swapaxes(-1, -2)
    return AngleGrams(gram, np.zeros(ANGLES), np.zeros(ANGLES))


def model_of(mode: PerAngleMode, contrast: Bounds, offset: Bounds) -> ScalingModel:
    held = np.full(ANGLES, CONTRAST), np.full(ANGLES, OFFSET)
    return scaling_model(
        mode, Rows(PHI, np.full(ANGLES, 0.0054)), order=1, contrast=held[0], offset=held[1],
        contrast_bounds=contrast, offset_bounds=offset,
    )  # fmt: skip


def slow_chi2(
    columns: FloatArray, model: ScalingModel, mode: PerAngleMode, sigma: FloatArray
) -> float:
    """Chi2 at the best scaling by a general solver: SciPy's for a box, SLSQP for a basis."""
    design, y = columns[:, :2] / sigma[:, None, None], columns[:, 2] / sigma[:, None]
    lower, upper = model.box
    if mode == "fixed":
        return float(np.sum((CONTRAST * design[:, 0] + OFFSET * design[:, 1] - y) ** 2))
    if mode != "fourier":
        if mode == "shared":
            design, y = np.concatenate(design, axis=1)[None], y.ravel()[None]
        fits = [
            optimize.lsq_linear(d.T, v, bounds=(lower, upper), tol=1e-14)
            for d, v in zip(design, y, strict=True)
        ]
        return float(sum(2.0 * one.cost for one in fits))
    basis = model.basis
    assert basis is not None
    m = basis.shape[1]

    def residual(theta: FloatArray) -> FloatArray:
        c, o = basis @ theta[:m], basis @ theta[m:]
        return np.asarray((c[:, None] * design[:, 0] + o[:, None] * design[:, 1] - y).ravel())

    def room(theta: FloatArray) -> FloatArray:
        c, o = basis @ theta[:m], basis @ theta[m:]
        return np.concatenate([c - lower[0], upper[0] - c, o - lower[1], upper[1] - o])

    start = np.zeros(2 * m)
    start[0], start[m] = lower[0] + 1e-3, lower[1] + 1e-3
    best = optimize.minimize(  # type: ignore[call-overload]
        lambda theta: float(residual(theta) @ residual(theta)), start, method="SLSQP",
        constraints={"type": "ineq", "fun": room}, options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    assert room(best.x).min() > -1e-6
    return float(best.fun)


@pytest.mark.parametrize("mode", ["individual", "shared", "fourier", "fixed"])
@pytest.mark.parametrize(
    ("contrast", "offset"),
    [
        (Bounds(0.0, 1.0), Bounds(0.5, 1.5)),
        (Bounds(0.31, 1.0), Bounds(0.5, 1.5)),
        (Bounds(0.0, 0.29), Bounds(1.01, 1.5)),
        (Bounds(0.34, 0.36), Bounds(0.94, 0.96)),
    ],
    ids=["inside", "contrast", "both", "corners"],
)
def test_chi2_is_that_of_a_general_solver(
    mode: PerAngleMode, contrast: Bounds, offset: Bounds
) -> None:
    model, sigma = model_of(mode, contrast, offset), np.linspace(0.04, 0.06, ANGLES)
    columns = columns_of(3, points=6)
    found = project_costs(grams_of(columns), model, sigma)
    for point, chi2 in zip(columns, found, strict=True):
        # SLSQP keeps to the bounds of a basis to 1e-6, which changes chi2 by as much.
        slow = slow_chi2(point, model, mode, sigma)
        assert chi2 == pytest.approx(slow, rel=1e-5 if mode == "fourier" else 1e-9)
        at = project(grams_of(point), model, sigma)
        assert at.chi2 == pytest.approx(chi2, rel=1e-10)
        if mode != "fixed":
            assert contrast.lower - 1e-12 <= at.contrast.min()
            assert at.contrast.max() <= contrast.upper + 1e-12
            assert offset.lower - 1e-12 <= at.offset.min()
            assert at.offset.max() <= offset.upper + 1e-12


@pytest.mark.parametrize(("few", "series"), [(3, False), (4, True)])
def test_a_series_of_as_many_terms_as_angles_of_a_repeat_is_none(few: int, series: bool) -> None:
    """Three terms; repeats of `few` angles and of six, each with a series of its own."""
    repeat = np.repeat([0, 1], [few, 6])
    n, wide = few + 6, Bounds(0.0, 2.0)
    rows = Rows(np.linspace(0.0, 130.0, n), np.full(n, 0.0054), repeat)
    model = scaling_model(
        "fourier", rows, order=1, contrast=np.full(n, CONTRAST), offset=np.full(n, OFFSET),
        contrast_bounds=wide, offset_bounds=wide,
    )  # fmt: skip
    assert (model.basis is not None) == series
    if model.basis is not None:
        assert np.linalg.matrix_rank(model.basis) == model.basis.shape[1] == 2 * 3
        np.testing.assert_array_equal(model.basis[repeat == 0, 3:], 0.0)


def test_what_a_bound_holds_has_no_uncertainty() -> None:
    """An angle whose contrast is at a bound: its row and column of the Hessian are empty."""
    columns = columns_of(3)[0]
    free = project(grams_of(columns), model_of("individual", Bounds(0.0, 1.0), Bounds(0.5, 1.5)),
                   np.ones(ANGLES))  # fmt: skip
    limit = float(np.sort(free.contrast)[1:3].mean())
    model = model_of("individual", Bounds(limit, 1.0), Bounds(0.5, 1.5))
    at = project(grams_of(columns), model, np.ones(ANGLES))
    held = free.contrast < limit
    assert 0 < held.sum() < ANGLES
    np.testing.assert_array_equal(at.contrast[held], limit)
    np.testing.assert_array_equal(np.diag(dense(at.hessian))[::2] == 0.0, held)
    assert np.all(np.diag(dense(at.hessian))[1::2] > 0.0)


@pytest.mark.parametrize("mode", ["individual", "shared", "fourier"])
def test_a_model_that_overflows_costs_no_number(mode: PerAngleMode) -> None:
    columns = columns_of(1, points=3)
    columns[1, :, 0] = np.inf
    with np.errstate(invalid="ignore"):
        grams = grams_of(columns)
    chi2 = project_costs(grams, model_of(mode, Bounds(0, 1), Bounds(0.5, 1.5)), np.ones(ANGLES))
    assert np.isfinite(chi2[[0, 2]]).all()
    assert np.isnan(chi2[1])
