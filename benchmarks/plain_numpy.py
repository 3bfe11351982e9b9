"""The plain NumPy evaluation of the model that every speed figure is compared with."""

from __future__ import annotations

import time

import numpy as np

from homodyne_cli.dataset import Dataset, FloatArray


def power_law(t: FloatArray, rate: FloatArray) -> FloatArray:
    """Integrate a power law plus a constant from the first frame, in closed form."""
    a = rate[1] + 1.0
    return np.asarray(rate[0] * (t**a - t[0] ** a) / a + rate[2] * (t - t[0]))


def model_chi2(dataset: Dataset, p: FloatArray, contrast: float, offset: float) -> float:
    """Evaluate the model on full maps and return the sum of squares over i < j."""
    transport, strain = power_law(dataset.t, p[:3]), power_law(dataset.t, p[3:6])
    decay = np.exp(-(dataset.q[0] ** 2) * np.abs(transport[None] - transport[:, None]))
    shift = strain[None] - strain[:, None]
    upper = np.triu(np.ones(decay.shape, dtype=bool), 1)
    total = 0.0
    for a, phi in enumerate(dataset.phi):
        kappa = dataset.q[0] * (dataset.gap or 0.0) * np.cos(np.deg2rad(p[6] - phi))
        model = contrast * decay * np.sinc(kappa * shift / (2 * np.pi)) ** 2 + offset
        residual = dataset.c2[a] - model
        total += float(np.sum(residual[upper] ** 2))
    return total


def best_of(runs: int, work: object) -> float:
    """Return the shortest of several timings of a callable, in seconds."""
    assert callable(work)
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
