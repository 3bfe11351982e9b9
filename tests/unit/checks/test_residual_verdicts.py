"""Tests of white residuals against the same sums over dense maps, and verdicts on chances given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.checks import residual_maps, residuals, speckle_verdicts
from homodyne_cli.core.checks.angle_maps import FittedModel
from homodyne_cli.core.checks.remarks import Remark, worst_of
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.residuals import Pattern, check_residuals, find_patterns
from homodyne_cli.core.checks.speckle_patterns import SpecklePattern, chances
from homodyne_cli.core.checks.speckle_verdicts import (
    SpeckleVerdict,
    check_peculiar_patterns,
    check_smooth_misfit,
    judge_speckles,
)
from homodyne_cli.core.maps.pair_noise import estimate_sigma
from homodyne_cli.core.model.pair_model import ModelMaps, model_maps
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES
from homodyne_cli.results import Solution
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem

N = 96


def dense_tests(z: FloatArray, correlated: bool) -> dict[str, tuple[float, float]]:
    """Amplitude and chance of each test, from (n_phi, n, n) with NaN where nothing is fitted.

    Groups are boolean maps, and everything is summed over them.
    """
    known, n_phi = np.isfinite(z), len(z)
    i, j = np.indices((N, N))
    total = int(known.sum())
    blocks = {
        side: [
            (a, (i * side // N == p) & (j * side // N == q))
            for a in range(n_phi) for p in range(side) for q in range(p, side)
        ]
        for side in (4, 8, 16, 32)
    }  # fmt: skip

    def scores(
        groups: list[tuple[int, np.ndarray]], s: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        values = [(z[a][mask & known[a]] / s[a]) for a, mask in groups]
        values = [v for v in values if len(v)]
        return np.array([v.sum() / len(v) ** 0.5 for v in values]), np.array(list(map(len, values)))

    inside = []
    for a in range(n_phi):
        parts = [z[a][mask & known[a]] for b, mask in blocks[32] if b == a]
        parts = [v for v in parts if len(v)]
        inside.append(
            sum(((v - v.mean()) ** 2).sum() for v in parts) / sum(len(v) - 1 for v in parts)
        )
    s, inflation = np.sqrt(inside), 1.0
    if correlated:
        fine, coarse = scores(blocks[32], s)[0], scores(blocks[16], s)[0]
        inflation = (np.sum(fine**2) - np.sum(coarse**2)) / (len(fine) - len(coarse))
        s = s * inflation**0.5
    edges = sorted({int(N ** (k / 24) + 1e-9) for k in range(25)} - {N})
    groups = {
        "means of the angles": [(a, np.ones((N, N), dtype=bool)) for a in range(n_phi)],
        "lag bins": [
            (a, (j - i >= low) & (j - i < high))
            for a in range(n_phi) for low, high in zip(edges, [*edges[1:], N], strict=True)
        ],
        **{f"blocks of {N // side} frames": chosen for side, chosen in blocks.items()},
    }  # fmt: skip
    if correlated:
        del groups["blocks of 3 frames"]
    outcome = {}
    for kind, chosen in groups.items():
        score, count = scores(chosen, s)
        weight = count if kind != "lag bins" else np.ones(len(count))
        mean = np.sum(weight * (score**2 - 1.0) / count) / weight.sum()
        outcome[kind] = mean, float(np.mean(score**2)), len(score)
    pooled = [(z / s[:, None, None])[known & (j - i == lag)] for lag in range(1, N)]
    score, count = (
        np.array([v.sum() / len(v) ** 0.5 for v in pooled]),
        np.array(list(map(len, pooled))),
    )
    outcome["means of single lags"] = (
        float(np.sum(score**2 - 1.0)) / total, float(np.mean(score**2)), len(score),
    )  # fmt: skip
    return {
        kind: (max(mean * inflation, 0.0) ** 0.5, float(stats.f.sf(f, k, total - k)))
        for kind, (mean, f, k) in outcome.items()
    }


@pytest.mark.parametrize("correlated", [False, True])
def test_tests_are_those_of_dense_maps(correlated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of each angle with a scale of its own, and a faint pattern, beside masked pairs."""
    monkeypatch.setattr(residual_maps, "_PAIRS", 2000)
    rng = np.random.default_rng(6)
    data, sigma = make_dataset(N, 2), np.array([0.5, 2.0])
    white = rng.standard_normal((2, N, N + 1))
    z = white[:, :, 1:] + (0.3 * white[:, :, :-1] if correlated else 0.0)
    z[1, 20:40, 60:80] += 0.4
    z = z + 0.1 * np.cos(np.arange(N) / 4.0)
    z *= np.array([1.0, 1.3])[:, None, None]
    z[0, 30:33] = np.nan
    z[1, rng.random((N, N)) < 0.1] = np.nan
    z[:, *np.tril_indices(N)] = np.nan
    model = rng.standard_normal((2, N, N))
    c2 = np.where(np.isfinite(z), model + sigma[:, None, None] * z, np.nan)
    c2[:, *np.tril_indices(N)] = 7.0
    *patterns, neighbours = find_patterns(Residuals(replace(data, c2=c2), model, sigma))
    expected = dense_tests(z, correlated)
    assert {p.kind for p in patterns} == set(expected)
    for p in patterns:
        amplitude, chance = expected[p.kind]
        assert p.amplitude == pytest.approx(amplitude, rel=1e-6, abs=1e-9), p.kind
        assert p.p_value == pytest.approx(chance, rel=1e-6), p.kind
    # Correlation of z with its neighbours on either side, each angle in its own units.
    products = []
    for a in range(2):
        unit = z[a] / np.sqrt(np.nanmean(z[a] ** 2))
        for pairs in (unit[:, 1:] * unit[:, :-1], unit[1:] * unit[:-1]):
            products += pairs[np.isfinite(pairs)].tolist()
    assert neighbours.amplitude == pytest.approx(np.mean(products))
    chance = 2.0 * stats.norm.sf(abs(np.mean(products)) * len(products) ** 0.5)
    assert neighbours.p_value == pytest.approx(chance)


