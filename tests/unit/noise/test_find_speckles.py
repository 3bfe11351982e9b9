"""Evidence of speckles by plain loops, where it ends, and what is said of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.noise import find_speckles as module
from homodyne_cli.core.noise.find_speckles import SpecklesSeen, _are_sound, evidence, find_speckles
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.noise.windows import Window
from homodyne_cli.dataset import FloatArray
from tests.unit.noise.test_covariance_operator import irregular_g1, present_pairs, random_maps
from tests.unit.noise.test_windows import dataset, fitted


def window(n: int, seed: int, size: float = 1.0) -> Window:
    present = present_pairs(n)
    residual = size * random_maps(1, present, seed)[0]
    return Window(0, irregular_g1(n, seed), residual, present, 0.3)


def slow_evidence(windows: Sequence[Window]) -> float:
    """z of the module term by term; the first n // 6 modes count with others alone."""
    score, variance = 0.0, 0.0
    for one in windows:
        strengths, q = np.linalg.eigh(one.g1 * one.g1)
        strengths, q, n = strengths[::-1], q[:, ::-1], len(strengths)
        x, slope = [], []
        for i in range(n):
            for j in range(i, n):
                if j < n // 6:
                    continue
                z = sum(q[k, i] * one.residual[k, m] * q[m, j] for k in range(n) for m in range(n))
                spread = 1.0 + (i == j) - 2.0 * sum(q[k, i] ** 2 * q[k, j] ** 2 for k in range(n))
                x.append(z * z / spread)
                slope.append(strengths[i] + strengths[j])
        cut = np.minimum(np.array(x) * stats.chi2(1).median() / np.median(x), 6.0)
        slopes = np.array(slope) - np.mean(slope)
        score += float(np.sum(slopes * (cut - cut.mean())))
        variance += float(np.sum(slopes**2) * np.mean((cut - cut.mean()) ** 2))
    return float(score / np.sqrt(variance))


@pytest.mark.parametrize("sizes", [(13,), (5,), (12, 9)], ids=str)
def test_evidence_is_the_sum_over_modes(sizes: tuple[int, ...]) -> None:
    """To 1e-5: the median of a chi-squared variable is kept to seven digits."""
    windows = [window(n, seed, size=10.0**seed) for seed, n in enumerate(sizes)]
    assert evidence(windows) == pytest.approx(slow_evidence(windows), rel=1e-5)


def test_modes_of_single_frames_have_no_pair() -> None:
    """A field that decays at once has frames as modes: they show nothing, and do no harm."""
    n = 9
    alone = replace(window(n, 1), g1=np.eye(n))
    assert np.isfinite(evidence([alone, window(n, 2)]))


def counted(w: FloatArray, error: FloatArray) -> SpeckleEstimate:
    return SpeckleEstimate(900.0, 50.0, w, error, 1.0, 0.4, np.ones(len(w)))


@pytest.mark.parametrize(
    ("w", "median"), [([4.0, 0.5, 1.0], 1.0), ([4.0, 0.5, 1.0, 2.0], 2.0), ([3.0], 3.0)]
)
def test_photons_are_those_of_the_median_angle(w: list[float], median: float) -> None:
    noise = np.array(w)
    report = SpecklesSeen(counted(noise, 0.1 * noise), 0.7).report
    assert report.photons == pytest.approx(1.0 / median)
    assert report.photons_error == pytest.approx(0.1 / median)
    assert (report.n_speckles, report.n_speckles_error) == (900.0, 50.0)
    assert report.white_share == 0.7


def sound(contrast: float = 0.3, sigma: float = 0.05, one: Window | None = None) -> bool:
    windows = [window(8, 1), window(8, 2) if one is None else one]
    return _are_sound(windows, np.array([0.3, contrast]), np.array([0.05, sigma]))


def test_contrast_and_noise_have_their_limits() -> None:
    assert sound()
    assert [sound(contrast=c) for c in (0.99e-3, 1.01e-3, 1.0, 1.001)] == [False, True, True, False]
    assert [sound(sigma=s) for s in (0.99e-6, 1.01e-6, 0.99e6, 1.01e6)] == [
        *(False, True, True, False)
    ]


def test_residuals_and_fields_have_their_limits() -> None:
    first, nothing = window(8, 2), np.zeros((8, 8))
    for size, kept in ((0.99e6, True), (1.01e6, False)):
        spike = nothing.copy()
        spike[2, 5] = -size
        assert sound(one=replace(first, residual=spike)) == kept
    # 56 of 64 pairs are not on the diagonal.
    for mean, kept in ((0.9e-3, False), (1.1e-3, True)):
        faint = np.where(np.eye(8, dtype=bool), 1.0, -mean * 64.0 / 56.0)
        assert sound(one=replace(first, g1=faint)) == kept
    assert not sound(one=replace(first, residual=np.full((8, 8), np.inf)))
    assert not _are_sound([], np.array([0.3]), np.array([0.05]))


@pytest.mark.parametrize(
    ("z", "error", "is_seen"),
    [(2.99, 50.0, False), (3.01, 50.0, True), (3.01, float("nan"), False)],
)
def test_what_shows_and_can_be_counted_is_seen(
    monkeypatch: pytest.MonkeyPatch, z: float, error: float, is_seen: bool
) -> None:
    """Of a map of 8 frames, where evidence and count are given."""
    data = dataset(np.random.default_rng(3).normal(1.2, 0.05, (1, 8, 8)))
    estimate = replace(counted(np.array([0.4]), np.array([0.1])), n_speckles_error=error)
    given: list[FloatArray] = []

    def count(windows: Sequence[Window], variance: FloatArray, share: FloatArray) -> object:
        given.extend([variance, share])
        return estimate

    monkeypatch.setattr(module, "evidence", lambda windows: z)
    monkeypatch.setattr(module, "estimate_speckles", count)
    seen = find_speckles(data, fitted(1, 8), np.array([0.05]))
    assert (seen is not None) == is_seen
    if z > 3.0:
        np.testing.assert_allclose(given, [[0.0025], [1.0]])
    if seen is not None:
        i, j = np.triu_indices(8, 1)
        f = np.exp(-0.04 * (j - i))
        variance = np.mean((0.5 + 0.4) ** 2 + (0.5 * f) ** 2)
        assert seen.white_share == pytest.approx(0.16 / variance, rel=1e-12)


def test_white_noise_is_not_speckles(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(np.random.default_rng(3).normal(1.2, 0.05, (1, 8, 8)))
    white = replace(counted(np.array([0.4]), np.array([0.1])), n_speckles=float("inf"))
    monkeypatch.setattr(module, "evidence", lambda windows: 5.0)
    monkeypatch.setattr(module, "estimate_speckles", lambda *given: white)
    assert find_speckles(data, fitted(1, 8), np.array([0.05])) is None
