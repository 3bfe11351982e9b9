"""What `oscillations` measures against a plain regression, and what it says on either side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import CheckResult, CheckStatus, StoredRun
from homodyne_cli.core.checks import oscillations, residual_maps
from homodyne_cli.core.checks.lobe_scan import LobeScan, View
from homodyne_cli.core.checks.oscillations import (
    Lobes,
    _angle_filter,
    _first_zero,
    _oscillation,
    check_oscillations,
    find_lobes,
)
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES, Convention
from homodyne_cli.results import FitRecord, Solution
from tests.support.datasets import make_dataset
from tests.support.oracle import model_values
from tests.support.problems import make_problem

PHI = np.array([2.0, 40.0, 91.0])
#: Rates that are constant, so that strains are products.
STEADY = np.array([800.0, 0.0, 0.0, 3e-4, 0.0, 0.0, 2.0])


def steady_run(convention: Convention, seed: int = 0) -> tuple[StoredRun, Residuals]:
    """A run at the truth over data with a wave that is not of lobes, and a map of 0.8 of its c."""
    data = make_dataset(90, 3, parameters=STEADY, phi=PHI, noise=0.01, convention=convention,
                        masked=300, seed=seed, dt=0.5)  # fmt: skip
    c2 = data.array + 0.01 * np.cos(7.0 * np.abs(data.t[:, None] - data.t))
    data = replace(data, c2=c2)
    scaling = np.array([0.3, 0.32, 0.31]), np.array([1.1, 1.12, 1.08])
    solution = Solution(dict(zip(NAMES, STEADY.tolist(), strict=True)), *scaling)
    run = StoredRun(make_problem(convention=convention), data, solution, FitRecord())
    f = model_values(STEADY, data.t, PHI, 0.0054, 2e6, convention)
    maps = scaling[1][:, None, None] + 0.8 * scaling[0][:, None, None] * f
    return run, Residuals(data, maps, np.array([0.01, 0.012, 0.011]))


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
def test_lobes_are_those_of_a_plain_regression(
    convention: Convention, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On means over bins of 0.25 rad from pi to 6 pi, of the angles that reach pi."""
    monkeypatch.setattr(residual_maps, "_PAIRS", 900)
    run, residuals = steady_run(convention)
    data, power = run.dataset, 2 if convention == "he2024" else 4
    scale = 0.5 if convention == "he2024" else 0.5 / np.pi
    no_shear = STEADY * np.array([1, 1, 1, 0, 1, 1, 1])
    decays = model_values(no_shear, data.t, PHI, 0.0054, 2e6, convention)
    information, matched, left, degrees = 0.0, np.zeros(2), 0.0, 0
    rates = scale * 0.0054 * 2e6 * 3e-4 * np.abs(np.cos(np.deg2rad(2.0 - PHI)))
    for a in range(3):
        bins: dict[int, list[list[float]]] = {}
        for i, j in zip(*np.triu_indices(90, 1), strict=True):
            h = float(rates[a] * (data.t[j] - data.t[i]))
            value = float(data.array[a, i, j])
            if not (np.pi < h < 6.0 * np.pi) or np.isnan(value):
                continue
            mean = {2: 0.5, 4: 0.375}[power] / h**power
            wave = (np.sin(h) / h) ** power - mean
            e, c, o = decays[a, i, j], run.solution.contrast[a], run.solution.offset[a]
            fit = np.asarray(residuals.fitted)[a, i, j]
            row = [1.0, e, e * mean, c * e * wave, value - o, fit - o]
            bins.setdefault(int((h - np.pi) / 0.25), []).append(row)
        if len(bins) < 8:
            continue
        table = np.array([
            np.mean(rows, axis=0) * np.sqrt(len(rows)) / residuals.sigma[a]
            for rows in bins.values()
        ])  # fmt: skip
        x, sides = table[:, :4], table[:, 4:]
        known = 1.0 / np.linalg.inv(x.T @ x)[3, 3]
        best, squares = np.linalg.lstsq(x, sides, rcond=None)[:2]
        information, matched = information + known, matched + known * best[3]
        left, degrees = left + squares[0], degrees + len(table) - 4
    lobes = find_lobes(run, residuals)
    # The sinc^4 of homodyne 2.x is so slow here that only some of its bins are reached.
    assert degrees > 10
    assert lobes.expected == pytest.approx(np.sqrt(information), rel=1e-6)
    np.testing.assert_allclose([lobes.in_data, lobes.in_fit], matched / information, rtol=1e-5)
    assert lobes.in_fit == pytest.approx(0.8, abs=0.05 if power == 2 else 0.3)
    assert lobes.inflation == pytest.approx(np.sqrt(left / degrees), rel=1e-6)
    assert lobes.inflation > 1.01
    assert lobes.misplaced == (left > information + degrees + 5.0 * np.sqrt(2.0 * degrees))
    assert lobes.max_phase == pytest.approx(rates[0] * 89 * 0.5, rel=1e-9)