def test_places_are_those_of_the_largest() -> None:
    rng = np.random.default_rng(8)
    data = make_dataset(N, 3, dt=0.5)
    z = 0.1 * rng.standard_normal((3, N, N))
    # None of them beside another, so that neighbours are not correlated.
    z[2, [48, 48, 49, 50, 50], [75, 77, 76, 75, 77]] -= 9.0
    patterns = find_patterns(Residuals(replace(data, c2=z), np.zeros_like(z), np.ones(3)))
    places = {p.kind: p.place for p in patterns}
    where = data.place(2)
    assert places["means of the angles"] == f"largest at {where}"
    # Frames 49 and 76 of 96, from 1, 0.5 s apart.
    t = data.t
    assert places["blocks of 3 frames"] == (
        f"largest at {where}, t1 = {t[49]:.3g} s, t2 = {t[76]:.3g} s"
    )
    assert places["blocks of 24 frames"] == (
        f"largest at {where}, t1 = {t[60]:.3g} s, t2 = {t[84]:.3g} s"
    )
    assert places["means of single lags"] == "largest at lag 13.5 s"
    assert places["lag bins"] == f"largest at {where}, lag {0.5 * int(N ** (17 / 24)):.3g} s"
    assert places["neighbouring pairs"] == ""


def pattern(kind: str, amplitude: float, chance: float) -> Pattern:
    return Pattern(kind, amplitude, chance, f"largest at {kind}")


