"""The algebra of agreement against stacked least squares of the same estimates."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core import agreement
from homodyne_cli.core.agreement import (
    _all_parameters,
    _around_mean,
    _best_variances,
    _compared,
    _directions,
    _heterogeneity,
    _maps,
    _Parts,
    _without_scaling,
    compare_fits,
    find_agreement,
    uncompared_kinds,
)
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import FloatArray
from homodyne_cli.noise_report import NoiseReport, SpeckleWeights
from homodyne_cli.parameters import NAMES
from homodyne_cli.results import FitRecord, FitResult, Solution
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns, model_values
from tests.support.problems import make_problem

RNG = np.random.default_rng(12)


def positive(size: int) -> FloatArray:
    factor = RNG.standard_normal((size + 3, size))
    return np.asarray(factor.T @ factor)


def around_common(values: list[FloatArray], covariances: list[FloatArray]) -> float:
    """Chi2 of estimates around what they have in common, as one whitened regression."""
    rows = [np.linalg.inv(np.linalg.cholesky(c)) for c in covariances]
    x = np.concatenate(rows)
    y = np.concatenate([row @ v for row, v in zip(rows, values, strict=True)])
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    return float(np.sum((y - x @ best) ** 2))


def a_result(value: FloatArray, covariance: FloatArray, names: str = "abc") -> FitResult:
    table = dict(zip(names, value, strict=True))
    return cast(
        "FitResult",
        SimpleNamespace(
            covariance_names=tuple(names), covariance=covariance, value=table.__getitem__,
            curves=(), parameters=(),
        ),
    )  # fmt: skip


def test_separate_fits_scatter_around_their_weighted_mean() -> None:
    values = [RNG.standard_normal(3) for _ in range(4)]
    covariances = [positive(3) for _ in range(4)]
    results = [a_result(v, c) for v, c in zip(values, covariances, strict=True)]
    chi2, degrees = _all_parameters(results)
    assert chi2 == pytest.approx(around_common(values, covariances))
    assert degrees == 9
    apart = compare_fits("rings", np.arange(4.0), results)
    assert (apart.chi2, apart.degrees, apart.quantities) == (chi2, 9, ())
    assert apart.p_value == pytest.approx(stats.chi2.sf(chi2, 9))
    # Fits of other parameters, or without a covariance, are not compared.
    other = [*results[:3], a_result(values[3], covariances[3], "abd")]
    assert _all_parameters(other)[1] == 0
    unknown = [*results[:3], a_result(values[3], np.full((3, 3), np.nan))]
    chi2, degrees = _all_parameters(unknown)
    assert (np.isnan(chi2), degrees) == (True, 0)
    assert np.isnan(compare_fits("rings", np.arange(4.0), unknown).p_value)


@pytest.mark.parametrize(("unit", "factor"), [("%", 100.0), ("deg", 1.0)])
def test_one_quantity_around_its_mean(unit: str, factor: float) -> None:
    """A deviation from a mean that holds the part itself has less variance than the part."""
    values, errors = np.array([1.0, 1.2, 0.7, 5.0]), np.array([0.1, 0.2, 0.4, 0.0])
    q = _around_mean("J", unit, values, errors)
    weights = errors[:3] ** -2.0
    mean = np.average(values[:3], weights=weights)
    np.testing.assert_allclose(q.deviation[:3], factor * (values[:3] - mean))
    assert np.isnan(q.deviation[3])
    # Var(x_r - m) of independent x: by the linear map itself.
    each = np.eye(3) - weights / weights.sum()
    variance = np.diag(each @ np.diag(errors[:3] ** 2) @ each.T)
    np.testing.assert_allclose(q.uncertainty[:3], factor * np.sqrt(variance))
    assert (q.name, q.unit, q.degrees) == ("J", unit, 2)
    assert q.chi2 == pytest.approx(np.sum(weights * (values[:3] - mean) ** 2))
    assert q.p_value == pytest.approx(stats.chi2.sf(q.chi2, 2))
    nothing = _around_mean("J", unit, values[:2], np.zeros(2))
    assert (nothing.degrees, nothing.uncertainty.tolist()) == (0, [0.0, 0.0])
    assert np.isnan(nothing.p_value)


def test_parts_are_as_far_apart_as_their_own_estimates() -> None:
    """x_r = -H_r^-1 g_r of covariance H_r^-1 V_r H_r^-1, around what they have in common."""
    g = RNG.standard_normal((4, 3))
    h, v = (np.array([positive(3) for _ in range(4)]) for _ in range(2))
    chi2, degrees = _heterogeneity(_Parts(g, h, v))
    inverse = np.linalg.inv(h)
    estimates = [-inverse[r] @ g[r] for r in range(4)]
    assert chi2 == pytest.approx(
        around_common(estimates, [inverse[r] @ v[r] @ inverse[r] for r in range(4)])
    )
    assert degrees == 9
    # The last part knows nothing of the third parameter: one comparison less.
    blind = np.diag([1.0, 1.0, 0.0])
    g[3], h[3], v[3] = blind @ g[3], blind @ h[3] @ blind, blind @ v[3] @ blind
    chi2, degrees = _heterogeneity(_Parts(g, h, v))
    assert degrees == 8
    known = np.linalg.inv(h[3][:2, :2])
    rows, sides = [], []
    for r in range(3):
        whitening = np.linalg.inv(np.linalg.cholesky(inverse[r] @ v[r] @ inverse[r]))
        rows.append(whitening)
        sides.append(whitening @ estimates[r])
    whitening = np.linalg.inv(np.linalg.cholesky(known @ v[3][:2, :2] @ known))
    rows.append(np.column_stack([whitening, np.zeros(2)]))
    sides.append(-whitening @ known @ g[3][:2])
    x, y = np.concatenate(rows), np.concatenate(sides)
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    assert chi2 == pytest.approx(float(np.sum((y - x @ best) ** 2)))


@pytest.mark.parametrize("free", [[0, 1, 2, 3], [0, 3]])
def test_a_quantity_of_parts_is_compared_after_a_joint_step(free: list[int]) -> None:
    """The joint fit moves with every part's noise; covariances by the linear map of all noise."""
    g = RNG.standard_normal((3, 4))
    h, v = (np.array([positive(4) for _ in range(3)]) for _ in range(2))
    u = np.array([1.0, 0.3, -0.5, 0.0])
    basis = [np.eye(4)[k] for k in free]
    if len(free) < 4:
        basis.append(u)
    b = np.array(basis).T
    total = h.sum(axis=0)

    def slopes(gradients: FloatArray) -> FloatArray:
        step = np.linalg.lstsq(b.T @ total @ b, -b.T @ gradients.sum(axis=0), rcond=None)[0]
        return np.array([u @ (gradients[r] + h[r] @ b @ step) for r in range(3)])

    linear = np.array([slopes(unit.reshape(3, 4)) for unit in np.eye(12)]).T
    noise = np.zeros((12, 12))
    for r in range(3):
        noise[4 * r : 4 * r + 4, 4 * r : 4 * r + 4] = v[r]
    covariance = linear @ noise @ linear.T
    q = _compared("J", "%", u, _Parts(g, h, v), np.array(free))
    information = np.array([u @ h[r] @ u for r in range(3)])
    np.testing.assert_allclose(q.deviation, -slopes(g) / information, rtol=1e-9)
    np.testing.assert_allclose(q.uncertainty, np.sqrt(np.diag(covariance)) / information)
    # u is in what the joint fit may move along: the slopes add up to zero.
    assert q.degrees == 2
    two = slopes(g)[:2]
    assert q.chi2 == pytest.approx(two @ np.linalg.solve(covariance[:2, :2], two))
    assert q.p_value == pytest.approx(stats.chi2.sf(q.chi2, 2))


