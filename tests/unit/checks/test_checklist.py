"""Each planted failure is caught by its own check, and a good fit by none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks.checklist import (
    BaselineFit,
    CheckInputs,
    check_chi_squared,
    check_gradient_balance,
    run_checks,
)
from homodyne_cli.core.checks.lobe_scan import scan_lobes
from homodyne_cli.core.checks.oscillations import VISIBLE, check_oscillations, find_lobes
from homodyne_cli.core.checks.parameters import (
    check_convergence,
    check_physical,
    check_uncertainties,
)
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.pair_model import fitted_maps
from homodyne_cli.dataset import FloatArray
from homodyne_cli.noise_report import NoiseReport
from homodyne_cli.problem import Bounds, InitialParameters, SolverOptions
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs, moved, with_uncertainties

IDS = (
    "oscillations",
    "chi_squared",
    "uncertainties",
    "residuals",
    "gradient_balance",
    "convergence",
    "physical",
)
DATA = make_dataset(200, 5, seed=11, spread=0.05, noise=0.02)
START = tuple(1.05 * PUBLISHED)
PROBLEM = make_problem(start=START)


@pytest.fixture(scope="module")
def good() -> CheckInputs:
    return fitted_inputs(DATA, PROBLEM)


def scaling_of(inputs: CheckInputs) -> tuple[FloatArray, FloatArray]:
    return inputs.run.solution.contrast, inputs.run.solution.offset


def failed(results: tuple[CheckResult, ...]) -> set[str]:
    return {r.id for r in results if r.status == "fail"}


def test_good_fit_passes_every_check_in_order(good: CheckInputs) -> None:
    results = run_checks(good)
    assert tuple(r.id for r in results) == IDS
    assert [r.status for r in results] == ["pass"] * 7, results
    assert all(r.message and "\n" not in r.message for r in results)


def test_smooth_fit_to_data_with_lobes_fails_oscillations() -> None:
    shear = {"gamma_dot_t0": 1e-5, "beta": 0.0, "gamma_dot_t_offset": 0.0, "phi0": 2.0}
    inputs = fitted_inputs(DATA, make_problem(start=START, fixed=shear))
    results = run_checks(inputs)
    assert "oscillations" in failed(results)
    assert "side lobes that the fit lacks" in results[0].message
    # What a wrong model leaves behind counts as correlated noise, so uncertainties may fail too.
    assert not failed(results) & {"convergence", "physical", "gradient_balance"}


def test_faint_lobes_are_seen_in_a_good_fit_and_missed_in_a_smooth_one() -> None:
    """Too faint for the matched filter of a single fit, but not for the scan."""
    data = make_dataset(200, 5, seed=0, noise=0.06)
    good = fitted_inputs(data, PROBLEM)
    assert find_lobes(good.run, good.residuals).expected < VISIBLE
    result = check_oscillations(good.run, good.residuals)
    assert (result.status, "side lobes in data and fit" in result.message) == ("pass", True)
    for factor in (0.01, 0.5):
        shear = ("gamma_dot_t0", "gamma_dot_t_offset")
        wrong = moved(good.run, {n: factor * good.run.solution.values[n] for n in shear})
        assert check_oscillations(wrong.run, wrong.residuals).status == "fail"


@pytest.mark.parametrize("factor", [0.5, 1.5, 3.0])
def test_lobes_at_the_wrong_lags_fail_oscillations(good: CheckInputs, factor: float) -> None:
    shear = {
        n: factor * good.run.solution.values[n] for n in ("gamma_dot_t0", "gamma_dot_t_offset")
    }
    inputs = moved(good.run, shear)
    result = check_oscillations(inputs.run, inputs.residuals)
    assert result.status == "fail"
    assert "of the lobes in the fit" in result.message


def test_lobes_that_the_data_lack_fail_oscillations(good: CheckInputs) -> None:
    smooth = make_dataset(200, 5, seed=1, noise=0.02, parameters=PUBLISHED[:3])
    result = check_oscillations(good.run, replace(good.residuals, dataset=smooth))
    assert result.status == "fail"
    assert "the data show" in result.message
    assert "others" not in result.message


def test_fitted_map_without_its_lobes_fails_oscillations(good: CheckInputs) -> None:
    values = np.array([*list(good.run.solution.values.values())[:3], 1e-6, 0.0, 0.0, 2.0])
    smooth = fitted_maps(DATA, values, *scaling_of(good), "he2024")
    result = check_oscillations(good.run, replace(good.residuals, fitted=smooth))
    assert result.status == "fail"
    assert "do not belong together" in result.message


def test_matched_filter_measures_amplitude_with_its_stated_error(good: CheckInputs) -> None:
    amplitudes = []
    truth = fitted_maps(DATA, PUBLISHED, *scaling_of(good), "he2024")
    values = dict(zip(good.run.solution.values, PUBLISHED.tolist(), strict=True))
    run = replace(good.run, solution=replace(good.run.solution, values=values))
    for seed in range(25):
        noise = 0.02 * np.random.default_rng(seed).standard_normal(truth.shape)
        data = replace(DATA, c2=truth + noise)
        lobes = find_lobes(run, Residuals(data, truth, good.residuals.sigma))
        amplitudes.append(lobes.in_data)
        assert lobes.in_fit == pytest.approx(1.0, abs=1e-6)
    spread = float(np.std(amplitudes)) * lobes.expected
    assert 0.7 < spread < 1.3
    assert abs(float(np.mean(amplitudes)) - 1.0) < 4.0 / lobes.expected / 5.0


def test_oscillations_do_not_apply_where_none_can_show(good: CheckInputs) -> None:
    static = replace(good.run, problem=replace(good.run.problem, mode="static"))
    assert check_oscillations(static, good.residuals).status == "n/a"

    weak_truth = PUBLISHED * np.array([1, 1, 1, 0.01, 1, 0.01, 1])
    weak = make_dataset(200, 5, seed=4, noise=0.02, parameters=weak_truth)
    inputs = moved(
        replace(good.run, dataset=replace(weak, sigma=good.residuals.sigma)),
        dict(zip(good.run.solution.values, weak_truth.tolist(), strict=True)),
    )
    result = check_oscillations(inputs.run, inputs.residuals)
    assert (result.status, "shear too weak" in result.message) == ("n/a", True)

    narrow = make_dataset(200, 5, seed=4, noise=0.02, phi=np.linspace(91.5, 92.5, 5))
    inputs = moved(
        replace(good.run, dataset=replace(narrow, sigma=good.residuals.sigma)),
        dict(zip(good.run.solution.values, PUBLISHED.tolist(), strict=True)),
    )
    result = check_oscillations(inputs.run, inputs.residuals)
    assert (result.status, "too narrow" in result.message) == ("n/a", True)


@pytest.mark.parametrize("power", [2, 4])
def test_lobe_scan_finds_lobes_and_only_lobes(power: int) -> None:
    """With sinc^2 lobes in the data; without shear, over decays of several shapes."""
    sigma = np.full(5, 0.02)
    if power == 2:
        scan = scan_lobes(DATA, sigma, (power,))
        assert scan.has_lobes
        assert 1.0 < scan.lag < 3.0
    for alpha in (-1.3, -0.5, 0.5):
        smooth = np.array([68480.5 * 6.0 ** (-1.3 - alpha), alpha, 0.0])
        data = make_dataset(200, 5, parameters=smooth, noise=0.02, seed=3)
        assert not scan_lobes(data, sigma, (power,)).has_lobes


def test_systematic_residual_fails_residuals() -> None:
    """A misfit lives in smooth modes, which are not counted as speckles."""
    x = np.arange(200) / 200
    pattern = 0.3 * 0.02 * np.sin(6 * np.pi * (x[:, None] + x))
    inputs = fitted_inputs(replace(DATA, c2=DATA.array + pattern), PROBLEM)
    results = run_checks(inputs)
    assert "residuals" in failed(results)
    assert failed(results) <= {"residuals", "uncertainties"}
    value = results[3].value
    assert value is not None
    assert 0.15 < value < 0.25
    assert inputs.run.record.noise.n_speckles == np.inf
    assert "speckles" not in results[3].advice
    record = replace(inputs.run.record, noise=NoiseReport(n_speckles=500.0))
    counted = replace(inputs, run=replace(inputs.run, record=record))
    assert "noise like that of 500 speckles" in run_checks(counted)[3].advice


def uncertain(run: StoredRun, **errors: float) -> CheckResult:
    return check_uncertainties(with_uncertainties(run, **errors))


def test_ill_determined_parameter_fails_uncertainties_alone(good: CheckInputs) -> None:
    run = good.run
    wide = with_uncertainties(run, gamma_dot_t0=0.4 * run.solution.values["gamma_dot_t0"])
    results = run_checks(replace(good, run=wide))
    assert failed(results) == {"uncertainties"}
    assert results[2].value == pytest.approx(0.4)
    assert "gamma_dot_t0" in results[2].message


def test_fit_to_noisy_data_fails_uncertainties() -> None:
    data = make_dataset(200, 5, seed=1, noise=0.15)
    results = run_checks(fitted_inputs(data, make_problem(start=START)))
    assert failed(results) == {"uncertainties"}


def test_advice_names_the_partner_and_holds_what_is_not_wanted(good: CheckInputs) -> None:
    """D0 and D_offset of this data trade off: it is the offset that may be held."""
    value = good.run.solution.values["D0"]
    record = good.run.record
    names = record.covariance_names
    matrix = np.eye(len(names))
    d0, offset, alpha = (names.index(n) for n in ("D0", "D_offset", "alpha"))
    for j, correlation in ((offset, -0.93), (alpha, -0.98)):
        matrix[d0, j] = matrix[j, d0] = correlation
    run = with_uncertainties(replace(good.run, record=replace(record, covariance=matrix)), D0=value)
    result = check_uncertainties(run)
    assert "D0 and D_offset trade off (correlation -0.93)" in result.advice
    assert "--set initial_parameters.fixed_parameters.D_offset=0; or use more" in result.advice
    assert "fix D0" not in result.advice
    # Without an offset it is the one that trades off most.
    weak = matrix.copy()
    weak[d0, offset] = weak[offset, d0] = -0.3
    other = replace(run, record=replace(run.record, covariance=weak))
    advice = check_uncertainties(other).advice
    assert "D0 and alpha trade off (correlation -0.98): hold alpha at a value known" in advice
    alone = replace(run, record=replace(run.record, covariance=np.eye(len(names))))
    assert check_uncertainties(alone).advice.startswith("use more frames")


def test_parameter_that_may_be_zero_warns_with_its_interval(good: CheckInputs) -> None:
    result = uncertain(good.run, beta=abs(good.run.solution.values["beta"]))
    assert result.status == "warn"
    assert "beta is consistent with zero" in result.message
    assert uncertain(good.run, beta=0.25 * abs(good.run.solution.values["beta"])).status == "fail"
    assert uncertain(good.run, D0=good.run.solution.values["D0"]).status == "fail"


def test_undetermined_fails_and_unrecorded_warns(good: CheckInputs) -> None:
    result = uncertain(good.run, D0=float("nan"))
    assert (result.status, result.value) == ("fail", None)
    assert "not determined" in result.message
    errors = {n: e for n, e in good.run.record.uncertainties.items() if n != "D0"}
    run = replace(good.run, record=replace(good.run.record, uncertainties=errors))
    assert check_uncertainties(run).status == "warn"


def test_early_stop_fails_convergence_alone(good: CheckInputs) -> None:
    run = good.run
    nudged = moved(run, {"D0": run.solution.values["D0"] + 1.5 * run.record.uncertainties["D0"]})
    assert nudged.edm > 1.0
    assert failed(run_checks(nudged)) == {"convergence"}
    problem = replace(PROBLEM, solver=SolverOptions(max_iterations=1))
    stopped = fitted_inputs(DATA, problem)
    result = check_convergence(stopped.run, stopped.edm)
    assert result.status == "fail"
    assert "max_iterations" in result.message


def test_parameter_stuck_at_its_start_fails_convergence(good: CheckInputs) -> None:
    run, record = good.run, good.run.record
    beta = run.solution.values["beta"]
    stuck = replace(run, record=replace(record, initial={**record.initial, "beta": beta}))
    result = check_convergence(stuck, good.edm)
    assert (result.status, "beta did not move" in result.message) == ("fail", True)
    # Undetermined, at a bound, fixed or unknown: other checks' business, or none.
    assert check_convergence(stuck, good.edm, ("beta",)).status == "pass"
    for other in (
        with_uncertainties(stuck, beta=float("nan")),
        replace(stuck, problem=replace(run.problem, initial=InitialParameters(fixed={"beta": 0}))),
        replace(stuck, record=replace(stuck.record, initial={})),
    ):
        assert check_convergence(other, good.edm).status == "pass"
    # A fit that starts at the minimum has no reason to move.
    unmoved = replace(run, record=replace(record, initial=run.solution.values))
    assert check_convergence(unmoved, good.edm).status == "warn"


def test_parameter_at_bound_fails_physical_alone(good: CheckInputs) -> None:
    alpha, error = good.run.solution.values["alpha"], good.run.record.uncertainties["alpha"]
    problem = make_problem(start=START, bounds={"alpha": Bounds(-2.0, alpha - 0.3 * error)})
    results = run_checks(fitted_inputs(DATA, problem))
    assert failed(results) == {"physical"}
    assert "alpha" in results[6].message
    assert "at a bound" in results[6].message


def test_negative_diffusion_fails_physical_alone() -> None:
    truth = PUBLISHED.copy()
    truth[2] = -2500.0
    data = make_dataset(200, 5, seed=2, noise=0.02, parameters=truth)
    inputs = fitted_inputs(data, make_problem(start=tuple(1.02 * truth)))
    results = run_checks(inputs)
    assert failed(results) == {"physical"}
    assert "D(t) falls to" in results[6].message
    assert "--set 'parameter_space.bounds.D_offset=[0,100000]'" in results[6].advice
    # Wider bounds are no remedy for a D_offset that is at one and too low.
    at_bound = run_checks(replace(inputs, at_bounds=("D_offset",)))[6]
    assert "D_offset = -" in at_bound.message
    assert "widen" not in at_bound.advice


def test_scaling_and_phi0_are_judged(good: CheckInputs) -> None:
    run = good.run
    third = np.arange(5) == 2
    at = run.solution
    full = replace(at, contrast=np.where(third, 1.0, at.contrast))
    low = replace(at, offset=np.where(third, 0.4, at.offset))
    for wrong, words in ((full, "contrast 1 at"), (low, "offset 0.4 at")):
        result = check_physical(replace(run, solution=wrong), good.residuals)
        assert (result.status, words in result.message) == ("fail", True)
    flat = np.array(good.residuals.fit_between(np.arange(200)), dtype=float)
    flat[1] = run.solution.offset[1]
    result = check_physical(run, replace(good.residuals, fitted=flat))
    assert "no significant contrast" in result.message
    for error, words in ((7.0, "known to 7 deg"), (float("nan"), "not determined")):
        result = check_physical(with_uncertainties(run, phi0=error), good.residuals)
        assert (result.status, words in result.message) == ("fail", True)


@pytest.mark.parametrize(
    ("base", "status", "words"),
    [
        (1.2, "pass", "lower than that of old"),
        (0.9, "fail", "higher than that of old"),
        (1.0, "warn", "the same"),
        (None, "warn", "refused: other angles"),
    ],
)
def test_chi_squared_against_a_baseline(
    good: CheckInputs, base: float | None, status: str, words: str
) -> None:
    chi2 = None if base is None else base * good.chi2
    baseline = BaselineFit("old", chi2, "other angles" if base is None else "")
    results = run_checks(replace(good, baseline=baseline))
    assert results[1].status == status
    assert words in results[1].message
    assert failed(results) <= {"chi_squared"}


@pytest.mark.parametrize(
    ("reduced", "status"),
    [(0.3, "fail"), (0.6, "warn"), (1.1, "pass"), (1.6, "warn"), (35, "fail")],
)
def test_reduced_chi_squared_range(good: CheckInputs, reduced: float, status: str) -> None:
    inputs = replace(good, chi2=reduced * good.degrees_of_freedom)
    result = check_chi_squared(inputs)
    assert result.status == status
    assert result.value == pytest.approx(reduced)


@pytest.mark.parametrize(
    ("ratio", "status", "value"),
    [(3.0, "pass", 3.0), (10.0, "fail", 10.0), (float("inf"), "fail", None)],
)
def test_gradient_balance(ratio: float, status: str, value: float | None) -> None:
    result = check_gradient_balance(ratio)
    assert (result.status, result.value) == (status, value)
