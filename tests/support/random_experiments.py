"""Experiments drawn at random: truth, geometry, number of angles, noise and a wide start."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import PARAMETERS

N_FRAMES: Final = 100
ANGLES: Final = (3, 5, 9, 15, 23)
#: Signal to noise of the side lobes from which an experiment counts as showing one.
VISIBLE: Final = 8.0


class DrawnExperiment(NamedTuple):
    """Data, truth, a wide random start, and whether a side lobe can be seen."""

    data: Dataset
    truth: FloatArray
    start: FloatArray
    lobes: bool


def _rates(rng: np.random.Generator, middle: float, rate: float) -> tuple[float, float, float]:
    """Return amplitude, exponent and offset of a power law with a given rate at mid-window."""
    exponent = rng.uniform(-1.0, 1.0)
    share = rng.uniform(0.0, 0.4)
    return (1.0 - share) * rate * middle**-exponent, exponent, share * rate


def _draw_truth(rng: np.random.Generator) -> tuple[float, float, float, FloatArray]:
    """Return dt, q, gap and parameters."""
    dt, q, gap = 10 ** rng.uniform(-2.0, 0.0), rng.uniform(0.003, 0.01), 10 ** rng.uniform(6.0, 6.5)
    middle, window = dt * N_FRAMES**0.5, dt * N_FRAMES
    decay, phase = 10 ** rng.uniform(-0.5, 1.2), 10 ** rng.uniform(-0.3, 2.0)
    truth = np.array(
        [
            *_rates(rng, middle, decay / (q**2 * window)),
            *_rates(rng, middle, phase / (q * gap * window)),
            rng.uniform(-8.0, 8.0),
        ]
    )
    return dt, q, gap, truth


def draw(seed: int) -> DrawnExperiment:
    """Draw one experiment whose truth is inside the default bounds."""
    rng = np.random.default_rng(seed)
    lower, upper = np.array([(p.lower, p.upper) for p in PARAMETERS]).T
    dt, q, gap, truth = _draw_truth(rng)
    while np.any(truth <= lower) or np.any(truth >= upper):
        dt, q, gap, truth = _draw_truth(rng)
    n_phi = int(rng.choice(ANGLES))
    phi = np.sort(rng.uniform(-90.0, 90.0, n_phi))
    contrast, noise = rng.uniform(0.1, 0.4, n_phi), 10 ** rng.uniform(-2.2, -1.2)
    experiment = Experiment(truth, phi, N_FRAMES, q, gap, dt, contrast, 1.0)
    data = simulate(experiment, Noise(noise), rng).dataset
    wide = np.array([10 ** rng.uniform(-1.5, 1.5), 0, 0, 10 ** rng.uniform(-1.5, 1.5), 0, 0, 0])
    start = truth * wide
    start[[1, 4]] = truth[[1, 4]] + rng.uniform(-1.0, 1.0, 2)
    start[6] = rng.uniform(-9.0, 9.0)
    return DrawnExperiment(
        data, truth, np.clip(start, lower, upper), _shows_lobes(experiment, noise)
    )


def _shows_lobes(experiment: Experiment, noise: float) -> bool:
    """Whether pairs beyond the first zero of the shear factor rise over the noise together."""
    clean = simulate(replace(experiment, offset=0.0), Noise(), 0).dataset
    p = experiment.parameters
    strain = np.concatenate([[0.0], np.cumsum(clean.dt * (p[3] * clean.t[1:] ** p[4] + p[5]))])
    assert clean.gap is not None
    kappa = clean.q * clean.gap * np.cos(np.deg2rad(p[6] - clean.phi))
    h = 0.5 * np.abs(kappa[:, None, None] * (strain[None, None, :] - strain[None, :, None]))
    beyond = np.triu(np.ones(h.shape[1:]), 1) * (h > np.pi)
    return bool(np.sqrt(np.sum(beyond * clean.array**2)) / noise > VISIBLE)