def test_a_part_that_does_not_know_a_quantity_has_no_deviation() -> None:
    h = np.array([np.diag([2.0, 1.0]), np.diag([0.0, 1.0])])
    q = _compared("J", "%", np.array([1.0, 0.0]), _Parts(np.ones((2, 2)), h, h), np.arange(2))
    assert np.isnan(q.deviation).tolist() == [False, True]


def test_a_percent_of_a_rate_is_a_percent_at_all_times() -> None:
    t, values = np.linspace(0.1, 5.0, 9), np.array([3.0, -0.7, 2.0, 1.0, 0.4, 0.5, 3.0])
    (j, per_j, along_j), (rate, per_rate, along_rate), (phi0, deg, along_phi0) = _directions(values)
    assert (j, per_j, rate, per_rate, phi0, deg) == ("J", "%", "shear rate", "%", "phi0", "deg")

    def curve(part: FloatArray) -> FloatArray:
        return np.asarray(part[0] * t ** part[1] + part[2])

    moved = values + along_j
    np.testing.assert_allclose(curve(moved[:3]), 1.01 * curve(values[:3]))
    np.testing.assert_array_equal(moved[3:], values[3:])
    moved = values + along_rate
    np.testing.assert_allclose(curve(moved[3:6]), 1.01 * curve(values[3:6]))
    np.testing.assert_array_equal(np.delete(moved, [3, 5]), np.delete(values, [3, 5]))
    assert along_phi0.tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert [name for name, *_ in _directions(values[:3])] == ["J"]


