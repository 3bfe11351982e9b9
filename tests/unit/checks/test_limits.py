"""Limits of the checks that look at parameters and chi2: a little less and a little more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks import residual_maps
from homodyne_cli.core.checks.checklist import (
    BaselineFit,
    CheckInputs,
    check_chi_squared,
    check_gradient_balance,
    run_checks,
)
from homodyne_cli.core.checks.parameters import (
    check_convergence,
    check_physical,
    check_uncertainties,
)
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.speckle_patterns import SpecklePattern
from homodyne_cli.core.checks.speckle_verdicts import SpeckleVerdict
from homodyne_cli.core.noise.speckle_estimate import white_noise
from homodyne_cli.noise_report import NoiseReport
from homodyne_cli.parameters import NAMES, PerAngleMode
from homodyne_cli.results import FitRecord, Solution
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

N_PHI = 5
DATA = make_dataset(40, N_PHI, parameters=RESOLVED, noise=0.02, masked=200)
VALUES = dict(zip(NAMES, RESOLVED.tolist(), strict=True))
#: A tenth of each value.
ERRORS = {name: 0.1 * abs(value) for name, value in VALUES.items()}
RECORD = FitRecord(
    converged=True,
    message="ftol",
    uncertainties=ERRORS,
    initial={name: 2.0 * value for name, value in VALUES.items()},
)
SCALING = np.full(N_PHI, 0.3), np.full(N_PHI, 1.1)
RUN = StoredRun(make_problem(start=tuple(RESOLVED)), DATA, Solution(VALUES, *SCALING), RECORD)
MODEL = np.asarray(1.1 + 0.3 * np.exp(-np.abs(DATA.t[:, None] - DATA.t)) * np.ones((N_PHI, 1, 1)))
RESIDUALS = Residuals(DATA, MODEL, np.full(N_PHI, 0.02))
#: Of a contrast that nobody doubts.
LOUD = replace(RESIDUALS, sigma=np.full(N_PHI, 1e-6))


def with_values(values: dict[str, float], errors: dict[str, float]) -> StoredRun:
    known = replace(RECORD, uncertainties={**ERRORS, **errors})
    return replace(RUN, solution=Solution({**VALUES, **values}, *SCALING), record=known)


@pytest.mark.parametrize(
    ("values", "errors", "status", "value"),
    [
        ({}, {}, "pass", 0.1),
        ({"D0": -100.0}, {"D0": 19.9}, "pass", 0.199),
        ({"D0": 100.0}, {"D0": 20.0}, "fail", 0.2),
        # Within three uncertainties of zero, which this one may be; its own share is not told.
        ({"beta": 1.0}, {"beta": 0.334}, "warn", 0.1),
        ({"beta": -1.0}, {"beta": 0.334}, "warn", 0.1),
        ({"beta": 1.0}, {"beta": 0.332}, "fail", 0.332),
        ({"beta": 0.0}, {"beta": 0.1}, "warn", 0.1),
        ({"D0": 0.0}, {"D0": 0.1}, "fail", None),
        ({"D0": 1.0}, {"D0": float("inf")}, "fail", None),
    ],
)
def test_a_fifth_is_not_known(
    values: dict[str, float], errors: dict[str, float], status: str, value: float | None
) -> None:
    result = check_uncertainties(with_values(values, errors))
    assert (result.status, result.threshold) == (status, 0.2)
    assert result.value == (None if value is None else pytest.approx(value))
    if status == "warn" and values["beta"] == -1.0:
        assert "-2 to 0.002 (3 sigma)" in result.message
    if status == "pass":
        assert f"known to {100.0 * (value or 0.0):.2g}%" in result.message
    if values.get("beta") == 1.0 and status == "fail":
        assert "beta = 1 ± 0.33 is known to 33.2% only" in result.message
    assert check_uncertainties(with_values(values, errors), tuple(NAMES)).status == "pass"


@pytest.mark.parametrize(
    ("with_offset", "with_alpha", "partner"),
    [
        (0.91, 0.0, "D_offset (correlation +0.91)"),
        (0.89, 0.0, None),
        (-0.91, 0.97, "D_offset (correlation -0.91)"),
        (0.89, -0.91, "alpha (correlation -0.91)"),
        (0.89, -0.89, None),
    ],
)
def test_nine_tenths_of_correlation_trade_off(
    with_offset: float, with_alpha: float, partner: str | None
) -> None:
    """Variances of other sizes do not matter, and an offset comes first."""
    deviations = 10.0 ** np.arange(7.0)
    correlation = np.eye(7)
    for name, value in (("D_offset", with_offset), ("alpha", with_alpha)):
        k = NAMES.index(name)
        correlation[0, k] = correlation[k, 0] = value
    run = with_values({}, {"D0": VALUES["D0"]})
    record = replace(
        run.record, covariance=correlation * np.outer(deviations, deviations),
        covariance_names=tuple(NAMES),
    )  # fmt: skip
    advice = check_uncertainties(replace(run, record=record)).advice
    if partner is None:
        assert advice.startswith("use more frames")
    else:
        assert advice.startswith(f"D0 and {partner.split()[0]} trade off")
        assert partner.split(" ", 1)[1] in advice


@pytest.mark.parametrize(
    ("edm", "converged", "status"),
    [
        (0.099, True, "pass"),
        (0.1, True, "warn"),
        (0.99, True, "warn"),
        (1.0, True, "fail"),
        (0.1, False, "fail"),
        (0.0, False, "fail"),
        (float("nan"), True, "fail"),
    ],
)
def test_what_one_more_step_may_bring(edm: float, converged: bool, status: str) -> None:
    run = replace(RUN, record=replace(RECORD, converged=converged))
    result = check_convergence(run, edm)
    assert (result.status, result.threshold) == (status, 0.1)
    assert result.value == pytest.approx(edm, nan_ok=True)
    assert ("would still lower" in result.message) == (edm != 0.0 and status != "pass")


def test_one_that_did_not_move_is_stuck_and_all_of_them_are_at_the_minimum() -> None:
    stuck = {**RECORD.initial, "alpha": VALUES["alpha"], "beta": VALUES["beta"]}
    result = check_convergence(replace(RUN, record=replace(RECORD, initial=stuck)), 0.0)
    assert result.status == "fail"
    assert result.message == "alpha, beta did not move from the start"
    still = replace(RUN, record=replace(RECORD, initial=VALUES))
    assert check_convergence(still, 0.05).status == "warn"
    assert check_convergence(still, 0.5).status == "fail"
    # Those that are not determined or at a bound are nobody's here.
    others = replace(still.record, uncertainties={**ERRORS, "D0": float("nan")})
    assert check_convergence(replace(still, record=others), 0.05, ("alpha",)).status == "warn"


@pytest.mark.parametrize(("offset", "status"), [(-0.99, "pass"), (-1.0, "fail"), (-1.01, "fail")])
def test_diffusion_is_positive_at_its_least(offset: float, status: str) -> None:
    """D0 t^alpha + D_offset, which falls to the end of the window."""
    last = 8000.0 * DATA.t[-1] ** -0.4
    result = check_physical(with_values({"D_offset": offset * last}, {}), RESIDUALS)
    assert (result.status, result.threshold) == (status, 0.0)
    assert result.value == pytest.approx((1.0 + offset) * last, abs=1e-9)
    if status == "fail":
        assert f"at t = {DATA.t[-1]:.3g} s" in result.message
        assert "[0,100000]" in result.advice


def test_bounds_are_inside() -> None:
    bound = RUN.problem.bounds["D0"].upper
    for value, words in ((bound, "at a bound of"), (1.01 * bound, "is outside")):
        result = check_physical(with_values({"D0": value}, {}), RESIDUALS, ("D0",))
        assert result.status == "fail"
        assert words in result.message
        assert "widen the bounds of D0" in result.advice


@pytest.mark.parametrize(("error", "status"), [(4.99, "pass"), (5.0, "fail")])
def test_phi0_is_known_to_five_degrees(error: float, status: str) -> None:
    assert check_physical(with_values({}, {"phi0": error}), RESIDUALS).status == status
    fixed = replace(with_values({}, {"phi0": error}), problem=make_problem(fixed={"phi0": 2.0}))
    assert check_physical(fixed, RESIDUALS).status == "pass"


@pytest.mark.parametrize("which", ["contrast", "offset"])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize(
    ("inside", "mode", "status"),
    [
        (1.1e-6, "individual", "pass"),
        (0.9e-6, "individual", "fail"),
        (-1.1e-6, "individual", "fail"),
        (0.9e-6, "fixed", "pass"),
        (-0.9e-6, "fixed", "fail"),
    ],
)
def test_scaling_is_a_millionth_inside_its_bounds(
    which: str, upper: bool, inside: float, mode: PerAngleMode, status: str
) -> None:
    """Or not outside, where it is given."""
    problem = replace(RUN.problem, per_angle_mode=mode)
    bounds = problem.contrast_bounds if which == "contrast" else problem.offset_bounds
    # A contrast of zero would be seen by another check.
    low = replace(bounds, lower=0.1)
    if which == "contrast":
        problem = replace(problem, contrast_bounds=low)
    else:
        problem = replace(problem, offset_bounds=low)
    value = bounds.upper - inside if upper else 0.1 + inside
    second, middle = np.arange(N_PHI) == 1, 0.5 * (0.1 + bounds.upper)
    values = np.where(second, value, middle)
    edge = replace(RUN.solution, offset=values)
    if which == "contrast":
        edge = replace(RUN.solution, contrast=values)
    result = check_physical(replace(RUN, problem=problem, solution=edge), LOUD)
    assert result.status == status
    if status == "fail":
        assert f"{which} {value:.4g} at {DATA.place(1)} not inside" in result.message


def test_three_outliers_are_named_and_the_others_counted() -> None:
    many = replace(RUN.solution, offset=np.array([9.0, 8.0, 1.1, 7.0, 6.0]))
    message = check_physical(replace(RUN, solution=many), LOUD).message
    assert f"offset 9 at {DATA.place(0)}, 8 at {DATA.place(1)}, 7 at {DATA.place(3)}" in message
    assert "and 1 more angles" in message
    three = replace(RUN.solution, offset=np.array([9.0, 8.0, 1.1, 7.0, 1.1]))
    assert "more angles" not in check_physical(replace(RUN, solution=three), LOUD).message


@pytest.mark.parametrize(("times", "weak"), [(0.99, False), (1.01, True)])
def test_a_contrast_is_seen_beyond_five_deviations(
    times: float, weak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a straight line of the data over f, which has the offset free."""
    monkeypatch.setattr(residual_maps, "_PAIRS", 400)
    known = np.triu(np.isfinite(DATA.array[2]), 1)
    x = np.stack([(MODEL[2][known] - 1.1) / 0.3, np.ones(known.sum())], axis=1)
    # (X'X)^-1 is the variance over sigma^2.
    deviations = 0.3 / np.sqrt(np.linalg.inv(x.T @ x)[0, 0])
    sigma = np.where(np.isin(np.arange(5), (2, 4)), times * deviations / 5.0, 1e-6)
    sigma[4] *= 2.0
    result = check_physical(RUN, replace(RESIDUALS, sigma=sigma))
    first = 2 if weak else 4
    assert f"no significant contrast at {DATA.place(first)}" in result.message
    assert ("sigma) and 1 more" in result.message) == weak
    figure = 5.0 / times if weak else 2.5 / times
    assert f"({figure:.2g} sigma)" in result.message
    gone = replace(RUN, solution=replace(RUN.solution, contrast=np.array([0.3, 0, 0.3, 0.3, 0.3])))
    assert f"contrast at {DATA.place(1)} (0 sigma)" in check_physical(gone, RESIDUALS).message