@pytest.mark.parametrize(
    ("amplitudes", "value", "kind", "status"),
    [
        ((0.10, 0.072, 0.069), 0.10, "B", "fail"),
        ((0.10, 0.068, 0.069), 0.10, "A", "fail"),
        ((0.02, 0.03, 0.051), 0.051, "C", "fail"),
        ((0.049, 0.03, 0.02), 0.049, "A", "warn"),
        ((0.05, 0.03, 0.02), 0.05, "A", "fail"),
    ],
)
def test_the_coarsest_test_that_sees_most_of_it_names_the_place(
    amplitudes: tuple[float, ...], value: float, kind: str, status: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With the size of the largest; what is not significant names nothing."""
    several = [pattern(k, a, 1e-9) for k, a in zip("ABC", amplitudes, strict=True)]
    quiet = pattern("D", 9.0, 0.5)
    monkeypatch.setattr(residuals, "find_patterns", lambda _: (*several, quiet, quiet))
    data = make_dataset(12, 1)
    result = check_residuals(Residuals(data, data.array, np.ones(1)))
    assert (result.status, result.value, result.threshold) == (status, value, 0.05)
    assert f"in {kind}, largest at {kind}" in result.message
    assert ("refit" in result.advice) == (status == "fail")


@pytest.mark.parametrize(("chance", "status"), [(0.9, "warn"), (1.1, "pass")])
def test_neighbours_warn_at_their_share_of_false_alarms(
    chance: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of eight tests; the chance of all groups is the least times their count."""
    quiet = (pattern("A", 0.01, 0.2), pattern("B", 0.02, 0.1), pattern("C", 0.03, 0.3))
    near = pattern("neighbours", -0.02, chance * 0.005 / 8.0)
    monkeypatch.setattr(residuals, "find_patterns", lambda _: (*quiet, near))
    data = make_dataset(12, 1)
    result = check_residuals(Residuals(data, data.array, np.ones(1)))
    assert (result.status, result.value, result.threshold) == (status, 0.02, 0.05)
    words = "chance 0.3; most unusual: B" if status == "pass" else "correlated (-0.02)"
    assert words in result.message
    few = make_dataset(11, 1)
    assert check_residuals(Residuals(few, few.array, np.ones(1))).status == "n/a"


def speckle(kind: str, chance: float, effect: float, place: str = "") -> SpecklePattern:
    return SpecklePattern(kind, chance, effect, 1.7, place)


ESTIMATE = SpeckleEstimate(612.0, 30.0, np.array([0.2]), np.array([0.1]), 2.0, 0.5, np.ones(1))


@pytest.mark.parametrize(
    ("chance", "effect", "status", "value"),
    [
        (0.0051, 9.0, "pass", 0.0051),
        (0.005, 9.0, "fail", 9.0),
        (0.0049, 0.5, "fail", 0.5),
        (0.0049, 0.49, "warn", 0.49),
    ],
)
def test_smooth_misfit_fails_by_chance_and_size(
    chance: float, effect: float, status: str, value: float
) -> None:
    verdict = SpeckleVerdict(
        (speckle("lags", 1e-9, 9.0), speckle("blocks", chance, effect)), ESTIMATE
    )
    result = check_smooth_misfit(verdict)
    assert (result.id, result.status, result.value) == ("chi_squared", status, value)
    assert result.threshold == (0.005 if status == "pass" else 0.5)
    assert ("reduced chi2 1.7 of blocks (chance 0.0051)" in result.message) == (status == "pass")
    assert bool(result.advice) == (status != "pass")


@pytest.mark.parametrize(
    ("chance", "effect", "status"),
    [(0.0069, 9.0, "pass"), (0.0066, 0.51, "fail"), (0.0066, 0.49, "warn")],
)
def test_peculiar_patterns_are_several_tests(chance: float, effect: float, status: str) -> None:
    """Three that have 2% between them; the least likely is named with its remedy."""
    patterns = (
        speckle("blocks", 1e-9, 9.0),
        speckle("lags", 0.3, 20.0),
        speckle("frames", chance, effect, "frames 7"),
        speckle("drift", 0.5, 30.0),
    )
    result = check_peculiar_patterns(SpeckleVerdict(patterns, ESTIMATE))
    assert (result.id, result.status) == ("residuals", status)
    if status == "pass":
        assert result.value == pytest.approx(3.0 * chance)
        assert result.threshold == 0.02
        assert "noise of 612 speckles in 3 tests" in result.message
    else:
        assert (result.value, result.threshold) == (effect, 0.5)
        assert f"{effect:.2g}% of the contrast in frames, frames 7 (chance 0.02)" in result.message
        assert "bad_frames" in result.advice
    assert chances(patterns[1:2]) == 0.3
    assert chances(patterns[1:2] * 4) == 1.0


@pytest.mark.parametrize(("photons", "judged"), [(24.9, True), (25.1, False)])
@pytest.mark.parametrize("effect", [0.1, float("nan")])
def test_speckles_judge_where_photons_do_not_drown_them(
    photons: float, judged: bool, effect: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the median photon noise over the mean contrast, and where all tests have figures."""
    data, problem = make_dataset(20, 3), make_problem(start=tuple(PUBLISHED))
    scaling = np.array([0.2, 0.3, 0.4]), np.ones(3)
    solution = Solution(dict(zip(NAMES, PUBLISHED.tolist(), strict=True)), *scaling)
    model = FittedModel.of(data, problem, solution)
    maps = model_maps(data, solution.vector, *scaling, "he2024")
    assert isinstance(maps, ModelMaps)
    noise = replace(ESTIMATE, photon_noise=0.3 * np.array([0.1, photons, 900.0]))
    patterns = (speckle("blocks", 0.5, effect), speckle("lags", 0.4, 0.1))
    speckles = SpecklesSeen(noise, 0.5)
    monkeypatch.setattr(speckle_verdicts, "find_speckles", lambda *_: speckles)
    monkeypatch.setattr(speckle_verdicts, "find_speckle_patterns", lambda *_: patterns)
    verdict = judge_speckles(Residuals(data, maps, np.ones(3)), model)
    assert (verdict is not None) == (judged and effect == 0.1)
    assert judge_speckles(Residuals(data, data.array, np.ones(3)), model) is None


def test_the_worst_remarks_are_said_together() -> None:
    remarks = [Remark("pass", "a", "A"), Remark("warn", "b", "B"), Remark("n/a", "c", "C")]
    assert worst_of(remarks, "fine") == Remark("warn", "b", "B")
    assert worst_of(remarks[::2], "fine") == Remark("pass", "a", "A")
    assert worst_of([], "fine") == Remark("pass", "fine")
    both = [Remark("fail", "d", "D"), *remarks, Remark("fail", "e", ""), Remark("fail", "f", "D")]
    assert worst_of(both, "fine") == Remark("fail", "d; e; f", "D")


def test_measured_noise_raises_sigma_and_does_not_lower_it() -> None:
    data = make_dataset(60, 2, noise=0.05)
    measured = estimate_sigma(data)
    residual = Residuals(data, data.array, np.array([0.5, 0.001]))
    np.testing.assert_array_equal(residual.with_measured_noise().sigma, [0.5, measured[1]])


@pytest.mark.parametrize("model", [False, True])
def test_fits_are_read_at_pairs_and_frames(model: bool) -> None:
    data, scaling = make_dataset(15, 2), (np.array([0.3, 0.2]), np.array([1.1, 1.0]))
    lazy = model_maps(data, PUBLISHED, *scaling, "he2024")
    frames = np.arange(15)
    assert isinstance(lazy, ModelMaps)
    whole = np.array([lazy.pairs(a, *np.indices((15, 15))) for a in range(2)], dtype=float)
    fit = Residuals(data, lazy if model else whole, np.array([0.1, 0.2]))
    i, j = np.array([0, 3, 4]), np.array([1, 9, 14])
    for a in range(2):
        np.testing.assert_allclose(fit.fit_at(a, i, j), whole[a, i, j], rtol=1e-6)
        np.testing.assert_allclose(fit.amplitude_error(a, 16.0), [0.025, 0.05][a])
    between = np.array(fit.fit_between(frames[2::3]), dtype=float)
    upper = np.triu(np.ones((5, 5), dtype=bool), 1)
    np.testing.assert_allclose(between[:, upper], whole[:, 2::3, 2::3][:, upper], rtol=1e-6)
    told: list[tuple[int, int]] = []
    assert fit.each_angle(lambda a: 10 * a, [1], lambda k, n: told.append((k, n))) == [10]
    assert fit.each_angle(lambda a: 10 * a, None, lambda k, n: told.append((k, n))) == [0, 10]
    assert told == [(1, 1), (1, 2), (2, 2)]
