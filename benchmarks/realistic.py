"""Speed and memory from 3 x 200 to 36 x 2000, beside a plain NumPy evaluation in the same run.

For every size: one evaluation of value and Gram matrices, one of the cost, the plain evaluation,
``numpy.sum`` of the data as the floor that memory bandwidth sets; then the whole command in a fresh
process with its peak memory and where its time went. Last the exponents of time and memory against
the number of pairs. Run it with ``make bench``; figures go to ``benchmarks/results/speed.json``.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.plain_numpy import best_of, model_chi2
from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.gram_pass.host_pass import evaluate_on_host, host_pairs
from homodyne_cli.core.numerics.backend import describe_device
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.formats.write_data import write_aps_u
from homodyne_cli.parameters import PARAMETERS
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters
from tests.support.datasets import PUBLISHED, make_dataset

SIZES: Final = ((3, 200), (10, 400), (23, 1000), (36, 2000))
RUNS: Final = 5
#: Parts of a fit, by the functions whose time is told.
PARTS: Final = {
    "noise": ("estimate_sigma",),
    "pairs taken": ("host_pairs", "pack"),
    "screening": ("costs",),
    "coarse descents": ("refine",),
    "minimisation on all pairs": ("minimise",),
    "noise along lags, uncertainties": ("weigh_angles", "with_equal_weights", "with_best_weights"),
}
RESULT: Final = Path(__file__).parent / "results" / "speed.json"
PLAIN, FULL, WARM = "plain NumPy", "value + Gram, he2024", "fit in a warm process"
HOST = "value + Gram by NumPy"
KINDS: Final = {
    FULL: PassSpec("laminar_flow", "he2024"),
    "value + Gram, homodyne-2": PassSpec("laminar_flow", "homodyne-2"),
    "cost only": PassSpec("laminar_flow", "he2024", derivatives=False),
}
CONFIG = """\
analysis_mode: laminar_flow
experimental_data: {file_path: data.h5}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: 0.0054}
  geometry: {stator_rotor_gap: 2.0e6}
"""
#: Runs the command and adds its own peak memory (kB) to what it prints. (The peak that `getrusage`
#: tells counts from before the program was started, when the process was a copy of this one.)
COMMAND = (
    "import atexit, sys\n"
    "def peak():\n"
    "    text = open('/proc/self/status').read()\n"
    "    print(text.split('VmHWM:')[1].split()[0], file=sys.stderr)\n"
    "atexit.register(peak)\n"
    "from homodyne_cli.cli.app import main; main()\n"
)


def passes(dataset: Dataset) -> dict[str, float]:
    """Time the fused passes and the plain evaluation."""
    tiles = pack(dataset)
    figures = {
        PLAIN: best_of(3, lambda: model_chi2(dataset, PUBLISHED, 0.3, 1.1)),
        "numpy.sum": best_of(3, lambda: np.sum(dataset.array)),
    }
    on_host = partial(evaluate_on_host, host_pairs(dataset), KINDS[FULL], PUBLISHED)
    figures[HOST] = best_of(RUNS, on_host)
    for label, kind in KINDS.items():
        started = time.perf_counter()
        evaluate(tiles, kind, PUBLISHED)
        first = time.perf_counter() - started
        figures[label] = best_of(RUNS, lambda k=kind: evaluate(tiles, k, PUBLISHED))
        figures[f"{label}: compile"] = first - figures[label]
    return figures


def where_time_goes(dataset: Dataset) -> dict[str, float]:
    """Return seconds of the parts of a fit without a start, code compiled before."""
    problem = FitProblem(
        mode="laminar_flow",
        convention="he2024",
        per_angle_mode="individual",
        fourier_order=1,
        initial=InitialParameters(),
        bounds={p.name: Bounds(p.lower, p.upper) for p in PARAMETERS},
    )
    fit(dataset, problem)
    figures = {WARM: best_of(2, lambda: fit(dataset, problem))}
    profiler = cProfile.Profile()
    profiler.runcall(fit, dataset, problem)
    spent = pstats.Stats(profiler).get_stats_profile().func_profiles
    parts = {
        f"profiled: {label}": sum(spent[name].cumtime for name in names if name in spent)
        for label, names in PARTS.items()
    }
    return figures | parts


@dataclass(frozen=True)
class Finished:
    """What a command printed, its seconds and its peak memory."""

    stdout: str
    wall: float
    peak_gb: float


def run_command(folder: Path, *arguments: str) -> Finished:
    """Run ``homodyne`` in a fresh process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - started
    return Finished(done.stdout, wall, float(done.stderr.split()[-1]) / 1024**2)


def whole_command(folder: Path, *options: str) -> dict[str, float]:
    """Run ``homodyne fit`` without a start; return seconds and peak memory."""
    arguments = ["fit", "config.yaml", "-o", "run", "--json", "--no-plots", "--quiet", "--force"]
    done = run_command(folder, *arguments, *options)
    answer = json.loads(done.stdout)
    return {
        "command": done.wall,
        "peak GB": done.peak_gb,
        "iterations": float(answer["iterations"]),
        **{k: float(v) for k, v in answer["seconds"].items()},
    }


def measure(angles: int, frames: int) -> dict[str, float]:
    """Measure one size."""
    dataset = make_dataset(frames, angles, spread=0.05, single=True)
    figures = {"pairs": float(angles * frames * (frames - 1) // 2), **passes(dataset)}
    figures |= where_time_goes(dataset)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = np.maximum(np.arange(frames + 1) - 1, 0)
        maps = dataset.array[:, index[:, None], index[None, :]]
        write_aps_u(folder / "data.h5", maps, dataset.phi, float(dataset.q[0]), dataset.dt)
        del maps
        (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        figures |= whole_command(folder)
    return figures


def exponent(rows: dict[str, dict[str, float]], what: str) -> float:
    """Return the slope of log(figure) against log(pairs)."""
    pairs = [row["pairs"] for row in rows.values()]
    return float(np.polyfit(np.log(pairs), np.log([row[what] for row in rows.values()]), 1)[0])


def main() -> None:
    print(f"on {describe_device()}")
    rows: dict[str, dict[str, float]] = {}
    for angles, frames in SIZES:
        row = rows[f"{angles}x{frames}"] = measure(angles, frames)
        print(f"\n{angles} angles x {frames} frames, {row['pairs']:.3g} pairs")
        for label, value in row.items():
            beside = label in (*KINDS, HOST, WARM, "fit")
            ratio = f"{value / row[PLAIN]:9.3f} x plain NumPy" if beside else ""
            print(f"  {label:34s}{value:12.4g}{ratio}")
    large = dict(list(rows.items())[1:])
    exponents = {
        "pass, 10x400 to 36x2000": exponent(large, FULL),
        "fit, 10x400 to 36x2000": exponent(large, "fit"),
        "peak memory, 10x400 to 36x2000": exponent(large, "peak GB"),
    }
    print()
    for label, value in exponents.items():
        print(f"exponent of {label}: {value:.2f}")
    answer = {"device": describe_device(), "sizes": rows, "exponents": exponents}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
