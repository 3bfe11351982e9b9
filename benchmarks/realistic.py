"""The experiment of a real measurement, 23 angles x 1000 frames, timed end to end.

Prints one evaluation of value and Gram matrix, one of the cost alone, and the whole command in
a fresh process with its peak memory, beside a plain NumPy evaluation of the model in the same run.
Run it with ``make bench``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.plain_numpy import best_of, model_chi2
from homodyne_cli.core.backend import describe_device
from homodyne_cli.core.residual import PassKind, evaluate
from homodyne_cli.core.tiles import pack
from homodyne_cli.io.write_data import write_aps_u
from homodyne_cli.models import Dataset
from tests.oracle import PUBLISHED, make_dataset

ANGLES, FRAMES, RUNS = 23, 1000, 5
CONFIG = """\
analysis_mode: laminar_flow
experimental_data: {file_path: data.h5}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: 0.0054}
  geometry: {stator_rotor_gap: 2.0e6}
initial_parameters:
  values: [5.0e4, -1.2, 1500.0, 1.5e-3, -0.1, -3.0e-4, 1.0]
"""


def passes(dataset: Dataset) -> dict[str, float]:
    """Time the fused pass and the plain evaluation."""
    tiles = pack(dataset)
    figures = {
        "plain NumPy evaluation": best_of(3, lambda: model_chi2(dataset, PUBLISHED, 0.3, 1.1))
    }
    figures["numpy.sum of the data"] = best_of(3, lambda: np.sum(dataset.c2))
    for label, kind in (
        ("value + Gram, he2024", PassKind("laminar_flow", "he2024")),
        ("value + Gram, homodyne-2", PassKind("laminar_flow", "homodyne-2")),
        ("cost only, he2024", PassKind("laminar_flow", "he2024", derivatives=False)),
        ("value + Gram, static", PassKind("static", "he2024")),
    ):
        parameters = PUBLISHED[:3] if kind.mode == "static" else PUBLISHED
        started = time.perf_counter()
        evaluate(tiles, kind, parameters)
        first = time.perf_counter() - started
        figures[label] = best_of(RUNS, lambda k=kind, p=parameters: evaluate(tiles, k, p))
        figures[f"{label}: compile"] = first - figures[label]
    return figures


def whole_command(folder: Path, mode: str, *extra: str) -> dict[str, float]:
    """Run ``homodyne fit`` in a fresh process; return wall seconds, peak memory, iterations."""
    code = "from homodyne_cli.cli.app import main; main()"
    arguments = ["fit", "config.yaml", "-o", f"run-{mode}", "--json", *extra]
    if mode == "static":
        arguments += ["--set", "analysis_mode=static"]
        arguments += ["--set", "initial_parameters.values=[5.0e4, -1.2, 1500.0]"]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - started
    answer = json.loads(done.stdout)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return {
        "wall": wall,
        "peak GB so far": peak,
        "iterations": answer["iterations"],
        **{f"seconds {k}": v for k, v in answer["seconds"].items()},
    }


def main() -> None:
    dataset = make_dataset(FRAMES, ANGLES, spread=0.05, single=True)
    print(f"{ANGLES} angles x {FRAMES} frames on {describe_device()}")
    figures = passes(dataset)
    plain = figures["plain NumPy evaluation"]
    for label, seconds in figures.items():
        print(f"  {label:34s} {seconds:8.3f} s  {seconds / plain:7.3f} x plain NumPy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = np.maximum(np.arange(FRAMES + 1) - 1, 0)
        maps = dataset.c2[:, index[:, None], index[None, :]]
        write_aps_u(folder / "data.h5", maps, dataset.phi, dataset.q, dataset.dt)
        (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        for mode, extra in (
            ("static", ()),
            ("laminar_flow", ("--no-plots",)),
            ("laminar+plots", ()),
        ):
            figures = whole_command(folder, mode, *extra)
            listed = ", ".join(f"{k} {v:.2f}" for k, v in figures.items())
            print(f"  whole command, {mode}: {listed}")


if __name__ == "__main__":
    main()
