"""Data of several rings and repeats, in memory, with known truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homodyne_cli.core.simulation import Experiment, Noise, simulate_rings
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, join_rings

#: Slow enough that 60 frames resolve it on both rings.
TRUTH = np.array([3000.0, -0.4, 600.0, 1e-3, -0.25, 1e-4, 2.0])
RINGS = (0.0054, 0.0081)
PHI = np.array([-30.0, 0.0, 30.0, 60.0])


def ring(
    q: float, *, truth: FloatArray = TRUTH, frames: int = 60, contrast: float = 0.3
) -> Experiment:
    return Experiment(truth, PHI, frames, q, 2e6, 0.1, contrast=contrast)


def two_rings(seed: int = 0, noise: float = 0.01, frames: int = 60) -> Dataset:
    """Two rings, the outer one of a lower contrast."""
    experiments = [
        ring(q, frames=frames, contrast=c) for q, c in zip(RINGS, (0.3, 0.25), strict=True)
    ]
    return simulate_rings(experiments, Noise(noise), seed)


def as_repeats(datasets: Sequence[Dataset]) -> Dataset:
    """Return measurements of one experiment as its repeats."""
    counts = [one.n_phi for one in datasets]
    return replace(join_rings(datasets), repeat=np.repeat(np.arange(len(counts)), counts))


def chosen(dataset: Dataset, rows: IndexArray) -> Dataset:
    """Return some maps, in another order."""
    return dataset.of_maps(rows)
