"""What the values of maps look like before any model: levels, noise, steps, extremes.

Means over bins of lag say whether c2 decays at all: where the values are a level with white noise,
chi2 of these means against their common mean has as many degrees of freedom as bins, less one.
Outliers are clipped before: they have an entry of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import gammaincc

from homodyne_cli.core.maps.pair_noise import estimate_sigma, stretches, value_step
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray

#: Rows looked at together.
_BAND: Final = 64
_LAG_BINS: Final = 12
#: Frames in the middle of the window that tell the noise to 2%, as well as a judgement needs it.
_QUIET: Final = 64
#: Noise beyond the bulk of the values that is left to them, in sigma.
_WIDE: Final = 5.0


@dataclass(frozen=True)
class MapLevels:
    """The values of one map.

    Attributes
    ----------
    near, far
        Mean c2 at the shortest and at the longest lags.
    sigma
        Noise of one value, from neighbouring pairs.
    flat
        Probability that the means over lag bins differ as much by white noise alone.
    step
        Distance of neighbouring values where they are rounded; 0 where no step is seen.
    low, high
        Between them lie all values but the lowest and the highest 1%.
    lowest, highest
        Of all pairs.
    """

    near: float
    far: float
    sigma: float
    flat: float
    step: float
    low: float
    high: float
    lowest: float
    highest: float

    @property
    def constant(self) -> bool:
        """Whether every pair has the same value."""
        return self.lowest == self.highest

    @property
    def excess(self) -> float:
        """How far the value furthest out lies beyond the others."""
        return max(self.highest - self.high, self.low - self.lowest)


def map_levels(dataset: Dataset) -> tuple[MapLevels, ...]:
    """Look at the values of every map.

    Large maps are looked at in stretches of frames, but for their extremes.
    """
    sigma, frames = _noise(dataset), stretches(dataset.n_frames)
    i, j = np.triu_indices(len(frames), 1)
    lag = frames[j] - frames[i]
    edges = np.unique(np.geomspace(1, lag.max() + 1, _LAG_BINS + 1).round().astype(np.intp))
    bins = np.searchsorted(edges, lag, side="right") - 1
    maps = dataset.selected(frames)
    return tuple(
        _levels(maps[a][i, j], bins, float(sigma[a]), _extremes(dataset.c2[a]))
        for a in range(dataset.n_phi)
    )


def _noise(dataset: Dataset) -> FloatArray:
    first = max(dataset.n_frames - _QUIET, 0) // 2
    middle = np.arange(first, min(first + _QUIET, dataset.n_frames))
    return estimate_sigma(replace(dataset, c2=dataset.selected(middle), t=dataset.t[middle]))


def _levels(
    values: MapArray, bins: IndexArray, sigma: float, extremes: tuple[float, float]
) -> MapLevels:
    finite = np.isfinite(values)
    c2, bins = values[finite].astype(float), bins[finite]
    low, high = np.quantile(c2, (0.01, 0.99))
    step, c2 = value_step(c2), np.clip(c2, low - _WIDE * sigma, high + _WIDE * sigma)
    count = np.bincount(bins)
    kept = count > 0
    count = count[kept]
    means = np.bincount(bins, c2)[kept] / count
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # Divided first: the square of a value that a file may hold need not be a number.
        chi2 = float(np.sum(count * ((means - c2.mean()) / sigma) ** 2)) if sigma else np.inf
    return MapLevels(
        near=float(means[0]),
        far=float(means[-1]),
        sigma=sigma,
        flat=float(gammaincc((len(means) - 1) / 2.0, chi2 / 2.0)) if len(means) > 1 else 0.0,
        step=step,
        low=float(low),
        high=float(high),
        lowest=extremes[0],
        highest=extremes[1],
    )


def _extremes(one: MapArray) -> tuple[float, float]:
    """Return the lowest and highest value of the pairs i < j of a map."""
    lowest, highest = np.inf, -np.inf
    for first in range(0, len(one), _BAND):
        rows = one[first : first + _BAND]
        corner = rows[:, first : first + _BAND]
        for part in (corner[np.triu_indices(len(corner), 1)], rows[:, first + _BAND :]):
            lowest = min(lowest, float(np.fmin.reduce(part, axis=None, initial=np.inf)))
            highest = max(highest, float(np.fmax.reduce(part, axis=None, initial=-np.inf)))
    return lowest, highest
