"""``--memory``: data that do not fit are worked on from disk, with the same answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.io.maps.memory import MemoryBudget
from tests.cli.conftest import homodyne

#: One byte less than 3 angles x 59 frames of float32 need in memory.
SHAPE = (3, 59, 59)
LIMIT = next(
    budget
    for budget in range(500_000_000, 501_000_000, 10_000)
    if MemoryBudget(budget).holds(SHAPE, np.dtype(np.float32))
)
TOO_LITTLE = str(LIMIT - 10_000)


def test_a_fit_from_disk_equals_the_fit_in_memory(experiment: Path, folder: Path) -> None:
    done = homodyne("fit", "config.yaml", "-o", "run", "--json", "--memory", TOO_LITTLE, cwd=folder)
    assert done.returncode == 0, done.stderr
    streamed = json.loads(done.stdout)
    held = json.loads((experiment / "run" / "parameters.json").read_text())
    for name, row in streamed["parameters"].items():
        other = held["parameters"][name]
        assert abs(row["value"] - other["value"]) <= 1e-6 * other["uncertainty_hessian"]
    assert {p.name for p in (folder / "run").iterdir()} == {
        p.name for p in (experiment / "run").iterdir()
    }
    diagnosed = [
        homodyne("diagnose", "run", "--json", *options, cwd=folder)
        for options in ((), ("--memory", TOO_LITTLE))
    ]
    in_memory, from_disk = (json.loads(d.stdout)["gradients"] for d in diagnosed)
    scale = max(abs(g) for g in in_memory.values())
    assert all(abs(from_disk[n] - g) <= 1e-9 * scale for n, g in in_memory.items())
    left = {p.name for p in folder.iterdir()}
    assert left == {"config.yaml", "data.h5", "run"}


def test_a_run_is_verified_from_disk_as_in_memory(experiment: Path, folder: Path) -> None:
    run = str(experiment / "run")
    checks = []
    for options in ((), ("--memory", TOO_LITTLE)):
        done = homodyne(
            "verify", run, "--json", "--baseline", run, "--report", f"{len(options)}.html",
            *options, cwd=folder,
        )  # fmt: skip
        assert done.stderr == ""
        checks.append(json.loads(done.stdout)["checks"])
        assert (folder / f"{len(options)}.html").stat().st_size > 100_000
    for held, streamed in zip(*checks, strict=True):
        assert streamed["status"] == held["status"]
        assert streamed["value"] == pytest.approx(held["value"], rel=1e-6, abs=1e-12)


def test_a_run_larger_than_the_budget_by_far_is_refused(experiment: Path, folder: Path) -> None:
    for command in ("diagnose", "verify"):
        done = homodyne(command, str(experiment / "run"), "--memory", "1MB", cwd=folder)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "cannot hold one map of 59 x 59 frames" in done.stderr


def test_sizes_that_make_no_sense_are_one_clear_error(folder: Path) -> None:
    for size, said in (("much", "not a size"), ("1MB", "cannot hold one map")):
        done = homodyne("fit", "config.yaml", "-o", "run", "--memory", size, cwd=folder)
        assert done.returncode == 2
        assert said in done.stderr
        assert not (folder / "run").exists()
