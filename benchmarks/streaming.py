"""Fit maps larger than a memory budget: time, peak memory, and cost per pair beside maps in memory.

Two experiments are made on disk, one that fits into memory and one that does not; both are fitted,
diagnosed and verified by commands in fresh processes, the large one within ``--memory``. A pass
over the small one, in memory and from disk, which the system has cached, gives the cost per pair.
With speckles the large one alone, its noise that of so many speckles with two photons each in a
frame.

    python -m benchmarks.streaming [--angles 36] [--frames 8000] [--memory 2GB] [--folder .]
                                   [--speckles 200]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from scipy import linalg

from benchmarks.plain_numpy import best_of
from benchmarks.realistic import CONFIG, run_command, whole_command
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.model.pair_model import ModelMaps, PairModel, model_maps
from homodyne_cli.core.numerics.backend import describe_device
from homodyne_cli.core.simulation import speckle_intensities
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.read_data import open_dataset
from homodyne_cli.problem import DataSelection
from tests.support.datasets import PUBLISHED

RESULT: Final = Path(__file__).parent / "results" / "streaming.json"
SMALL: Final = (36, 2000)
NOISE: Final = 0.06
CONTRAST: Final = 0.3
PHOTONS: Final = 2.0
_BAND: Final = 250


def write_experiment(path: Path, angles: int, frames: int) -> None:
    """Write the realistic experiment band by band: frame 1 is t = 0, the lower half is empty."""
    phi = np.linspace(-25.5, 205.5, angles)
    model = published_model(phi, frames)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        shape = (angles, frames, frames)
        c2 = file.create_dataset("c2", shape, dtype=np.float32)
        for a in range(angles):
            for first in range(0, frames - 1, _BAND):
                band = model.block(a, slice(first, first + _BAND), slice(first, None))
                band += np.float32(NOISE) * rng.standard_normal(band.shape, dtype=np.float32)
                rows = slice(first + 1, first + 1 + len(band))
                c2[a, rows, first + 1 :] = np.triu(band)
        file["phi"], file["q"], file["dt"] = phi, 0.0054, 0.1


def write_speckles(path: Path, angles: int, frames: int, speckles: int) -> None:
    """Write the same experiment with the noise of speckles, angle by angle.

    Fields cost most to prepare, and are alike in four directions: those, mirrored at the flow axis,
    and the opposite ones.
    """
    away = np.linspace(3.0, 87.0, -(-angles // 4))
    phi = PUBLISHED[-1] + np.concatenate([away, -away, away + 180.0, 180.0 - away])[:angles]
    model = published_model(phi, frames)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        c2 = file.create_dataset("c2", (angles, frames, frames), dtype=np.float32)
        for first_alike in range(len(away)):
            root = field_root(model.angles[first_alike])
            for a in range(first_alike, angles, len(away)):
                light = speckle_intensities(root, CONTRAST, speckles, rng)
                photons = rng.poisson(PHOTONS * light).astype(np.float32)
                photons /= photons.mean(axis=1, keepdims=True) * np.float32(speckles**0.5)
                for first in range(0, frames - 1, _BAND):
                    band = photons[first : first + _BAND] @ photons.T
                    c2[a, first + 1 : first + 1 + len(band), 1:] = np.triu(band, first)
        file["phi"], file["q"], file["dt"] = phi, 0.0054, 0.1


def published_model(phi: FloatArray, frames: int) -> ModelMaps:
    """Return the maps without noise; frame 1 of the file is t = 0."""
    t = 0.1 * np.arange(1, frames, dtype=np.float64)
    blank = np.empty((len(phi), 0, 0), dtype=np.float32)
    grid = Dataset(blank, phi, t, np.full(len(phi), 0.0054), 2e6, 0.1, None, {})
    scaling = np.full(len(phi), CONTRAST), np.full(len(phi), 1.1)
    return model_maps(grid, np.array(PUBLISHED), *scaling, "he2024")


def field_root(model: PairModel) -> FloatArray:
    """Return the (n, n) Cholesky factor of g1; rounding leaves it a little short of definite."""
    frames = np.arange(len(model.decay))
    g1 = model.g1(frames[:, None], frames)
    g1[frames, frames] += 1e-9
    return np.asarray(linalg.cholesky(g1, lower=True, overwrite_a=True, check_finite=False))


def per_pair(folder: Path) -> dict[str, float]:
    """Return seconds per pair of a pass over the small experiment, in memory and from disk."""
    selection = DataSelection(path=folder / "data.h5", q=0.0054, gap=2e6)
    kind = PassSpec("laminar_flow", "he2024")
    figures = {}
    for name, budget in (("in memory", 1 << 40), ("from disk", 700_000_000)):
        with open_dataset(
            selection, "laminar_flow", memory=MemoryBudget(budget, folder)
        ) as dataset:
            tiles = pack(dataset)
            seconds = best_of(3, lambda t=tiles: evaluate(t, kind, np.array(PUBLISHED)))
            figures[name] = seconds / tiles.n_points
    return figures


def experiment(
    folder: Path, angles: int, frames: int, memory: str, speckles: int = 0
) -> dict[str, float]:
    """Write one experiment, fit it and look at the fit."""
    started = time.perf_counter()
    if speckles:
        write_speckles(folder / "data.h5", angles, frames, speckles)
    else:
        write_experiment(folder / "data.h5", angles, frames)
    print(f"{angles} x {frames} written in {time.perf_counter() - started:.0f} s", flush=True)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    pairs = angles * (frames - 1) * (frames - 2) / 2
    figures = {"pairs": pairs, **whole_command(folder, "--memory", memory)}
    for command in ("diagnose", "verify"):
        done = run_command(folder, command, "run", "--json", "--memory", memory)
        figures |= {command: done.wall, f"{command}: peak GB": done.peak_gb}
        if command == "verify":
            figures["passed"] = float(json.loads(done.stdout)["passed"])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--angles", type=int, default=36)
    parser.add_argument("--frames", type=int, default=8000)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--speckles", type=int, default=0)
    options = parser.parse_args()
    answer: dict[str, object] = {"device": describe_device(), "memory": options.memory}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        if options.speckles:
            size = options.angles, options.frames
            print(experiment(folder, *size, options.memory, options.speckles))
            return
        small = experiment(folder, *SMALL, "100GB")
        cost = per_pair(folder)
        large = experiment(folder, options.angles, options.frames, options.memory)
    answer |= {"small": small, "large": large, "seconds per pair": cost}
    for label, row in (("in memory", small), ("streamed", large), ("pass, s/pair", cost)):
        print(label, {k: float(f"{v:.4g}") for k, v in row.items()})
    print(f"from disk / in memory: {cost['from disk'] / cost['in memory']:.2f}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
