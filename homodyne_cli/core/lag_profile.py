"""Maps averaged over ages: what is left is a curve over lag for every angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.models import Dataset, FloatArray


@dataclass(frozen=True)
class LagProfiles:
    """Data and fit averaged over all pairs of equal lag.

    Attributes
    ----------
    lag
        (n - 1,) seconds, one to n - 1 frames.
    data, fit
        (n_phi, n - 1) means over the pairs that are fitted; NaN where a lag has none.
    error
        (n_phi, n - 1) standard error of `data`: sigma / sqrt(count).
    count
        (n_phi, n - 1) pairs in each mean.
    """

    lag: FloatArray
    data: FloatArray
    fit: FloatArray
    error: FloatArray
    count: FloatArray


def fitted_pairs(c2: np.ndarray) -> np.ndarray:
    """Return (n, n) booleans: the pairs i < j of one map that are not masked."""
    keep: np.ndarray = np.triu(np.isfinite(c2), 1)
    return keep


def lag_sums(upper: np.ndarray) -> FloatArray:
    """Sum an (n, n) map that is zero on and below its diagonal over pairs of equal lag.

    Laid out in rows of n + 1 instead of n, every diagonal of the map becomes a column; what wraps
    around comes from below the diagonal and is zero.

    Returns
    -------
    array
        (n,) sums for lags of 0 to n - 1 frames.
    """
    n = len(upper)
    sheared = np.zeros(n * (n + 1))
    sheared[: n * n] = upper.ravel()
    return np.asarray(sheared.reshape(n, n + 1)[:, :n].sum(axis=0))


def lag_profiles(dataset: Dataset, fitted: np.ndarray, sigma: FloatArray) -> LagProfiles:
    """Average data and fit over ages.

    Parameters
    ----------
    fitted
        (n_phi, n, n) fitted maps; i < j is read.
    sigma
        (n_phi,) noise per c2 value.
    """
    n_phi, n = dataset.n_phi, dataset.n_frames
    sums = np.zeros((3, n_phi, n))
    for a in range(n_phi):
        keep = fitted_pairs(dataset.c2[a])
        for k, values in enumerate((keep, dataset.c2[a], fitted[a])):
            sums[k, a] = lag_sums(np.where(keep, values, 0.0))
    count = sums[0, :, 1:]
    full = np.where(count > 0.0, count, np.nan)
    return LagProfiles(
        lag=np.asarray(dataset.dt * np.arange(1, n), dtype=float),
        data=sums[1, :, 1:] / full,
        fit=sums[2, :, 1:] / full,
        error=sigma[:, None] / np.sqrt(full),
        count=count,
    )
