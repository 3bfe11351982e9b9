"""A batch on a dask cluster: a real scheduler and workers, each in a process of its own."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import TEMPLATE, homodyne
from tests.support.layout_writers import Grid, aps_u

pytest.importorskip("distributed")

N_SCANS = 3
#: Told by a worker that has begun a fit, in this folder.
BEGUN = "begun"
#: What a worker runs first: the first fit of all to begin waits there for its end.
SLOW_FIRST = """\
import os, pathlib, time
from homodyne_cli.batch import fitting
make_run, folder = fitting.make_run, pathlib.Path({folder!r})
def slow(*arguments, **options):
    try:
        os.close(os.open(folder / {begun!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return make_run(*arguments, **options)
    time.sleep(120)
fitting.make_run = slow
"""


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@contextmanager
def started(*words: str, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module of dask as a process that ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", *words], cwd=cwd, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def scheduler(folder: Path) -> ExitStack:
    held = ExitStack()
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    words = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
    process = held.enter_context(
        started(*words, "--no-dashboard", "--scheduler-file", str(file), cwd=folder)
    )
    held.callback(process.kill)
    wait_for(file.exists)
    return held


def worker(folder: Path, *options: str) -> ExitStack:
    held = ExitStack()
    words = ("distributed.cli.dask_worker", "--scheduler-file", "scheduler.json", "--no-dashboard")
    held.enter_context(started(*words, "--nthreads", "1", "--no-nanny", *options, cwd=folder))
    return held


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Scans of two rings, a template, and what makes the first fit of all slow."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")
    (tmp_path / "template.yaml").write_text(TEMPLATE, encoding="utf-8")
    for number in range(N_SCANS):
        aps_u(tmp_path / f"scan_{number}.h5", Grid(n=16), frame_time=0.1)
    text = SLOW_FIRST.format(folder=str(tmp_path), begun=BEGUN)
    (tmp_path / "slow_first.py").write_text(text, encoding="utf-8")
    return tmp_path


def batch(output: str, *options: str) -> tuple[str, ...]:
    return (
        "batch", "template.yaml", "scan_*.h5", "--q", "all", "-o", output, "--no-plots", "--quiet",
        *options,
    )  # fmt: skip


def rows_of(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


ON_CLUSTER = ("--scheduler-file", "scheduler.json")


@contextmanager
def running(folder: Path, output: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a batch on the cluster beside the test."""
    words = (sys.executable, "-m", "homodyne_cli", *batch(output, *ON_CLUSTER))
    with subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_workers_fit_what_one_process_fits_though_one_is_killed(folder: Path) -> None:
    """The worker that has the slow fit is killed: another makes that fit, and nothing is lost."""
    with (
        scheduler(folder),
        worker(folder, "--preload", "slow_first.py") as slow,
        running(folder, "cluster") as process,
    ):
        wait_for((folder / BEGUN).exists)
        with worker(folder):
            slow.close()
            assert process.wait(60) == 0
    assert homodyne(*batch("local", "--jobs", "1"), cwd=folder).returncode == 0
    one, other = rows_of(folder / "cluster"), rows_of(folder / "local")
    assert len(one) == len(other) == 2 * N_SCANS
    for name, row in one.items():
        for column in ("D0", "D0_uncertainty", "chi2"):
            assert float(row[column]) == pytest.approx(float(other[name][column]), rel=1e-8)
        assert row["verdict"] == other[name]["verdict"]


def test_a_scheduler_that_is_killed_costs_a_resume(folder: Path) -> None:
    rows = folder / "results" / "rows"
    with scheduler(folder) as first, worker(folder), running(folder, "results") as process:
        wait_for(lambda: len(list(rows.glob("*.json"))) >= 2)
        first.close()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert b"no scheduler answers" in said
    kept = {path: path.stat().st_mtime_ns for path in rows.glob("*.json")}
    assert 2 <= len(kept) < 2 * N_SCANS
    with scheduler(folder), worker(folder):
        done = homodyne(*batch("results", *ON_CLUSTER), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert {row["state"] for row in rows_of(folder / "results").values()} == {"converged"}
    assert len(rows_of(folder / "results")) == 2 * N_SCANS
