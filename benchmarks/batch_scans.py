"""Fit many scans by ``homodyne batch``: time in all, and whether the cost of one stays flat.

Scans of one experiment with noise of their own are written and fitted by the command in a fresh
process. When each row was kept says what a scan costs at the beginning and at the end.

    python -m benchmarks.batch_scans [--scans 100,500]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.realistic import run_command
from homodyne_cli.core.numerics.backend import describe_device
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.io.formats.write_data import write_aps_u

RESULT: Final = Path(__file__).parent / "results" / "batch_scans.json"
TRUTH: Final = np.array([3000.0, -0.4, 300.0, 1e-4, -0.25, 2e-5, 2.0])
CONFIG: Final = """\
analysis_mode: laminar_flow
experimental_data: {file_path: none.h5}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: 0.0054}
  geometry: {stator_rotor_gap: 2.0e+6}
"""
#: Angles and frames of a scan.
SIZE: Final = (5, 200)
#: Parts of a batch whose costs are compared.
_PARTS: Final = 5


def write_scans(folder: Path, count: int, angles: int, frames: int) -> None:
    """Write scans of one experiment, each with its own noise."""
    phi = np.linspace(-30.0, 100.0, angles)
    experiment = Experiment(TRUTH, phi, frames - 1, 0.0054, 2e6, 0.1, from_zero=True)
    clean = simulate(experiment, Noise(), 0).dataset.array
    rng = np.random.default_rng(0)
    for number in range(count):
        noisy = clean + 0.03 * rng.standard_normal(clean.shape, dtype=np.float32)
        write_aps_u(folder / f"scan_{number:04d}.h5", noisy, phi, 0.0054, 0.1)
    (folder / "template.yaml").write_text(CONFIG, encoding="utf-8")


def measure(count: int, angles: int, frames: int) -> dict[str, float]:
    """Return wall time of a batch, seconds per scan, and those of the last part over the first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scans(folder, count, angles, frames)
        done = run_command(
            folder, "batch", "template.yaml", "scan_*.h5", "-o", "results", "--no-plots",
            "--quiet", "--json",
        )  # fmt: skip
        rows = json.loads(done.stdout)["fits"]
        kept = sorted(path.stat().st_mtime for path in folder.glob("results/rows/*.json"))
    failed = sum(row["state"] == "failed" for row in rows)
    marks = np.interp(np.linspace(0, count - 1, _PARTS + 1), np.arange(count), kept)
    parts = np.diff(marks) / (count / _PARTS)
    return {
        "scans": float(count),
        "angles": float(angles),
        "frames": float(frames),
        "command": done.wall,
        "failed": float(failed),
        "seconds per scan": done.wall / count,
        "last part over first": float(parts[-1] / parts[0]),
        **{f"s per scan, part {k + 1}": float(v) for k, v in enumerate(parts)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scans", default="100,500")
    options = parser.parse_args()
    answer: dict[str, object] = {"device": describe_device()}
    for count in options.scans.split(","):
        figures = measure(int(count), *SIZE)
        answer[f"{count} scans"] = figures
        print({k: float(f"{v:.3g}") for k, v in figures.items()}, flush=True)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
