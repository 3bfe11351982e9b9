"""What maps say before any model: extremes, steps and noise, against plain sums over pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.maps.levels import map_levels
from homodyne_cli.core.maps.pair_noise import estimate_sigma, rms_sigma
from homodyne_cli.dataset import FloatArray
from tests.support.datasets import make_dataset


def sigma_of(c2: FloatArray) -> float:
    data = replace(make_dataset(len(c2), 1), c2=c2[None])
    return float(estimate_sigma(data)[0])


@pytest.mark.parametrize(
    ("low", "high"),
    [((0, 1), (148, 149)), ((0, 149), (63, 64)), ((64, 65), (0, 63)), ((10, 128), (127, 128))],
)
def test_extremes_are_those_of_all_pairs(low: tuple[int, int], high: tuple[int, int]) -> None:
    """Wherever they stand; what stands below the diagonal does not count."""
    data = make_dataset(150, 1)
    c2 = data.array.copy()
    c2[0][low], c2[0][high] = -7.0, 9.0
    c2[0, 140, 3], c2[0, 5, 5], c2[0, 20, 30] = 99.0, -99.0, np.nan
    (level,) = map_levels(replace(data, c2=c2))
    assert (level.lowest, level.highest) == (-7.0, 9.0)


@pytest.mark.parametrize("n", [5, 6, 40])
def test_what_depends_on_the_lag_alone_is_no_noise(n: int) -> None:
    """From five frames on there are three second differences along the diagonals."""
    frames = np.arange(n)
    c2 = 1.0 + 0.5 * np.exp(-0.3 * np.abs(frames[:, None] - frames))
    assert sigma_of(c2) < 1e-5


def test_fewer_frames_leave_the_spread_of_all_pairs() -> None:
    c2 = np.random.default_rng(0).normal(1.0, 0.1, (4, 4))
    assert sigma_of(c2) == pytest.approx(float(np.std(c2[np.triu_indices(4, 1)])), rel=1e-9)


def test_levels_are_means_over_lags() -> None:
    """Of four frames, whose three lags have a bin each; the spread of all pairs is their noise."""
    c2 = np.random.default_rng(3).normal(1.0, 0.1, (4, 4))
    (level,) = map_levels(replace(make_dataset(4, 1), c2=c2[None]))
    lags = [np.diag(c2, k) for k in (1, 2, 3)]
    every = np.concatenate(lags)
    assert (level.near, level.far) == pytest.approx((lags[0].mean(), lags[2].mean()))
    off = sum(len(one) * (one.mean() - every.mean()) ** 2 for one in lags)
    assert level.sigma == pytest.approx(every.std())
    assert level.flat == pytest.approx(stats.chi2.sf(off / every.var(), 2))
    assert (level.low, level.high) == pytest.approx(tuple(np.quantile(every, (0.01, 0.99))))
    assert level.excess == pytest.approx(max(every.max() - level.high, level.low - every.min()))


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e-3])
def test_the_usual_noise_is_that_of_the_mean_weight(unit: float) -> None:
    """Of pairs above the diagonal that have data and noise, in any unit of c2."""
    rng = np.random.default_rng(0)
    sigma = unit * rng.uniform(0.5, 2.0, (2, 8, 8))
    c2 = np.ones((2, 8, 8))
    sigma[0, 1, 3], sigma[1, 2, 5], c2[1, 0, 7] = 0.0, np.nan, np.nan
    i, j = np.triu_indices(8, 1)
    known = [
        [s[a, b] for a, b in zip(i, j, strict=True) if s[a, b] > 0.0 and np.isfinite(y[a, b])]
        for y, s in zip(c2, sigma, strict=True)
    ]
    assert [len(one) for one in known] == [27, 26]
    expected = [np.mean(np.array(one) ** -2.0) ** -0.5 for one in known]
    np.testing.assert_allclose(rms_sigma(c2, sigma), expected, rtol=1e-12)
