"""Figures of a comparison with a rheometer by differences; limits of its verdict and of rings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.agreement_verdicts import (
    check_agreement,
    check_without_comparison,
    findings_without_comparison,
)
from homodyne_cli.core.assumptions.rheometer import (
    FlowComparison,
    RheometerCurve,
    check_rheometer,
    compare_flow,
)
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import UsageError
from homodyne_cli.findings.agreement import Agreement, ComparedQuantity
from homodyne_cli.parameters import NAMES
from homodyne_cli.results import FitRecord, Solution
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

DATA = make_dataset(60, 2, parameters=RESOLVED)
FACTOR = np.random.default_rng(3).standard_normal((9, 7))
COVARIANCE = FACTOR.T @ FACTOR * np.outer(0.01 * np.abs(RESOLVED), 0.01 * np.abs(RESOLVED))
RUN = StoredRun(
    make_problem(start=tuple(RESOLVED)), DATA,
    Solution(dict(zip(NAMES, RESOLVED.tolist(), strict=True)), np.full(2, 0.3), np.ones(2)),
    FitRecord(covariance=COVARIANCE, covariance_names=tuple(NAMES)),
)  # fmt: skip
#: Times of frames from the fifth on, so that nothing is between two of them.
T = DATA.t[4::5]


def curve(kind: str, rate: FloatArray, t: FloatArray) -> FloatArray:
    if kind == "shear rate":
        return np.asarray(rate[0] * t ** rate[1] + rate[2])
    power = rate[1] + 1.0
    return np.asarray(rate[0] / power * (t**power - t[0] ** power) + rate[2] * (t - t[0]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("stated", [0.0, 0.07])
@pytest.mark.parametrize("kind", ["shear rate", "strain"])
def test_ratio_and_uncertainty_are_those_of_differences(
    kind: str, stated: float, sign: float
) -> None:
    """Of the fit's curve in its parameters; strains from the first time that both have."""
    measured = np.linspace(1.5, 4.0, len(T)) * 1e-3
    errors = np.full(len(T), stated * 1e-3)
    # Times outside of the window, and a value that is none, are left out.
    table = RheometerCurve(
        "strain" if kind == "strain" else "shear rate",
        np.concatenate([[0.0], T, [T[-1] + 0.03, 99.0]]),
        sign * np.concatenate([[7.0], measured, [np.nan, 7.0]]),
        np.concatenate([[7.0], errors, [7.0, 7.0]]),
    )
    flow = compare_flow(RUN, table)
    t, value, error = T, sign * measured, errors
    if kind == "strain":
        t, value = T[1:], value[1:] - value[0]
        error = np.sqrt(error[1:] ** 2 + error[0] ** 2)
    fit = curve(kind, RESOLVED[3:6], T)[-len(t) :]
    slopes = []
    for k in range(3):
        step = np.eye(3)[k] * 1e-6 * RESOLVED[3:6]
        slope = curve(kind, RESOLVED[3:6] + step, T) - curve(kind, RESOLVED[3:6] - step, T)
        slopes.append(slope[-len(t) :] / (2e-6 * RESOLVED[3 + k]))
    spread = np.sqrt(np.einsum("kt,kl,lt->t", slopes, COVARIANCE[3:6, 3:6], slopes))
    np.testing.assert_allclose(flow.t, t)
    np.testing.assert_allclose(flow.rheometer, value)
    # c2 does not know the direction.
    np.testing.assert_allclose(flow.fit, sign * fit, rtol=1e-6)
    np.testing.assert_allclose(flow.fit_uncertainty, spread, rtol=1e-5)
    np.testing.assert_allclose(flow.ratio, sign * fit / value, rtol=1e-6)
    of_ratio = np.sqrt(spread**2 + (fit / value * error) ** 2) / np.abs(value)
    np.testing.assert_allclose(flow.uncertainty, of_ratio, rtol=1e-5)
    np.testing.assert_allclose(flow.pulls, (sign * fit / value - 1.0) / of_ratio, rtol=1e-5)
    limit = stats.chi2.isf(0.001, 3) ** 0.5
    if stated:
        limit = max(limit, stats.norm.isf(0.0005 / len(t)))
    assert flow.limit == pytest.approx(limit)


def test_many_independent_times_have_a_wider_limit() -> None:
    t = np.linspace(DATA.t[0], DATA.t[-1], 3000)
    table = RheometerCurve("shear rate", t, np.full(3000, 1e-3), np.full(3000, 1e-4))
    limit = stats.norm.isf(0.0005 / 3000)
    assert limit > stats.chi2.isf(0.001, 3) ** 0.5
    assert compare_flow(RUN, table).limit == pytest.approx(limit)


@pytest.mark.parametrize(("count", "refused"), [(1, True), (2, False)])
def test_two_times_are_needed(count: int, refused: bool) -> None:
    """At the ends of the window, which belong to it."""
    t = np.array([DATA.t[0], DATA.t[-1], DATA.t[-1] + 0.01])[-count - 1 :]
    table = RheometerCurve("shear rate", t, np.full(count + 1, 1e-3), np.zeros(count + 1))
    if refused:
        with pytest.raises(UsageError, match="fewer than 2"):
            compare_flow(RUN, table)
    else:
        np.testing.assert_array_equal(compare_flow(RUN, table).t, t[:2])
    silent = replace(RUN, record=replace(RUN.record, covariance=None))
    with pytest.raises(UsageError, match="no covariance"):
        compare_flow(silent, table)


