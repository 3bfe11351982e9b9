"""What only some systems offer is not needed: the loop runs without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_memory import TOO_LITTLE

#: Of `os`, missing on Windows, macOS or both.
MISSING = (
    *("sched_getaffinity", "sched_setaffinity", "sysconf", "posix_fallocate", "posix_fadvise"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "writev", "fork", "mkfifo", "openpty"),
)
#: Other people's modules may ask for these while they are imported: on Linux they are there.
SCRIPT = f"""
import sys
import jax, scipy.optimize, scipy.special, h5py, matplotlib.figure, typer, pydantic, psutil
import rich.console, concurrent.futures.process, plotext
import os
for name in {MISSING!r}:
    if hasattr(os, name):
        delattr(os, name)
sys.argv[0] = "homodyne"
from homodyne_cli.cli.app import main
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.mark.parametrize(
    "line",
    [
        "init",
        "simulate config.yaml -o data.h5 --frames 60 --noise 0.01 --phi 0,30,60",
        "fit config.yaml -o run",
        f"fit config.yaml -o streamed --memory {TOO_LITTLE} --compile-cache kept",
        "diagnose run -o fix.yaml",
        "apply-scale config.yaml fix.yaml",
        f"diagnose streamed --memory {TOO_LITTLE}",
        f"verify streamed --baseline run --memory {TOO_LITTLE} --report report.html",
    ],
)
def test_the_loop_runs_without_what_only_linux_has(folder: Path, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *line.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_answers_are_the_same(folder: Path) -> None:
    values = [
        {
            name: row["value"]
            for name, row in json.loads((folder / run / "parameters.json").read_text())[
                "parameters"
            ].items()
        }
        for run in ("run", "streamed")
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-6, abs=1e-9)
