"""Score tests of a whole run against their patterns written down as loops; frames; angles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.checks import speckle_patterns
from homodyne_cli.core.checks.alternatives import alternative_maps
from homodyne_cli.core.checks.angle_maps import AngleMaps, FittedModel, MergedFrames, angle_maps
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.speckle_patterns import (
    SpecklePattern,
    _Bins,
    _frames,
    _one_angle,
    _pattern,
    _stretches,
    _worst_angle,
    _worst_block,
    find_speckle_patterns,
)
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.noise.score_tests import ScoreTest, joined_scores, score_test
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES, PerAngleMode
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import Solution
from tests.support.problems import make_problem

TRUTH = np.array([300.0, 0.0, 0.0, 3e-4, 0.0, 0.0, 2.0])
M = 80.0
NOISE = SpeckleEstimate(
    M, 5.0, np.array([0.2, 0.3, 0.25]), np.full(3, 0.05), 2.5, 0.5, np.array([1.0, 0.7, 1.2])
)


def a_run(
    size: int, mode: PerAngleMode = "individual"
) -> tuple[Residuals, FittedModel, MergedFrames]:
    """Speckles beside a step in the decay and a frame that jumps."""
    n = 24 * size + size - 1
    experiment = Experiment(TRUTH, np.array([0.0, 20.0, 50.0]), n, 0.0054, 2e6, 0.1, 0.5, 1.0)
    data = simulate(experiment, Noise(speckles=80, counts=5.0), 2).dataset
    c2 = data.array.copy()
    c2[0, :, n // 3] += 0.2
    c2[0, n // 3] += 0.2
    c2[1] += 0.1 * np.exp(-np.abs(data.t[:, None] - data.t))
    c2[2, 3 * size : 4 * size, 9 * size : 10 * size] = np.nan
    data = replace(data, c2=c2)
    problem: FitProblem = make_problem(
        start=tuple(TRUTH), per_angle_mode=mode, fixed={"alpha": 0.0, "beta": 0.0}
    )
    scaling = np.array([0.5, 0.45, 0.55]), np.array([1.0, 1.01, 0.99])
    solution = Solution(dict(zip(NAMES, TRUTH.tolist(), strict=True)), *scaling)
    maps = model_maps(data, solution.vector, *scaling, "he2024")
    model = FittedModel.of(data, problem, solution)
    return Residuals(data, maps, np.full(3, 0.1)), model, MergedFrames.of(data.t, 24 + (size > 1))


def lag_patterns(m: int) -> list[FloatArray]:
    edges = sorted({int(m ** (k / 12) + 1e-9) for k in range(13)} - {m})
    lag = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    return [
        ((lag >= low) & (lag < high)).astype(float)
        for low, high in zip(edges, [*edges[1:], m], strict=True)
    ]


@pytest.mark.parametrize("size", [1, 2])
def test_tests_of_a_run_are_those_of_its_patterns(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums over angles or angle by angle; edges of lags and ages in seconds."""
    residuals, model, merged = a_run(size)
    monkeypatch.setattr(
        speckle_patterns, "MergedFrames", type("Few", (), {"of": staticmethod(lambda _: merged)})
    )
    results = find_speckle_patterns(residuals, model, NOISE)
    m, t, data = len(merged.t), merged.t, residuals.dataset
    assert (merged.size, m) == (size, 24)
    by_kind = {p.kind: p for p in results}
    assert [p.kind for p in results][:5] == ["lags", "ages", "angles' lags", "blocks", "frames"]

    lags, bins = lag_patterns(m), _Bins.of(m)
    np.testing.assert_array_equal(bins.patterns[bins.lags], lags)
    maps = [angle_maps(residuals, model, NOISE, merged, a) for a in range(3)]
    wrong = [alternative_maps(one.pairs) for one in maps]

    def pooled(patterns: list[FloatArray]) -> ScoreTest:
        scores = joined_scores([one.scores(patterns[a]) for a, one in enumerate(maps)], M)
        return score_test(scores.over_angles(slice(None)))

    def each(patterns: FloatArray) -> ScoreTest:
        scores = joined_scores([one.scores(patterns) for one in maps], M)
        return score_test(scores.of_angles(slice(None)))

    def compare(kind: str, test: ScoreTest, place: str) -> None:
        p = by_kind[kind]
        assert p.p_value == pytest.approx(test.p_value, rel=1e-6)
        assert p.effect == pytest.approx(100.0 * test.amplitude / 0.5, rel=1e-6)
        assert p.reduced == pytest.approx(test.statistic / test.freedom, rel=1e-6)
        assert p.place == place

    seconds = np.array([*sorted({int(m ** (k / 12) + 1e-9) for k in range(12)}), m]) * 0.1 * size
    stacked = np.array(lags)
    one = pooled([stacked] * 3)
    compare("lags", one, _stretches(one, seconds, "lags", "s"))
    one = pooled([bins.patterns[bins.ages]] * 3)
    compare("ages", one, _stretches(one, np.linspace(t[0], t[-1], 9), "ages", "s"))
    one = each(stacked)
    compare("angles' lags", one, _worst_angle(one, data, seconds))
    one = each(bins.patterns[bins.blocks])
    compare("blocks", one, _worst_block(one, data, t))

    for kind, places in wrong[0].kinds.items():
        patterns = [c * w.maps[places] for c, w in zip((0.5, 0.45, 0.55), wrong, strict=True)]
        joined = joined_scores([one.scores(p) for one, p in zip(maps, patterns, strict=True)], M)
        scores = joined.over_angles(slice(None))
        test, variance = score_test(scores), np.diag(scores.covariance)
        effects = []
        for k in range(len(scores.values)):
            # An amplitude has the variance of its score over the square of what one adds.
            amplitude, error = scores.values[k] / (M * variance[k]), 1.0 / (M * variance[k] ** 0.5)
            peak = max(float(np.abs(w.maps[places][k]).max()) for w in wrong)
            noiseless = max(amplitude**2 - error**2, 0.0) ** 0.5
            effects.append(100.0 * peak * noiseless if np.isfinite(test.pulls[k]) else 0.0)
        p = by_kind[kind]
        assert p.effect == pytest.approx(max(effects), rel=1e-6, abs=1e-12), kind
        assert p.p_value == pytest.approx(test.p_value, rel=1e-6), kind
        if kind.endswith("over time"):
            k = int(np.nanargmax(np.abs(test.pulls)))
            step = (t[-1] - t[0]) / 4
            words = f"t = {t[0] + k * step:.3g} to {t[0] + (k + 1) * step:.3g} s"
            assert p.place == words
        else:
            assert p.place == ""
    rows = np.sum([rows_of(one) for one in maps], axis=0)
    frames, p = _frames(rows, merged, 0.1, 0.5, M), by_kind["frames"]
    assert (p.p_value, p.reduced) == pytest.approx((frames.p_value, frames.reduced), rel=1e-6)
    assert p.place == frames.place