@pytest.mark.parametrize(("times", "misplaced"), [(0.99, False), (1.01, True)])
def test_a_pattern_larger_than_the_lobes_is_misplaced(
    times: float, misplaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left exceeds its expectation by five deviations more than lobes are worth."""
    run, residuals = steady_run("he2024")
    bins = []

    def scripted(columns: FloatArray, sides: FloatArray) -> tuple[float, FloatArray, float]:
        del sides
        degrees = columns.shape[1] - 4
        bins.append(degrees)
        # Of the first angle; what the second leaves is what is expected of it.
        if len(bins) > 1:
            total = sum(bins)
            return 0.0, np.zeros(2), total + 30.0 + 5.0 * times * np.sqrt(2.0 * total) - 1.0
        return 30.0, np.array([15.0, 24.0]), 1.0

    monkeypatch.setattr(oscillations, "_angle_filter", scripted)
    lobes = find_lobes(run, residuals)
    assert len(bins) == 2
    assert (lobes.in_data, lobes.in_fit) == (0.5, 0.8)
    assert lobes.misplaced == misplaced


def test_few_bins_are_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight are needed; without any, nothing is known."""
    run, residuals = steady_run("he2024")
    table = np.vstack([np.ones(8), *np.random.default_rng(0).standard_normal((5, 8))])
    for bins in (7, 8):
        monkeypatch.setattr(oscillations, "_binned", lambda *_, k=bins: table[:, :k])
        lobes = find_lobes(run, residuals)
        assert (lobes.expected > 0.0) == (bins == 8)
        assert np.isnan(lobes.in_data) == (bins == 7)
        if bins == 7:
            assert (lobes.inflation, lobes.misplaced) == (1.0, False)


@pytest.mark.parametrize("power", [2, 4])
def test_mean_and_wave_are_the_shear_factor(power: int) -> None:
    """The wave averages to nothing over a period."""
    h = np.linspace(2.0 * np.pi, 4.0 * np.pi, 4000, endpoint=False)
    mean, wave = _oscillation(h, power)
    np.testing.assert_allclose(mean + wave, (np.sin(h) / h) ** power, atol=1e-14)
    assert abs(np.mean(wave * h**power)) < 1e-12


@pytest.mark.parametrize("spare", [0.0, 1.0])
def test_the_filter_is_a_regression(spare: float) -> None:
    """Also where a column that is not looked for is empty or one of the others."""
    rng = np.random.default_rng(1)
    x, sides = rng.standard_normal((4, 20)) * np.array([[1e3], [1.0], [1.0], [1e-3]]), np.zeros(0)
    sides = rng.standard_normal((2, 20))
    x[2] = spare * x[1]
    information, amount, left = _angle_filter(x, sides)
    independent = x[[0, 1, 3]].T
    known = 1.0 / np.linalg.inv(independent.T @ independent)[2, 2]
    best, squares = np.linalg.lstsq(independent, sides.T, rcond=None)[:2]
    assert information == pytest.approx(known)
    np.testing.assert_allclose(amount / information, best[2])
    assert left == pytest.approx(squares[0])


def test_the_first_zero_is_counted_from_the_middle() -> None:
    t = np.array([1.0, 2.0, 3.0, 5.0, 8.0, 13.0])
    phase = np.array([0.0, 9.0, -4.0, 1.0, 1.0 - np.pi, 9.0])
    assert _first_zero(t, phase) == 3.0
    assert _first_zero(t, phase * np.array([1.0, 1.0, 1.0, 1.0, 0.99, 1.0])) == 8.0
    assert np.isnan(_first_zero(t, 0.1 * phase))


NO_LOBES = LobeScan(0.0, float("nan"), "", None)
LOBES = LobeScan(40.0, 2.0, "phi = 3 deg", View(slice(0, 90), 0.0, 2, 0))


def judged(
    monkeypatch: pytest.MonkeyPatch,
    lobes: Lobes,
    scan: LobeScan = NO_LOBES,
    later: LobeScan = NO_LOBES,
    patterns: CheckStatus | None = None,
    convention: Convention = "he2024",
) -> CheckResult:
    run, residuals = steady_run(convention)
    powers: list[tuple[int, ...]] = []

    def scripted(*_: object) -> LobeScan:
        powers.append(_[2])  # type: ignore[arg-type]
        return scan

    monkeypatch.setattr(oscillations, "find_lobes", lambda *_: lobes)
    monkeypatch.setattr(oscillations, "scan_lobes", scripted)
    monkeypatch.setattr(oscillations, "look_again", lambda *_: later)
    said = None if patterns is None else CheckResult("residuals", patterns, 0.1, 0.1, "")
    result = check_oscillations(run, residuals, said)
    assert all(p == ((2,) if convention == "he2024" else (2, 4)) for p in powers)
    return result


def lobes(
    expected: float = 10.0, in_data: float = 1.0, in_fit: float = 1.0, misplaced: bool = False,
    max_phase: float = 9.0, inflation: float = 1.0,
) -> Lobes:  # fmt: skip
    return Lobes(max_phase, expected, in_data, in_fit, misplaced, inflation, 1.5, "phi = 7 deg")


@pytest.mark.parametrize(
    ("measured", "status", "words"),
    [
        (lobes(), "pass", "1.00 ± 0.10 of the predicted lobes, first zero at a lag of 1.5 s"),
        (lobes(expected=8.0), "pass", "± 0.12"),
        (lobes(expected=7.9), "n/a", "signal to noise 7.9 of 8"),
        (lobes(in_data=0.5), "pass", "0.50"),
        (lobes(in_data=0.49), "fail", "the data show 0.49 ± 0.10"),
        (lobes(in_data=2.0), "pass", "2.00"),
        (lobes(in_data=2.01), "fail", "are 2.01 ± 0.10 times those of the fit"),
        (lobes(in_data=2.01, misplaced=True), "fail", "2.01 ± 0.10 and a larger pattern"),
        (lobes(in_fit=0.5), "pass", "1.00"),
        (lobes(in_fit=0.49), "fail", "has 0.49 of the lobes"),
        (lobes(misplaced=True), "fail", "1.00 ± 0.10 and a larger pattern that is not theirs"),
    ],
)
def test_what_is_enough_of_the_lobes(
    measured: Lobes, status: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = judged(monkeypatch, measured, convention="homodyne-2")
    assert (result.status, words in result.message) == (status, True), result.message
    if status != "n/a":
        assert (result.value, result.threshold) == (measured.in_data, 0.5)
    assert "others" not in result.message
    if status == "fail" and measured.in_fit > 0.5 and "times" not in result.message:
        assert "others, first zero at a lag of 2 s (phi = 3 deg)" in judged(
            monkeypatch, measured, LOBES).message  # fmt: skip


@pytest.mark.parametrize(
    ("patterns", "expected", "inflation", "misplaced", "status"),
    [
        ("pass", 10.0, 1.0, True, "pass"),
        ("fail", 10.0, 1.0, True, "fail"),
        ("fail", 10.0, 1.0, False, "pass"),
        ("pass", 16.0, 1.9, False, "pass"),
        ("pass", 16.0, 2.1, False, "n/a"),
        (None, 16.0, 2.1, False, "pass"),
    ],
)
def test_noise_of_speckles_hides_lobes(
    patterns: CheckStatus | None, expected: float, inflation: float, misplaced: bool, status: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where a test that knows that noise is content, no pattern is left over."""
    measured = lobes(expected, misplaced=misplaced, inflation=inflation)
    assert judged(monkeypatch, measured, patterns=patterns).status == status


@pytest.mark.parametrize(
    ("max_phase", "gain", "lag", "status"),
    [
        (3.2, 20.0, 2.0, "pass"),
        (3.2, 20.0, 2.55, "pass"),
        (3.2, 20.0, 2.65, "fail"),
        (3.2, 20.0, 1.57, "pass"),
        (3.2, 20.0, 1.51, "fail"),
        (3.2, 19.9, 2.0, "fail"),
        (3.1, 40.0, 2.0, "fail"),
        (3.2, 0.0, float("nan"), "fail"),
    ],
)
def test_lobes_too_weak_for_the_filter_are_looked_for_in_the_fit(
    max_phase: float, gain: float, lag: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the gain, at a lag within 1.3 of that of the data, where the fit has any lobes."""
    weak, later = lobes(expected=3.0, max_phase=max_phase), replace(LOBES, gain=gain, lag=lag)
    result = judged(monkeypatch, weak, LOBES, later)
    assert (result.status, result.value, result.threshold) == (status, gain / 40.0, 0.5)
    explained = judged(monkeypatch, weak, LOBES, later, "pass")
    assert explained.status == ("pass" if status == "pass" else "n/a")
    assert judged(monkeypatch, weak, LOBES, later, "warn").status == status
    assert judged(monkeypatch, weak, replace(LOBES, gain=30.0), later).status == "n/a"


@pytest.mark.parametrize(
    ("phi", "max_phase", "words"),
    [
        (PHI, 3.2, "lobes are below the noise (signal to noise 3 of 8)"),
        (PHI, 3.1, "angle set too narrow: phases reach 3.1 rad at phi = 7 deg, lobes begin at "
         "3.14; along the flow it would be 72.1"),
        (None, 3.1, "shear too weak: phases reach 3.1 rad"),
    ],
)  # fmt: skip
def test_why_there_is_nothing_to_see(
    phi: FloatArray | None, max_phase: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = lobes(expected=3.0, max_phase=max_phase)
    if phi is None:
        monkeypatch.setitem(STEADY_VALUES, "gamma_dot_t0", 1e-6)
    monkeypatch.setattr(oscillations, "find_lobes", lambda *_: weak)
    monkeypatch.setattr(oscillations, "scan_lobes", lambda *_: NO_LOBES)
    run, residuals = steady_run("he2024")
    run = replace(run, solution=replace(run.solution, values=STEADY_VALUES))
    result = check_oscillations(run, residuals)
    assert (result.status, result.value, result.threshold) == ("n/a", 3.0, 8.0)
    assert words in result.message


STEADY_VALUES = dict(zip(NAMES, STEADY.tolist(), strict=True))
