"""Whether `plan` is right: expected uncertainties beside the scatter of fits to drawn speckles.

Fields are drawn (`core.simulation`) and fitted with the best weights, Gauss-Newton steps from the
truth; the scatter of the estimates over the realisations stands over what `plan` expects.

    python -m benchmarks.plan_accuracy [--realisations 100] [--only 0,2]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.speckle_verdicts import HELD, TRUTH, Setting
from homodyne_cli.core.noise.best_objective import best_objective
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.plan import Measurement, Planner
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import FloatArray
from homodyne_cli.noise_report import SpeckleWeights
from homodyne_cli.problem import FitProblem
from tests.support.problems import make_problem

NAMES = ("D0", "alpha", "gamma_dot_t0", "beta", "phi0")
#: Gauss-Newton ends after three steps; two more cost nothing.
_STEPS = 5

SETTINGS = (
    Setting(60, 3, 0.3, 1500, 20.0),
    Setting(100, 3, 0.3, 1500, 2.0),
    Setting(100, 5, 0.2, 3000, 0.5),
    Setting(200, 3, 0.3, 1000, 0.2),
)


def estimate(experiment: Experiment, noise: Noise, problem: FitProblem, seed: int) -> FloatArray:
    """Return the estimates of one realisation, (5,)."""
    data = simulate(experiment, noise, seed).dataset
    n_phi, contrast = data.n_phi, float(np.mean(experiment.contrast))
    weights = SpeckleWeights(
        parameters=tuple(TRUTH.tolist()),
        contrast=(contrast,) * n_phi,
        photon_noise=(1.0 / noise.counts,) * n_phi,
        n_speckles=(float(noise.speckles or 0),) * n_phi,
        modes=1.0 / contrast,
        excess=0.0,
    )
    pairs = build_objective(data, problem, np.ones(n_phi))
    objective = best_objective(data, pairs, weights)
    x = objective.free.start
    for _ in range(_STEPS):
        at = objective.derivatives(x)
        x = objective.free.clip(x - np.linalg.solve(at.reduced_hessian, at.gradient))
    return x


@serial_algebra()
def main() -> None:
    """Print expected and actual scatter of every setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--realisations", type=int, default=100)
    parser.add_argument("--only", default=",".join(map(str, range(len(SETTINGS)))))
    options = parser.parse_args()
    problem = make_problem(start=tuple(TRUTH), fixed=HELD)
    print(f"actual scatter over expected, {options.realisations} realisations;", *NAMES)
    for one in (SETTINGS[int(k)] for k in options.only.split(",")):
        began = time.perf_counter()
        phi = np.linspace(0.0, 180.0, 2 * one.angles + 1)[1::2]
        experiment = Experiment(
            TRUTH, phi, one.frames, 0.0054, 2.0e6, 0.1, one.contrast, offset=1.0
        )
        noise = Noise(speckles=one.speckles, counts=one.counts)
        expected = Planner(problem).expect(Measurement(experiment, noise)).uncertainties
        sigma = np.array([expected[name] for name in NAMES])
        seeds = range(options.realisations)
        estimates = np.array([estimate(experiment, noise, problem, seed) for seed in seeds])
        truth = problem.initial.values or {}
        ratio = estimates.std(axis=0, ddof=1) / sigma
        bias = (estimates.mean(axis=0) - [truth[name] for name in NAMES]) / sigma
        print(one, f"{time.perf_counter() - began:.0f} s")
        print("  scatter / expected", *(f"{r:.2f}" for r in ratio), flush=True)
        print("  bias / expected   ", *(f"{b:+.2f}" for b in bias), flush=True)


if __name__ == "__main__":
    main()