def inputs(reduced: float, base: BaselineFit | None = None) -> CheckInputs:
    white = CheckResult("residuals", "pass", 0.0, 0.05, "white")
    return CheckInputs(RUN, RESIDUALS, 1000.0 * reduced, 1000, 0.0, 3.0, (), white, base)


@pytest.mark.parametrize(
    ("reduced", "status", "limits"),
    [
        (0.7, "pass", ""), (1.3, "pass", ""), (0.69, "warn", "0.7 to 1.3"),
        (1.31, "warn", "0.7 to 1.3"), (0.5, "warn", "0.7 to 1.3"), (2.0, "warn", "0.7 to 1.3"),
        (0.49, "fail", "0.5 to 2"), (2.01, "fail", "0.5 to 2"),
    ],
)  # fmt: skip
def test_reduced_chi_squared(reduced: float, status: str, limits: str) -> None:
    result = check_chi_squared(inputs(reduced))
    assert (result.status, result.threshold) == (status, 2.0)
    assert result.value == pytest.approx(reduced)
    if limits:
        assert f"is outside {limits}" in result.message
        assert ("sigma is too large" in result.advice) == (reduced < 1.0)


@pytest.mark.parametrize(
    ("drop", "status", "words"),
    [
        (0.11, "pass", "chi2 0.11 (0.011%) lower than that of old"),
        (0.09, "warn", "the same as that of old (1000)"),
        (-0.09, "warn", "the same as that of old (1000)"),
        (-0.11, "fail", "chi2 0.11 (0.011%) higher than that of old"),
    ],
)
def test_a_tenth_of_chi_squared_is_a_difference(drop: float, status: str, words: str) -> None:
    result = check_chi_squared(inputs(1.0, BaselineFit("old", 1000.0 + drop)))
    assert (result.status, words in result.message) == (status, True)
    assert (result.value, result.threshold) == (1000.0, 1000.0 + drop)
    # Beside a chi2 that is off by itself the baseline decides only if it is better.
    off = check_chi_squared(inputs(1.5, BaselineFit("old", 1500.0 + drop)))
    expected = (1500.0, 1500.0 + drop) if status == "fail" else (1.5, 2.0)
    assert (off.status, (off.value, off.threshold)) == (
        "fail" if status == "fail" else "warn", expected,
    )  # fmt: skip
    nothing = check_chi_squared(inputs(1.0, BaselineFit("old", 0.0)))
    assert "(inf%) higher" in nothing.message