def test_scaling_is_eliminated_or_held() -> None:
    """What is left is the inverse of a block of the inverse."""
    g, h = RNG.standard_normal((2, 5)), np.array([positive(5), positive(5)])
    v = np.array([positive(5), positive(5)])
    parts = _without_scaling(_Parts(g, h, v), held=False)
    for a in range(2):
        inverse = np.linalg.inv(h[a])[:3, :3]
        np.testing.assert_allclose(parts.hessians[a], np.linalg.inv(inverse))
        # The estimate of the first three is that of all five, and so is its covariance.
        np.testing.assert_allclose(inverse @ parts.gradients[a], np.linalg.solve(h[a], g[a])[:3])
        whole = np.linalg.inv(h[a]) @ v[a] @ np.linalg.inv(h[a])
        np.testing.assert_allclose(inverse @ parts.variances[a] @ inverse, whole[:3, :3])
    held = _without_scaling(_Parts(g, h, v), held=True)
    np.testing.assert_array_equal(held.gradients, g[:, :3])
    np.testing.assert_allclose(held.hessians, h[:, :3, :3])
    np.testing.assert_allclose(held.variances, v[:, :3, :3])


def test_parts_are_sums_of_their_maps() -> None:
    g, h, v = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3, 3)), np.ones((4, 3, 3))
    parts = _Parts(g, h, v).summed(np.array([1, 0, 1, 1]))
    np.testing.assert_allclose(parts.gradients, [g[1], g[0] + g[2] + g[3]])
    np.testing.assert_allclose(parts.hessians, [h[1], h[0] + h[2] + h[3]])
    np.testing.assert_array_equal(parts.variances[:, 0, 0], [1.0, 3.0])
    some = _Parts(g, h, v).among(np.array([0, 2]))
    np.testing.assert_array_equal(some.gradients, g[:, [0, 2]])
    np.testing.assert_array_equal(some.hessians[3], h[3][[0, 2]][:, [0, 2]])
    assert some.variances.shape == (4, 2, 2)


@pytest.mark.parametrize("held", [False, True])
def test_maps_have_the_gradients_of_the_plain_jacobian(held: bool) -> None:
    """J'r of each map by all parameters, whatever is free, contrast and offset projected out."""
    sigma = np.array([0.02, 0.03])
    data = replace(make_dataset(40, 2, parameters=RESOLVED, masked=90), sigma=sigma)
    values, scaling = 1.02 * RESOLVED, (np.array([0.3, 0.31]), np.array([1.1, 1.11]))
    solution = Solution(dict(zip(NAMES, values.tolist(), strict=True)), *scaling)
    problem = make_problem(
        start=tuple(values), fixed={"beta": float(values[4])},
        per_angle_mode="fixed" if held else "individual",
        contrast=(0.3, 0.31) if held else None, offset=(1.1, 1.11) if held else None,
    )  # fmt: skip
    maps = _maps(evaluate_run(StoredRun(problem, data, solution, FitRecord())))
    i, j = np.triu_indices(40, 1)
    columns = autodiff_columns(data, values, "he2024")
    f = model_values(values, data.t, data.phi, 0.0054, 2e6, "he2024")
    for a in range(2):
        y = data.array[a, i, j]
        known = np.isfinite(y)
        jacobian = scaling[0][a] * np.asarray(columns[a]).T[known][:, :7] / sigma[a]
        residual = (scaling[0][a] * f[a, i, j] + scaling[1][a] - y)[known] / sigma[a]
        if not held:
            plane = np.stack([f[a, i, j][known], np.ones(known.sum())], axis=1)
            jacobian = jacobian - plane @ np.linalg.lstsq(plane, jacobian, rcond=None)[0]
        unit = np.sqrt(np.sum(jacobian**2, axis=0))
        np.testing.assert_allclose(
            maps.gradients[a] / unit, jacobian.T @ residual / unit, rtol=1e-5, atol=1e-6
        )
        expected = jacobian.T @ jacobian / np.outer(unit, unit)
        np.testing.assert_allclose(maps.hessians[a] / np.outer(unit, unit), expected, atol=1e-7)
    np.testing.assert_array_equal(maps.variances, maps.hessians)


def test_gradients_with_best_weights_have_the_covariance_of_their_scores() -> None:
    """A derivative of c2 is the contrast times that of f; contrast and offset stand for themselves.

    A map that has no weights has no noise either.
    """
    best = np.array([positive(5), positive(5)])
    angles = [SimpleNamespace(data=SimpleNamespace(angle=a)) for a in (2, 0)]
    objective = SimpleNamespace(pairs=SimpleNamespace(full=np.zeros(3)), angles=angles)
    sums = [SimpleNamespace(best=one) for one in best]
    contrast = np.array([0.3, 0.4, 0.5])
    variances = _best_variances(objective, sums, contrast)  # type: ignore[arg-type]
    for place, a in enumerate((2, 0)):
        scale = np.diag([contrast[a]] * 3 + [1.0, 1.0])
        np.testing.assert_allclose(variances[a], scale @ best[place] @ scale)
    assert not variances[1].any()
    assert variances.shape == (3, 5, 5)


