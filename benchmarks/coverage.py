"""Find whether stated uncertainties cover the truth, on data with no c2 model in them.

Particle simulations (``tests/support/particles.py``) at two geometries are fitted, each realisation
with its own estimate of noise and uncertainty. Reported: mean stated uncertainty over actual
scatter, the share of truths inside 1 and 2 stated uncertainties (0.68 and 0.95 if all is well), and
the bias in units of the scatter; for comparison the same with the inverse Hessian.

    python -m benchmarks.coverage [--realisations 200] [--search]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from homodyne_cli.core.fit import fit
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions
from tests.support.particles import (
    FREE,
    GEOMETRIES,
    ParticleExperiment,
    particle_dataset,
    particle_problem,
)

RESULT: Final = Path(__file__).parent / "results" / "coverage.json"


class OneFit(NamedTuple):
    """Estimates and their uncertainties, (p,) each, and the noise found."""

    values: FloatArray
    stated: FloatArray
    hessian: FloatArray
    n_speckles: float
    white_share: float


def fit_one(experiment: ParticleExperiment, search: bool, seed: int) -> OneFit:
    """Simulate and fit one realisation, from the truth downwards or with the global stage."""
    solver = SolverOptions(global_search=search)
    result = fit(particle_dataset(experiment, seed), particle_problem(experiment, solver=solver))
    rows = [p for p in result.parameters if p.name in FREE]
    return OneFit(
        np.array([p.value for p in rows]),
        np.array([p.uncertainty for p in rows]),
        np.array([p.uncertainty_hessian for p in rows]),
        result.noise.n_speckles,
        result.noise.white_share,
    )


def study(experiment: ParticleExperiment, count: int, *, search: bool) -> dict[str, object]:
    """Fit `count` realisations and summarise."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        fits = list(workers.map(partial(fit_one, experiment, search), range(count), chunksize=5))
    truth = np.array(list(experiment.true_values().values()))
    values = np.array([f.values for f in fits])
    scatter = values.std(axis=0, ddof=1)
    speckles = np.array([f.n_speckles for f in fits])
    table: dict[str, object] = {
        "realisations": count,
        "speckles": experiment.n_speckles,
        "n_speckles_found": [float(speckles.mean()), float(speckles.std(ddof=1))],
        "white_share_found": float(np.mean([f.white_share for f in fits])),
        "scatter": {n: float(f"{v:.4g}") for n, v in zip(FREE, scatter, strict=True)},
        "bias_over_scatter": _named((values.mean(axis=0) - truth) / scatter),
    }
    for name, stated in (
        ("stated", np.array([f.stated for f in fits])),
        ("inverse Hessian", np.array([f.hessian for f in fits])),
    ):
        z = np.abs(values - truth) / stated
        table[name] = {
            "over_scatter": _named(stated.mean(axis=0) / scatter),
            "inside_1_sigma": _named((z < 1.0).mean(axis=0)),
            "inside_2_sigma": _named((z < 2.0).mean(axis=0)),
        }
    return table


def _named(values: FloatArray) -> dict[str, float]:
    return dict(zip(FREE, np.round(values, 3).tolist(), strict=True))


def print_study(name: str, table: Mapping[str, object]) -> None:
    """Print one geometry."""
    print(f"{name}: {table['realisations']} realisations, speckles {table['speckles']}, "
          f"found {table['n_speckles_found']}, white {table['white_share_found']}")  # fmt: skip
    print(f"  {'':34s}" + "".join(f"{n:>14s}" for n in FREE))
    rows = {"scatter": table["scatter"], "bias / scatter": table["bias_over_scatter"]}
    for kind in ("stated", "inverse Hessian"):
        part = table[kind]
        assert isinstance(part, dict)
        rows |= {f"{kind}: {what.replace('_', ' ')}": row for what, row in part.items()}
    for label, row in rows.items():
        assert isinstance(row, dict)
        print(f"  {label:34s}" + "".join(f"{v:14.4g}" for v in row.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--realisations", type=int, default=200)
    parser.add_argument("--search", action="store_true", help="with the global stage")
    options = parser.parse_args()
    answer: dict[str, dict[str, object]] = {}
    for name, experiment in GEOMETRIES.items():
        answer[name] = study(experiment, options.realisations, search=options.search)
        print_study(name, answer[name])
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
