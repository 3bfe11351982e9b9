"""Noise of a two-time map, estimated from the map itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray

#: Median absolute deviation to standard deviation of a Gaussian.
_MAD_TO_SIGMA = 1.482602218505602
#: Weights of a second difference have variance 1 + 4 + 1.
_SECOND_DIFFERENCE = np.sqrt(6.0)
#: Larger maps are looked at in stretches of so many frames, spread over the window; their pairs
#: (73,000 second differences) give sigma to 0.4%.
_STRETCH, _STRETCHES = 50, 8
#: In units of sigma; beyond it a Gaussian has 1e-6 of its variance.
_CLIP = 5.5
#: Standard deviation of what rounding to a step of 1 takes off.
_UNIFORM = np.sqrt(12.0)
#: Values that a step is looked for in, and the share of distinct ones below which there is one.
_SAMPLE, _DISTINCT = 5000, 0.25
#: Share of the usual step by which steps may differ and still count as one.
_EVEN = 0.01
#: Below this the data are noise-free to their own precision.
_FLOOR = 1e-7


def estimate_sigma(dataset: Dataset) -> FloatArray:
    """Estimate the noise per c2 value from neighbouring pairs at equal lag, robustly.

    Along a diagonal of the map (equal lag) the model changes slowly, so the second difference
    c[i] - 2 c[i+1] + c[i+2] is noise; what lies beyond 5.5 sigma (from the median absolute
    deviation) is an outlier. Maps too small for a second difference fall back to the spread of
    all pairs. Rounding to a step is noise as well, of variance step^2 / 12.

    Returns
    -------
    array
        (n_phi,) sigma, at least 1e-7 of the mean level.
    """
    frames = stretches(dataset.n_frames)
    i, j = np.triu_indices(max(len(frames) - 2, 0), 1)
    # The three pairs of a difference lie in one stretch of rows and one of columns.
    whole = (frames[i + 2] - frames[i] == 2) & (frames[j + 2] - frames[j] == 2)
    i, j = i[whole], j[whole]
    even = _evenly_spaced(dataset.t[frames], i, j)
    if even.any():
        i, j = i[even], j[even]
    with core_threads() as threads:
        maps = dataset.selected(frames)
        return np.array(list(threads.map(lambda c2: _map_sigma(c2, i, j), maps)))


def _evenly_spaced(t: FloatArray, i: IndexArray, j: IndexArray) -> NDArray[np.bool_]:
    """Whether the three pairs of each difference are of one lag: no frame between them is lost."""
    steps = np.diff(t)
    first, second = steps[i], steps[i + 1]
    apart = np.maximum(np.abs(steps[j] - first), np.abs(steps[j + 1] - second))
    return np.asarray(np.maximum(apart, np.abs(second - first)) <= _EVEN * np.median(steps))


def pair_weights(y: MapArray, sigma: MapArray, rms: FloatArray | float) -> FloatArray:
    """Return (rms / sigma)^2 of pairs whose noise is given, zero where there is no data or noise.

    Parameters
    ----------
    y, sigma
        Data and noise; a noise that is zero or not finite is none.
    rms
        What weighs 1; see `rms_sigma`.
    """
    fitted = np.isfinite(y) & np.isfinite(sigma) & (sigma > 0.0)
    return np.where(fitted, (rms / np.where(fitted, sigma, 1.0)) ** 2, 0.0)


def rms_sigma(c2: MapArray, sigma: FloatArray) -> FloatArray:
    """Return (n_phi,) sigma whose inverse square is the mean weight of each angle's fitted pairs.

    Parameters
    ----------
    c2, sigma
        (n_phi, n, n) data and noise.
    """
    upper = np.triu_indices(c2.shape[-1], 1)
    weights = [pair_weights(y[upper], s[upper], 1.0) for y, s in zip(c2, sigma, strict=True)]
    return np.array([np.mean(w[w > 0.0]) ** -0.5 for w in weights])


def stretches(n: int) -> IndexArray:
    """Return all frames, or stretches of neighbours spread over the window."""
    if n <= _STRETCH * _STRETCHES:
        return np.arange(n)
    starts = np.linspace(0, n - _STRETCH, _STRETCHES).astype(np.intp)
    return np.asarray((starts[:, None] + np.arange(_STRETCH)).ravel())


def _map_sigma(c2: np.ndarray, i: IndexArray, j: IndexArray) -> float:
    difference = (
        c2[i, j].astype(float) - 2.0 * c2[i + 1, j + 1].astype(float) + c2[i + 2, j + 2]
    ) / _SECOND_DIFFERENCE
    difference = difference[np.isfinite(difference)]
    if len(difference) < 3:
        upper = c2[np.triu_indices(len(c2), 1)].astype(float)
        return max(float(np.nanstd(upper)), _FLOOR * float(np.nanmean(np.abs(upper))))
    values = c2[i, j]
    level = float(np.nanmean(np.abs(values)))
    rounding = value_step(values[np.isfinite(values)].astype(float)) / float(_UNIFORM)
    spread = float(np.sqrt(robust_variance(difference, rounding)))
    return max(spread, rounding, _FLOOR * level)


def value_step(values: FloatArray) -> float:
    """Return the distance between neighbouring values if they are rounded, else 0."""
    sample = values[:: max(len(values) // _SAMPLE, 1)]
    distinct = np.unique(sample)
    if len(distinct) < 2 or len(distinct) > _DISTINCT * len(sample):
        return 0.0
    return float(np.diff(distinct).min())


def robust_variance(noise: np.ndarray, least: float = 0.0) -> float:
    """Return the mean square of what lies within 5.5 robust sigmas.

    The median finds the scale whatever outliers do; the mean square of what lies within it is a
    quarter less noisy.

    Parameters
    ----------
    least
        What the scale is at least: the median says zero of values that are mostly equal.
    """
    spread = max(_MAD_TO_SIGMA * float(np.median(np.abs(noise - np.median(noise)))), least)
    inliers = noise[np.abs(noise) <= _CLIP * spread]
    return float(np.mean(inliers**2)) if len(inliers) else spread**2
