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
from homodyne_cli.cli.app import main
for line in sys.argv[1:]:
    sys.argv = ["homodyne", *line.split()]
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            sys.exit(f"{{line}}: exit code {{stop.code}}")
"""


LINES = (
    "init",
    "simulate config.yaml -o data.h5 --frames 60 --noise 0.01 --phi 0,30,60",
    "fit config.yaml -o run",
    f"fit config.yaml -o streamed --memory {TOO_LITTLE} --compile-cache kept",
    "diagnose run -o fix.yaml",
    "apply-scale config.yaml fix.yaml",
    f"diagnose streamed --memory {TOO_LITTLE}",
    f"verify streamed --baseline run --memory {TOO_LITTLE} --report report.html",
)


def test_the_loop_runs_without_what_only_linux_has(tmp_path: Path) -> None:
    """One test: each command needs what the one before has written."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *LINES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    held, streamed = (
        json.loads((tmp_path / run / "parameters.json").read_text())["parameters"]
        for run in ("run", "streamed")
    )
    for name, row in streamed.items():
        assert row["value"] == pytest.approx(held[name]["value"], rel=1e-6, abs=1e-9)
