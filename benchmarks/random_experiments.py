"""Fit random experiments from wide random starts: how often is "converged" a wrong minimum.

Every experiment draws its truth (decay and strain over three decades, exponents within +-1),
geometry, number of angles and noise. A fit counts as a *false convergence* if it reports success
and its chi2 exceeds that of the truth by more than 10 (the minimum lies below). The
fit as users run it, with the global stage, is compared with plain descents from the wide start
under several scalings and coordinates.

    python -m benchmarks.random_experiments [--experiments 200] [--modes MODE ...]
    python -m benchmarks.random_experiments --cost

Modes that are not asked for keep their figures in the result file.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.x_scale import gradient_x_scale
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES, PARAMETERS
from homodyne_cli.problem import (
    Bounds,
    FitProblem,
    InitialParameters,
    ShearTransforms,
    SolverOptions,
)
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.random_experiments import DrawnExperiment, draw

RESULT: Final = Path(__file__).parent / "results" / "random_experiments.json"
#: Chi2 above the truth's that noise does not explain.
ALLOWED: Final = 10.0
SHEARED: Final = ShearTransforms(decorrelate=True)
#: Solver options by mode; those whose name begins with "search" have the global stage.
MODES: Final[dict[str, dict[str, Any]]] = {
    "search": {},
    "search, not adaptive": {"adaptive_x_scale": False},
    "search, decorrelated": {"shear_transforms": SHEARED},
    "auto, not adaptive": {"adaptive_x_scale": False},
    "unit": {"x_scale": "unit"},
    "gradient map": {"x_scale": "config"},
    "jac": {"x_scale": "jac"},
    "adaptive": {},
    "decorrelated": {"adaptive_x_scale": False, "shear_transforms": SHEARED},
    "adaptive, decorrelated": {"shear_transforms": SHEARED},
}


class Outcome(NamedTuple):
    """One fit of an experiment."""

    converged: bool
    excess: float
    iterations: int
    seconds: float


class Answer(NamedTuple):
    """Whether an experiment shows a lobe, and its fits by mode."""

    lobes: bool
    fits: dict[str, Outcome]


def _problem(start: FloatArray | None, solver: SolverOptions) -> FitProblem:
    values = None if start is None else dict(zip(NAMES, start.tolist(), strict=True))
    return FitProblem(
        mode="laminar_flow",
        convention="he2024",
        per_angle_mode="individual",
        fourier_order=1,
        initial=InitialParameters(values=values),
        bounds={p.name: Bounds(p.lower, p.upper) for p in PARAMETERS},
        solver=solver,
    )


def _options(mode: str, experiment: DrawnExperiment) -> SolverOptions:
    base = SolverOptions(max_iterations=200, global_search=mode.startswith("search"))
    options = replace(base, **MODES[mode])
    if options.x_scale != "config":
        return options
    problem = _problem(experiment.start, base)
    objective = build_objective(experiment.data, problem, dataset_sigma(experiment.data))
    gradient = objective.derivatives(experiment.start).gradient
    scale = gradient_x_scale(dict(zip(NAMES, gradient.tolist(), strict=True)))
    return replace(options, x_scale_map=scale)


def run_one(seed: int, modes: Sequence[str]) -> Answer:
    """Fit one experiment in some modes; every other one has no start for the global stage."""
    experiment = draw(seed)
    problem = _problem(experiment.truth, SolverOptions())
    objective = build_objective(experiment.data, problem, dataset_sigma(experiment.data))
    at_truth = objective.cost(experiment.truth)
    found = {}
    for mode in modes:
        start = None if mode.startswith("search") and seed % 2 else experiment.start
        options = _options(mode, experiment)
        began = time.perf_counter()
        result = fit(experiment.data, _problem(start, options))
        seconds = time.perf_counter() - began
        found[mode] = Outcome(result.converged, result.chi2 - at_truth, result.iterations, seconds)
    return Answer(experiment.lobes, found)


def summarise(mode: str, answers: Sequence[Answer]) -> dict[str, float]:
    """Return the figures of one mode."""
    fits = [answer.fits[mode] for answer in answers]
    wrong = [f.converged and f.excess > ALLOWED for f in fits]
    seen = [w and answer.lobes for w, answer in zip(wrong, answers, strict=True)]
    return {
        "experiments": len(fits),
        "with_lobes": sum(answer.lobes for answer in answers),
        "at_the_minimum": sum(f.excess <= ALLOWED for f in fits),
        "false_convergence": sum(wrong),
        "false_convergence_with_lobes": sum(seen),
        "not_converged": sum(not f.converged for f in fits),
        "median_iterations": float(np.median([f.iterations for f in fits])),
        "mean_iterations": float(np.mean([f.iterations for f in fits])),
        "median_seconds": float(np.median([f.seconds for f in fits])),
    }


def _keep(entry: str, figures: dict[str, object]) -> None:
    RESULT.parent.mkdir(exist_ok=True)
    table = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    table[entry] = figures
    RESULT.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def cost_of_the_search(seeds: Sequence[int]) -> dict[str, object]:
    """Time the fit without a start against single ones, on 23 angles x 1000 frames.

    The single ones start at the truth, and with every parameter a tenth off.
    """
    near = PUBLISHED * (1.0 + 0.1 * np.array([1, -1, 1, -1, 1, 1, -1]))
    starts = {"search": None, "a tenth off": near, "truth": PUBLISHED}
    seconds: dict[str, list[float]] = {mode: [] for mode in starts}
    for k, seed in enumerate([seeds[0], *seeds]):
        data = make_dataset(1000, 23, seed=seed, spread=0.05, single=True)
        for mode, start in starts.items():
            began = time.perf_counter()
            result = fit(data, _problem(start, SolverOptions(global_search=start is None)))
            took = time.perf_counter() - began
            if k:  # the first round compiles
                seconds[mode].append(took)
            print(
                f"seed {seed} {mode}: {took:.2f} s, {result.iterations} iterations, "
                f"chi2 {result.chi2:.2f}",
                flush=True,
            )
    ratios = {
        mode: float(np.median(np.divide(seconds["search"], seconds[mode]))) for mode in starts
    }
    print("median cost of the search over that of a single fit", ratios)
    return {"seconds": seconds, "median_ratio": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cost", action="store_true", help="time the search at 23 x 1000")
    options = parser.parse_args()
    if options.cost:
        _keep("cost at 23 x 1000", cost_of_the_search(range(3)))
        return
    context = multiprocessing.get_context("spawn")
    # Workers share the cores: one device each.
    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=1"
    answers: list[Answer] = []
    with ProcessPoolExecutor(options.workers, mp_context=context) as workers:
        one = partial(run_one, modes=options.modes)
        for k, answer in enumerate(workers.map(one, range(options.experiments)), start=1):
            answers.append(answer)
            if k % 20 == 0:
                print(f"{k} experiments done", flush=True)
    for mode in options.modes:
        fits = [answer.fits[mode] for answer in answers]
        wrong = [k for k, f in enumerate(fits) if f.excess > ALLOWED]
        figures = {**summarise(mode, answers), "above_the_truth": wrong}
        print(f"{mode:24s}" + "  ".join(f"{k} {v}" for k, v in figures.items()))
        _keep(mode, {**figures, "fits": [f._asdict() for f in fits]})


if __name__ == "__main__":
    main()
