"""Maps averaged over ages: what is left is a curve over lag for every angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.dataset import FloatArray


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
        (n_phi, n - 1) standard error of `data`.
    count
        (n_phi, n - 1) pairs in each mean.
    """

    lag: FloatArray
    data: FloatArray
    fit: FloatArray
    error: FloatArray
    count: FloatArray


def lag_sums(upper: np.ndarray) -> FloatArray:
    """Sum rows of a map, zero on and below the diagonal, over pairs of equal lag.

    Laid out in rows longer by one, every diagonal becomes a column; what wraps around comes from
    below the diagonal and is zero.

    Parameters
    ----------
    upper
        (rows, columns), the first element on the map's diagonal.

    Returns
    -------
    array
        (columns,) sums for lags of 0 to columns - 1 frames.
    """
    rows, columns = upper.shape
    sheared = np.zeros(rows * (columns + 1))
    sheared[: rows * columns] = upper.ravel()
    return np.asarray(sheared.reshape(rows, columns + 1)[:, :columns].sum(axis=0))


def lag_profiles(residuals: Residuals) -> LagProfiles:
    """Average data and fit over ages."""
    dataset = residuals.dataset
    sums = np.array(residuals.each_angle(lambda a: _angle_sums(residuals, a)))
    count = sums[:, 0, 1:]
    full = np.where(count > 0.0, count, np.nan)
    return LagProfiles(
        lag=np.asarray(dataset.dt * np.arange(1, dataset.n_frames), dtype=float),
        data=sums[:, 1, 1:] / full,
        fit=sums[:, 2, 1:] / full,
        error=np.array([residuals.amplitude_error(a, n) for a, n in enumerate(full)]),
        count=count,
    )


def _angle_sums(residuals: Residuals, angle: int) -> FloatArray:
    """Return (3, n) sums over pairs of equal lag: number, data and fit."""
    sums = np.zeros((3, residuals.dataset.n_frames))
    for band in residuals.bands(angle):
        for total, values in zip(sums, (band.keep, band.data, band.fit), strict=True):
            part = lag_sums(np.where(band.keep, values, 0.0))
            total[: len(part)] += part
    return sums