def test_maps_with_best_weights_add_up_to_the_objective() -> None:
    """Gradient and Hessian of all maps are those that the fit minimises with, beta held."""
    data = simulate(
        Experiment(RESOLVED, np.array([0.0, 50.0]), 40, 0.0054, 2e6, 0.1, 0.3, 1.0),
        Noise(speckles=300, counts=5.0), 4,
    ).dataset  # fmt: skip
    data = replace(data, sigma=np.full(2, 0.05))
    weights = SpeckleWeights(
        tuple(RESOLVED.tolist()), (0.3, 0.3), (0.2, 0.25), (300.0, 280.0), 2.0, 1.0
    )
    noise = NoiseReport(300.0, 10.0, weights=weights)
    values = 1.02 * RESOLVED
    problem = make_problem(start=tuple(values), fixed={"beta": float(values[4])})
    solution = Solution(dict(zip(NAMES, values.tolist(), strict=True)), np.full(2, 0.3), np.ones(2))
    run = StoredRun(problem, data, solution, FitRecord(noise=noise))
    best = evaluate_run(run).at
    run = replace(run, solution=replace(solution, contrast=best.contrast, offset=best.offset))
    evaluated = evaluate_run(run)
    assert evaluated.best is not None
    maps, free = _maps(evaluated), [0, 1, 2, 3, 5, 6]
    scale = np.sqrt(np.diag(evaluated.at.reduced_hessian))
    hessian = maps.hessians.sum(axis=0)[np.ix_(free, free)]
    np.testing.assert_allclose(
        hessian / np.outer(scale, scale),
        evaluated.at.reduced_hessian / np.outer(scale, scale), atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(
        maps.gradients.sum(axis=0)[free] / scale,
        evaluated.at.gradient / scale,
        rtol=1e-5,
        atol=1e-6,
    )
    assert np.abs(evaluated.at.gradient / scale).max() > 1.0
    assert not np.allclose(maps.variances, maps.hessians, rtol=0.01)


@pytest.mark.parametrize(("n_speckles", "times"), [(float("inf"), 1.0), (400.0, 2.0)])
def test_speckles_that_a_fit_counted_widen_the_noise_of_its_maps(
    n_speckles: float, times: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for all parameters, free or not, of the noise that is white but for them."""
    data = replace(make_dataset(30, 2, parameters=RESOLVED), sigma=np.full(2, 0.05))
    solution = Solution(
        dict(zip(NAMES, RESOLVED.tolist(), strict=True)), np.full(2, 0.3), np.ones(2)
    )
    problem = make_problem(start=tuple(RESOLVED), fixed={"beta": float(RESOLVED[4])})
    record = FitRecord(noise=NoiseReport(n_speckles))

    def scripted(_: object, objective: PairObjective, x: FloatArray, *__: object) -> object:
        assert objective.free.names == tuple(NAMES)
        np.testing.assert_array_equal(x, RESOLVED)
        return SimpleNamespace(variances=lambda hessians: 2.0 * hessians)

    monkeypatch.setattr(agreement, "speckles_in_residuals", lambda *_: None)
    monkeypatch.setattr(agreement, "speckle_noise", scripted)
    maps = _maps(evaluate_run(StoredRun(problem, data, solution, record)))
    np.testing.assert_allclose(maps.variances, times * maps.hessians)


@pytest.mark.parametrize(
    ("rings", "repeats", "kinds"),
    [(1, 1, ()), (2, 1, ("rings",)), (1, 2, ("repeats",)), (3, 2, ("rings", "repeats"))],
)
def test_what_there_are_several_of_is_compared_unless_the_loss_is_robust(
    rings: int, repeats: int, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_agreements", lambda _, asked: iter(asked))
    rows = SimpleNamespace(rings=np.arange(rings), n_repeats=repeats)
    for robust in (False, True):
        run = SimpleNamespace(
            run=SimpleNamespace(dataset=SimpleNamespace(rows=rows)),
            objective=SimpleNamespace(robust=robust),
        )
        assert find_agreement(run) == (() if robust else kinds)  # type: ignore[arg-type,comparison-overlap]
        assert uncompared_kinds(run) == (kinds if robust else ())  # type: ignore[arg-type]