def rows_of(maps: AngleMaps) -> FloatArray:
    """Scores against the pattern of each row, which stands twice in a symmetric map."""
    m = len(maps.residual)
    patterns = np.zeros((m, m, m))
    for k in range(m):
        patterns[k, k] = patterns[k, :, k] = 1.0
        patterns[k, k, k] = 0.0
    return maps.scores(patterns).pattern


def test_scores_of_rows_are_those_of_their_patterns() -> None:
    residuals, model, merged = a_run(1)
    outcome = _one_angle(residuals, model, NOISE, merged, _Bins.of(24), 2)
    maps = angle_maps(residuals, model, NOISE, merged, 2)
    np.testing.assert_allclose(outcome.rows, rows_of(maps), rtol=1e-6, atol=1e-9)
    peaks = np.abs(alternative_maps(maps.pairs).maps).max(axis=(1, 2))
    np.testing.assert_allclose(outcome.peaks, peaks)


@pytest.mark.parametrize("count", [1, 12, 14])
@pytest.mark.parametrize("size", [1, 3])
def test_frames_stand_out_from_the_median_of_their_neighbours(count: int, size: int) -> None:
    """Ten on either side, ends repeated; by Student's t of a third as many frames."""
    m, off = 150, np.arange(count) * 10 + 3
    rng = np.random.default_rng(count)
    rows = np.cumsum(0.01 * rng.standard_normal(m)) + 0.02 * rng.standard_normal(m)
    rows[off] += 0.3 * (-1.0) ** off
    padded = np.concatenate([np.full(10, rows[0]), rows, np.full(10, rows[-1])])
    deviation = rows - np.array([np.median(padded[k : k + 21]) for k in range(m)])
    spread = 1.4826 * np.median(np.abs(deviation))
    freedom = m / 3.0
    named = [k for k in range(m) if stats.t.sf(abs(deviation[k]) / spread, freedom) < 0.05 / m]
    assert set(off) <= set(named)
    merged = MergedFrames.of(np.linspace(50.0, 50.0 + 0.2 * (m * size - 1), m * size), m)
    p = _frames(rows, merged, 0.2, 0.25, 400.0)
    chance = 2.0 * m * stats.t.sf(np.abs(deviation).max() / spread, freedom)
    assert p.p_value == pytest.approx(min(chance, 1.0))
    squares = [max(deviation[k] ** 2 - spread**2, 0.0) for k in named]
    size_of = np.mean(squares) ** 0.5 / (400.0 * spread**2)
    assert p.effect == pytest.approx(100.0 * size_of / 0.25)
    assert p.reduced == pytest.approx(np.mean((deviation / spread) ** 2))
    words = [str(k + 1) if size == 1 else f"about {3 * k + 2}" for k in named]
    more = f" and {len(words) - 12} more" if len(words) > 12 else ""
    assert p.place == f"frames {', '.join(words[:12])}{more}"


