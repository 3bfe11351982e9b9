"""Fit rings together: whether stated uncertainties cover the truth, and what many maps cost.

Two rings with white noise are fitted together and apart, over and over: root-mean-square error of
every parameter over the least that the information of both rings allows (1 if all is well), and the
share of truths inside 1 and 2 stated uncertainties. Then a file of many rings and angles is fitted
by the command in a fresh process.

    python -m benchmarks.rings_together [--realisations 60] [--rings 10 --angles 36 --frames 200]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.realistic import whole_command
from homodyne_cli.core.fit import fit
from homodyne_cli.core.numerics.backend import describe_device
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.simulation import Experiment, Noise, simulate_rings
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.io.formats.write_data import write_aps_u
from homodyne_cli.parameters import NAMES, PARAMETERS
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters

RESULT: Final = Path(__file__).parent / "results" / "rings_together.json"
TRUTH: Final = np.array([3000.0, -0.4, 300.0, 1e-4, -0.25, 2e-5, 2.0])
RINGS: Final = (0.0054, 0.0081)
PHI: Final = np.array([-30.0, 0.0, 30.0, 60.0, 100.0])
HELD: Final = ("D_offset", "gamma_dot_t_offset")
FRAMES, NOISE = 60, 0.02


def problem() -> FitProblem:
    """Return a fit from the truth downwards, offsets held: valleys have no covariance."""
    values = dict(zip(NAMES, TRUTH.tolist(), strict=True))
    bounds = {p.name: Bounds(p.lower, p.upper) for p in PARAMETERS}
    initial = InitialParameters(values=values, fixed={name: values[name] for name in HELD})
    plain = FitProblem("laminar_flow", initial=initial, bounds=bounds)
    return replace(plain, solver=replace(plain.solver, global_search=False))


def experiments(rings: tuple[float, ...], phi: FloatArray, frames: int) -> list[Experiment]:
    return [Experiment(TRUTH, phi, frames, q, 2e6, 0.1) for q in rings]


def bound(rings: tuple[float, ...]) -> FloatArray:
    """Return the least uncertainties of the free parameters that rings allow, (p,)."""
    data = simulate_rings(experiments(rings, PHI, FRAMES), Noise(0.0), 0)
    objective = build_objective(data, problem(), np.full(data.n_phi, NOISE))
    hessian = objective.derivatives(objective.free_values).reduced_hessian
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(hessian))))


def coverage(realisations: int) -> dict[str, dict[str, list[float]]]:
    """Fit two rings together and the inner one alone, and hold errors against the bounds."""
    free = [k for k, name in enumerate(NAMES) if name not in HELD]
    answer = {}
    for name, rings in (("both rings", RINGS), ("inner ring", RINGS[:1])):
        errors, stated = [], []
        for seed in range(realisations):
            data: Dataset = simulate_rings(experiments(rings, PHI, FRAMES), Noise(NOISE), seed)
            result = fit(data, problem())
            errors.append((result.values - TRUTH)[free])
            stated.append([result.parameters[k].uncertainty for k in free])
        z, least = np.abs(np.array(errors) / np.array(stated)), bound(rings)
        rms = np.sqrt(np.mean(np.square(errors), axis=0))
        answer[name] = {
            "bound": least.tolist(),
            "rms error over bound": (rms / least).tolist(),
            "inside 1 sigma": (z < 1.0).mean(axis=0).tolist(),
            "inside 2 sigma": (z < 2.0).mean(axis=0).tolist(),
        }
    return answer


CONFIG: Final = """\
analysis_mode: laminar_flow
experimental_data: {file_path: data.h5}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: all}
  geometry: {stator_rotor_gap: 2.0e+6}
"""


def cost(rings: int, angles: int, frames: int) -> dict[str, float]:
    """Return wall time and peak memory of the command on a file of many rings."""
    q = tuple(np.linspace(0.004, 0.009, rings).tolist())
    phi = np.linspace(-90.0, 260.0, angles)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [replace(e, from_zero=True) for e in experiments(q, phi, frames)]
        data = simulate_rings(made, Noise(NOISE), 0)
        write_aps_u(folder / "data.h5", data.array, phi, np.array(q), 0.1)
        (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        return {"maps": float(rings * angles), "frames": float(frames), **whole_command(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--realisations", type=int, default=60)
    parser.add_argument("--rings", type=int, default=10)
    parser.add_argument("--angles", type=int, default=36)
    parser.add_argument("--frames", type=int, default=200)
    options = parser.parse_args()
    answer: dict[str, object] = {"device": describe_device()}
    free = [name for name in NAMES if name not in HELD]
    print(f"{'':34s}" + "".join(f"{name:>14s}" for name in free))
    for name, table in coverage(options.realisations).items():
        answer[name] = table
        for label, row in table.items():
            print(f"{name + ': ' + label:34s}" + "".join(f"{v:14.4g}" for v in row))
    for rings in dict.fromkeys((1, options.rings)):
        figures = cost(rings, options.angles, options.frames)
        answer[f"{rings} rings"] = figures
        print(f"{rings} rings:", {k: float(f"{v:.4g}") for k, v in figures.items()})
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