@pytest.mark.parametrize(("chance", "status"), [(0.5, "pass"), (1e-6, "fail")])
def test_speckles_judge_chi_squared_in_their_metric(chance: float, status: str) -> None:
    """Whatever reduced chi2 of independent pairs is."""
    blocks = SpecklePattern("blocks", chance, 3.0, 1.1, "")
    verdict = SpeckleVerdict((blocks, replace(blocks, kind="lags", p_value=0.5)), white_noise(5))
    asked = replace(inputs(7.0), speckles=verdict)
    result = check_chi_squared(asked)
    assert result.status == status
    assert "reduced chi2 7 as if independent" in result.message
    assert bool(result.advice) == (status == "fail")
    assert run_checks(asked)[3].message.startswith("no pattern beyond the noise")


@pytest.mark.parametrize("status", ["pass", "warn", "fail"])
@pytest.mark.parametrize("n_speckles", [500.0, float("inf")])
def test_what_is_judged_as_white_says_so(status: str, n_speckles: float) -> None:
    """Where the fit counted speckles, and there is something to explain."""
    white = CheckResult("residuals", status, 0.1, 0.05, "white", "look")  # type: ignore[arg-type]
    run = replace(RUN, record=replace(RECORD, noise=NoiseReport(n_speckles)))
    residuals = run_checks(replace(inputs(1.0), run=run, white=white))[3]
    mentioned = status != "pass" and n_speckles == 500.0
    assert ("500 speckles per angle" in residuals.advice) == mentioned
    assert residuals.advice.startswith("look")


@pytest.mark.parametrize(("ratio", "status"), [(9.99, "pass"), (10.0, "fail")])
def test_sensitivities_differ_by_less_than_ten(ratio: float, status: str) -> None:
    result = check_gradient_balance(ratio)
    assert (result.status, result.value, result.threshold) == (status, ratio, 10.0)
    assert f"factor {ratio:.3g}" in result.message