def test_frames_that_are_all_alike_have_no_scale() -> None:
    p = _frames(np.zeros(30), MergedFrames.of(np.arange(30.0)), 1.0, 0.25, 400.0)
    assert (p.p_value, p.effect, p.reduced, p.place) == (1.0, 0.0, 0.0, "")


def test_effects_are_in_percent_and_statistics_per_degree() -> None:
    test = ScoreTest(12.0, 4, 0.02, 0.1, np.zeros(4))
    assert _pattern("k", test, 0.031, "p") == SpecklePattern("k", 0.02, 3.1, 3.0, "p")
    assert _pattern("k", replace(test, freedom=1), 0.0, "").reduced == 12.0
    nothing = ScoreTest(0.0, 0, 1.0, 0.0, np.zeros(0))
    assert _pattern("k", nothing, 0.0, "").reduced == 0.0


def test_three_uncertainties_are_named() -> None:
    edges = np.array([0.1, 0.2, 0.4, 0.8])
    test = ScoreTest(9.0, 4, 0.01, 0.1, np.array([-3.1, 2.9, 3.3]))
    assert _stretches(test, edges, "lags", "s") == "lags below 0.2 s, lags above 0.4 s"


@pytest.mark.parametrize(("n", "size", "m"), [(320, 1, 320), (321, 2, 160), (641, 3, 213)])
def test_frames_are_merged_beyond_320(n: int, size: int, m: int) -> None:
    merged = MergedFrames.of(np.linspace(0.0, 0.1 * (n - 1), n))
    assert (merged.size, len(merged.t)) == (size, m)
    assert merged.t[1] - merged.t[0] == pytest.approx(0.1 * size)
    assert merged.t[0] == pytest.approx(0.05 * (size - 1))
    values = np.random.default_rng(0).standard_normal((2, n))
    expected = [[values[k, size * b : size * (b + 1)].mean() for b in range(m)] for k in range(2)]
    np.testing.assert_allclose(merged.curve(values), expected)


@pytest.mark.parametrize(
    ("mode", "places"),
    [("individual", [9, 10]), ("shared", [5, 6]), ("fixed", [9, 10]), ("fourier", [9, 10])],
)
def test_columns_are_those_that_the_fit_has_free(mode: PerAngleMode, places: list[int]) -> None:
    """Five parameters, then contrast and offset of each group: here of the third angle."""
    residuals, model, merged = a_run(1, mode)
    maps = angle_maps(residuals, model, NOISE, merged, 2)
    assert maps.free.tolist() == [0, 2, 3, 5, 6, 7, 8]
    assert maps.places.tolist() == [0, 1, 2, 3, 4, *places]
    # The last two columns are f and 1, the first the derivative by D0.
    frames = np.arange(24)
    np.testing.assert_allclose(maps.columns[7], maps.pairs.f(frames[:, None], frames))
    np.testing.assert_array_equal(maps.columns[8], np.ones((24, 24)))
    whole = maps.scores(maps.columns[:1])
    alone = replace(maps, share=1.0).scores(maps.columns[:1])
    np.testing.assert_allclose(whole.pattern, 1.2 * alone.pattern)


@pytest.mark.parametrize(
    ("contrast", "kept", "modes"),
    [(0.5, 0.5, 2.0), (0.2, 0.2, 2.5), (1.7, 1.0, 1.0), (-0.3, 1e-6, 2.5)],
)
def test_noise_of_an_angle_is_possible(contrast: float, kept: float, modes: float) -> None:
    """A contrast between zero and one, made of no more modes than it allows."""
    residuals, model, merged = a_run(2)
    model = replace(model, contrast=np.array([0.4, contrast, 0.4]))
    covariance = angle_maps(residuals, model, NOISE, merged, 1).covariance
    assert covariance.contrast == pytest.approx(kept)
    assert covariance.modes == pytest.approx(modes)
    assert covariance.photon_noise == pytest.approx(0.15)
