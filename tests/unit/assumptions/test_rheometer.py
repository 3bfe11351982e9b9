"""A rheometer beside a fit: slip and bands are found where they are, and agreement is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.assumptions.rheometer import (
    FlowComparison,
    RheometerCurve,
    check_rheometer,
    compare_flow,
)
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.held_value import hold_values
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import DataError, UsageError
from homodyne_cli.io.files.rheometer_file import read_rheometer
from tests.support.problems import make_problem
from tests.support.rows import TRUTH, two_rings

NOISE = 0.01
PROBLEM = replace(make_problem(start=tuple(TRUTH), fixed={"D_offset": TRUTH[2]}), weights="equal")


@pytest.fixture(scope="module")
def run() -> StoredRun:
    """A fit that knows the shear rate to about a percent over most of six seconds."""
    data = two_rings(seed=4, noise=NOISE)
    known = replace(data, sigma=np.full(data.n_phi, NOISE))
    result = fit(known, PROBLEM)
    return StoredRun(PROBLEM, known, result.solution, result.record)


def rate(t: FloatArray) -> FloatArray:
    return np.asarray(TRUTH[3] * t ** TRUTH[4] + TRUTH[5])


def strain(t: FloatArray) -> FloatArray:
    power = TRUTH[4] + 1.0
    return np.asarray(TRUTH[3] * t**power / power + TRUTH[5] * t)


T = np.linspace(0.05, 7.0, 140)


def compared(run: StoredRun, value: FloatArray, kind: str = "shear rate") -> FlowComparison:
    named = "strain" if kind == "strain" else "shear rate"
    return compare_flow(run, RheometerCurve(named, T, value, np.zeros(len(T))))  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["forward", "backward"])
def test_the_true_shear_rate_and_strain_are_consistent(run: StoredRun, sign: float) -> None:
    for kind, value in (("shear rate", rate(T)), ("strain", 5.0 + strain(T))):
        flow = compared(run, sign * value, kind)
        check = check_rheometer(flow)
        assert check.status == "pass", check.message
        assert "homogeneous flow consistent" in check.message
        assert flow.t[0] >= run.dataset.t[0]
        assert flow.t[-1] <= run.dataset.t[-1]
        # The uncertainty at best is a few percent; a verdict that nothing could fail is none.
        assert flow.uncertainty.min() < 0.02


def test_slip_of_a_fifth_is_found_everywhere(run: StoredRun) -> None:
    """Walls move 25% faster than the sample: the fit sees 0.8 of the rheometer's shear rate."""
    for kind, value in (("shear rate", rate(T)), ("strain", strain(T))):
        flow = compared(run, 1.25 * value, kind)
        check = check_rheometer(flow)
        assert check.status == "fail"
        best = int(np.argmin(flow.uncertainty))
        assert flow.ratio[best] == pytest.approx(0.8, abs=4.0 * flow.uncertainty[best])
        assert "slip" in check.advice


def test_a_band_that_opens_late_is_found_from_then_on(run: StoredRun) -> None:
    flow = compared(run, rate(T) * np.where(T > 3.0, 1.3, 1.0))
    check = check_rheometer(flow)
    assert check.status == "fail"
    beyond = flow.t[np.abs(flow.pulls) > flow.limit]
    assert beyond.min() > 3.0
    assert f"from {beyond.min():.3g}" in check.message


def test_noise_of_the_rheometer_counts(run: StoredRun) -> None:
    """A table with 30% of noise, which it states, says nothing against the flow."""
    rng = np.random.default_rng(0)
    noisy = rate(T) * (1.0 + 0.3 * rng.standard_normal(len(T)))
    stated = RheometerCurve("shear rate", T, noisy, 0.3 * rate(T))
    assert check_rheometer(compare_flow(run, stated)).status == "pass"
    silent = replace(stated, uncertainty=np.zeros(len(T)))
    assert check_rheometer(compare_flow(run, silent)).status == "fail"


def test_what_cannot_be_compared_is_refused(run: StoredRun) -> None:
    late = RheometerCurve("shear rate", T + 100.0, rate(T), np.zeros(len(T)))
    with pytest.raises(UsageError, match="of its times lie between"):
        compare_flow(run, late)
    static = replace(run, problem=replace(run.problem, mode="static"))
    with pytest.raises(UsageError, match="is static"):
        compare_flow(static, replace(late, t=T))


def test_tables_are_read_in_their_units(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("Time (min), Strain (%), uncertainty\n0.5, 10, 1\n1, 20, 2\n", "utf-8")
    table = read_rheometer(path)
    assert table.kind == "strain"
    np.testing.assert_allclose(table.t, [30.0, 60.0])
    np.testing.assert_allclose(table.value, [0.1, 0.2])
    np.testing.assert_allclose(table.uncertainty, [0.01, 0.02])
    path.write_text("time [ms],shear rate [1/s]\n100,0.5\n200,0.25\n", "utf-8")
    table = read_rheometer(path)
    assert (table.kind, table.t.tolist()) == ("shear rate", [0.1, 0.2])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no CSV table"),
        ("time (s), torque (Nm)\n1,2\n2,3\n", "its columns are"),
        ("time, strain\n1,2\n2,3\n", "no unit"),
        ("time (s), shear rate (Hz)\n1,2\n2,3\n", "'Hz'"),
        ("time (s), strain\n1,2\n2\n", "row 3"),
        ("time (s), strain\n1,2\n2,x\n", "row 3"),
        ("time (s), strain\n2,2\n1,2\n", "ascending"),
        ("time (s), strain\n1,2\n", "two or more"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError) as caught:
        read_rheometer(path)
    assert said in str(caught.value)


def test_a_held_value_costs_what_a_fit_with_it_fixed_costs(run: StoredRun) -> None:
    evaluated = evaluate_run(run)
    andrade = -2.0 / 3.0
    true, wrong = hold_values(evaluated, [("beta", TRUTH[4]), ("beta", andrade)])
    fixed = {**PROBLEM.initial.fixed, "beta": andrade}
    values = run.solution.values
    again = replace(make_problem(start=tuple(values.values()), fixed=fixed), weights="equal")
    alone = fit(run.dataset, again)
    assert wrong.chi2_rise == pytest.approx(alone.chi2 - evaluated.chi2, rel=1e-3)
    assert wrong.p_value < 1e-6
    assert true.p_value > 1e-3
    expected = ((TRUTH[4] - values["beta"]) / run.record.uncertainties["beta"]) ** 2
    # Quadratic but for the bend of the valley over a sigma or two.
    assert true.chi2_rise == pytest.approx(expected, rel=0.3, abs=0.05)
    assert true.chi2_scale == pytest.approx(1.0, rel=0.05)


def test_what_is_not_fitted_cannot_be_held(run: StoredRun) -> None:
    with pytest.raises(UsageError, match="not a fitted parameter"):
        hold_values(evaluate_run(run), [("D_offset", 0.0)])
