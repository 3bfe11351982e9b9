"""How near estimates with best weights come to what the data can tell, and equal weights beside it.

Speckles are drawn from the model's field (`core.simulation`), or moved as particles without any c2
model (`tests.support.particles`), and fitted from the truth. The bound is H^-1 / M in the metric of
the whole covariance (all but its 4-cycle) with the true model, M and photons. Reported per
parameter, D0 alpha gamma_dot_t0 beta phi0: root-mean-square error over the bound, bias over
scatter, stated uncertainty over scatter, and the share of truths within one and two stated
uncertainties.

    python -m benchmarks.best_weights [--realisations 100] [--settings 0,1] [--weights auto,equal]
                                      [--first 0]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from benchmarks import speckle_verdicts as verdicts
from benchmarks.speckle_verdicts import HELD, TRUTH, Setting
from homodyne_cli.core.fit import fit
from homodyne_cli.core.model.curves import model_curves
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES, NoiseWeights
from homodyne_cli.problem import FitProblem
from tests.support.particles import FREE, ParticleExperiment, particle_dataset
from tests.support.problems import make_problem

PARTICLES: Final = ("particles", "particles", "drawn", "drawn", "drawn", "drawn")
#: Those of the verdicts, the first one with more contrast.
SETTINGS: Final = (Setting(60, 3, 0.5, 600, 20.0), *verdicts.SETTINGS[1:])


class OneFit(NamedTuple):
    """Estimates and stated uncertainties, (p,) each, and the speckles and photons seen."""

    values: FloatArray
    stated: FloatArray
    n_speckles: float
    photons: float
    seconds: float


def experiment_of(setting: Setting) -> Experiment:
    """Return the experiment, angles spread over a quarter of a turn."""
    phi = np.linspace(0.0, 90.0, setting.angles)
    return Experiment(TRUTH, phi, setting.frames, 0.0054, 2e6, 0.1, setting.contrast, 1.0)


def dataset_of(setting: Setting, kind: str, seed: int) -> Dataset:
    """Simulate one realisation."""
    experiment = experiment_of(setting)
    if kind == "drawn":
        return simulate(experiment, Noise(0.0, setting.speckles, setting.counts), seed).dataset
    particles = ParticleExperiment(
        tuple(TRUTH.tolist()), experiment.q, 2e6, experiment.dt, tuple(experiment.phi.tolist()),
        setting.frames, setting.speckles, contrast=setting.contrast, counts=setting.counts,
    )  # fmt: skip
    return particle_dataset(particles, seed)


def problem_of(weights: NoiseWeights) -> FitProblem:
    """Return the problem, begun at the truth."""
    return replace(make_problem(start=tuple(TRUTH), fixed=HELD), weights=weights)


def bound(setting: Setting) -> FloatArray:
    """Return the least uncertainties that are possible, (p,)."""
    experiment, c = experiment_of(setting), setting.contrast
    frames = np.arange(setting.frames)
    free = [k for k, name in enumerate(NAMES) if name in FREE]
    curves = model_curves(
        experiment.t, experiment.phi, experiment.q, experiment.gap, TRUTH, "he2024"
    )
    present = 1.0 - np.eye(setting.frames)
    p = len(free)
    hessian = np.zeros((p + 2 * setting.angles, p + 2 * setting.angles))
    for angle, model in enumerate(experiment.angles()):
        g1 = model.g1(frames[:, None], frames)
        noise = SpeckleCovariance(g1, c, 1.0 / setting.counts, 1.0 / c, present)
        columns = angle_columns(model, curves, angle, c)[[*free, -2, -1]] * present
        weights = noise.solve(columns).reshape(p + 2, -1)
        gram = 0.5 * setting.speckles * weights @ columns.reshape(p + 2, -1).T
        place = [*range(p), p + 2 * angle, p + 2 * angle + 1]
        hessian[np.ix_(place, place)] += 0.5 * (gram + gram.T)
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(hessian)))[:p])


def fit_one(setting: Setting, kind: str, weights: NoiseWeights, seed: int) -> OneFit:
    """Simulate and fit one realisation."""
    data = dataset_of(setting, kind, seed)
    begun = time.perf_counter()
    result = fit(data, problem_of(weights))
    rows = [p for p in result.parameters if p.name in FREE]
    return OneFit(
        np.array([p.value for p in rows]),
        np.array([p.uncertainty for p in rows]),
        result.noise.n_speckles,
        result.noise.photons,
        time.perf_counter() - begun,
    )


def main() -> None:
    """Fit and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--realisations", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--settings", default=",".join(str(k) for k in range(len(SETTINGS))))
    parser.add_argument("--weights", default="auto,equal")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context) as pool:
        for k in (int(k) for k in options.settings.split(",")):
            for weights in options.weights.split(","):
                work = partial(fit_one, SETTINGS[k], PARTICLES[k], weights)
                seeds = range(options.first, options.first + options.realisations)
                fits = list(pool.map(work, seeds))
                _report(SETTINGS[k], PARTICLES[k], weights, fits)


def _report(setting: Setting, kind: str, weights: str, fits: list[OneFit]) -> None:
    truth = np.array([v for n, v in zip(NAMES, TRUTH, strict=True) if n in FREE])
    values, stated = (np.array([getattr(f, n) for f in fits]) for n in ("values", "stated"))
    error, scatter = values - truth, values.std(axis=0, ddof=1)
    z = np.abs(error) / stated
    speckles = np.array([f.n_speckles for f in fits])
    counted = np.isfinite(speckles)
    photons = np.array([f.photons for f in fits])[counted]
    print(
        f"{kind}, {setting.angles} x {setting.frames}, contrast {setting.contrast}, "
        f"{setting.speckles} speckles, {setting.counts} photons; weights {weights}, "
        f"{len(fits)} realisations, {np.median([f.seconds for f in fits]):.2f} s each; "
        f"M {speckles[counted].mean():.4g} +- {speckles[counted].std():.2g}, "
        f"photons {np.nanmean(photons):.3g}, {len(fits) - counted.sum()} taken for white"
    )
    rows = {
        "rms error / bound": np.sqrt(np.mean(error**2, axis=0)) / bound(setting),
        "bias / scatter": error.mean(axis=0) / scatter,
        "stated / scatter": stated.mean(axis=0) / scatter,
        "within 1 sigma": (z < 1.0).mean(axis=0),
        "within 2 sigma": (z < 2.0).mean(axis=0),
    }
    for label, row in rows.items():
        print(f"  {label:20s}" + "".join(f"{v:9.2f}" for v in row), flush=True)


if __name__ == "__main__":
    main()
