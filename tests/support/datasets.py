"""Simulated data in memory: the experiment of DESIGN section 10 with white noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import Convention

PUBLISHED = np.array([68480.5, -1.32694, 1707.7, 1.99104e-3, -0.211921, -6.07376e-4, 2.00113])

#: Decay and strain that 100 frames resolve: about ten lobes in the window, one radian per frame.
RESOLVED = np.array([8000.0, -0.4, 600.0, 1e-3, -0.25, 1e-4, 2.0])


def make_dataset(
    n: int,
    n_phi: int,
    *,
    seed: int = 0,
    parameters: FloatArray = PUBLISHED,
    convention: Convention = "he2024",
    noise: float = 0.06,
    contrast: float = 0.3017,
    offset: float = 1.106,
    gap: float | None = 2e6,
    dt: float = 0.1,
    masked: int = 0,
    spread: float = 0.0,
    single: bool = False,
    phi: FloatArray | None = None,
) -> Dataset:
    """Simulate maps with white noise; `masked` random pairs are NaN; `spread` varies scaling."""
    rng = np.random.default_rng(seed)
    angles: FloatArray = np.linspace(-25.5, 205.5, n_phi) if phi is None else phi
    experiment = Experiment(
        parameters=parameters,
        phi=angles,
        n_frames=n,
        q=0.0054,
        gap=gap,
        dt=dt,
        contrast=contrast * (1 + spread * rng.uniform(-1, 1, len(angles))),
        offset=offset * (1 + 0.2 * spread * rng.uniform(-1, 1, len(angles))),
        convention=convention,
    )
    data = simulate(experiment, Noise(noise), rng).dataset
    c2 = data.array
    if masked:
        c2.reshape(-1)[rng.integers(0, c2.size, masked)] = np.nan
    return replace(data, c2=c2.astype(np.float32) if single else c2, provenance={})