def flow(ratio: list[float], uncertainty: list[float], limit: float = 4.0) -> FlowComparison:
    t, ones = np.arange(1.0, len(ratio) + 1.0), np.ones(len(ratio))
    return FlowComparison(
        "strain", t, ones, ones, ones, np.array(ratio), np.array(uncertainty), limit
    )


@pytest.mark.parametrize(
    ("ratio", "uncertainty", "status", "figure", "span"),
    [
        ([1.0, 1.1, 1.0], [0.1, 0.0249, 0.5], "fail", 0.1 / 0.0249, "2 to 2"),
        ([1.0, 1.1, 1.0], [0.1, 0.0251, 0.5], "pass", 0.1 / 0.0251, ""),
        ([1.0, 0.9, 0.9], [0.1, 0.02, 0.0249], "fail", 5.0, "2 to 3"),
        ([1.0, 1.0201, 1.0], [0.1, 0.001, 0.5], "fail", 20.1, "2 to 2"),
        ([1.0, 1.0199, 1.0], [0.1, 0.001, 0.5], "pass", 19.9, ""),
        ([1.0, 0.9799, 1.0], [0.1, 0.001, 0.5], "fail", 20.1, "2 to 2"),
        ([1.0, 0.9801, 1.0], [0.1, 0.001, 0.5], "pass", 19.9, ""),
    ],
)
def test_a_flow_that_is_not_seen_is_off_by_chance_and_size(
    ratio: list[float], uncertainty: list[float], status: str, figure: float, span: str
) -> None:
    """More than the limit and more than 2%, at the same time; means weigh by uncertainty."""
    check = check_rheometer(flow(ratio, uncertainty))
    assert (check.status, check.threshold) == (status, 4.0)
    assert check.value == pytest.approx(figure)
    mean = np.average(ratio, weights=np.array(uncertainty) ** -2.0)
    assert f"sees {mean:.3f} of the rheometer's strain (to {min(uncertainty):.1g} at best)" in (
        check.message
    )
    assert bool(check.advice) == (status == "fail")
    if status == "fail":
        assert (
            f"strain from {span} s: at 2 s {ratio[1]:.3f} ± {uncertainty[1]:.1g}" in check.message
        )
        assert f"({(ratio[1] - 1.0) / uncertainty[1]:+.1f} sigma)" in check.message
    else:
        assert "consistent over 1 to 3 s" in check.message


def test_a_ratio_without_uncertainty_has_no_weight() -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        some = check_rheometer(flow([1.0, 1.01, 9.0], [0.1, 0.1, 0.0], 1e400))
        none = check_rheometer(flow([1.0, 1.0, 2.5], [0.0, 0.0, 0.0], 1e400))
    assert "sees 1.005 of" in some.message
    assert "sees 1.500 of" in none.message


def rings(*quantities: ComparedQuantity, chance: float = 0.5) -> Agreement:
    return Agreement("rings", np.array([0.004, 0.005, 0.006]), quantities, 20.0, 5, chance)


@pytest.mark.parametrize(
    ("name", "unit", "least", "cause"),
    [
        ("J", "%", 2.0, "q^2"),
        ("shear rate", "%", 2.0, "slip"),
        ("phi0", "deg", 0.5, "beam's centre"),
    ],
)
def test_each_quantity_has_a_size_that_counts(
    name: str, unit: str, least: float, cause: str
) -> None:
    """Of the part that is most off in its own uncertainties, not of the largest deviation."""
    for times, status in ((0.99, "warn"), (1.0, "fail")):
        deviation = np.array([0.1, -times * least, 9.0])
        q = ComparedQuantity(name, unit, deviation, np.array([1.0, 0.1, 9.0]), 9.0, 2, 1e-5)
        check = check_agreement(rings(q))
        assert (check.status, check.value, check.threshold) == (status, 2e-5, 0.001)
        pull = deviation[1] / 0.1
        assert f"{name} up to {times * least:.2g} {unit} ({pull:+.1f} sigma)" in check.message
        if status == "fail":
            assert cause in check.advice
            assert f"q = 0.005 1/Å is {deviation[1]:+.2g} ± 0.1 {unit} off" in check.message
            assert "fit --each" in check.advice


def test_repeats_of_which_nothing_is_compared_still_scatter() -> None:
    repeats = Agreement("repeats", np.array([1.0, 2.0, 3.0]), (), 45.0, 5, 1e-4)
    check = check_agreement(repeats)
    assert check.status == "fail"
    assert "3 repeats scatter by 3.00 of the stated uncertainties (chi2 45 for 5" in check.message
    assert "most of all" not in check.message


def test_a_robust_fit_does_not_compare() -> None:
    check = check_without_comparison("rings")
    assert (check.id, check.status, check.value, check.threshold) == ("rings", "n/a", None, None)
    notes = list(findings_without_comparison(["rings", "repeats"]))
    assert [(note.code.name, note.severity) for note in notes] == [
        ("RINGS", "note"), ("REPEATS", "note"),
    ]  # fmt: skip
