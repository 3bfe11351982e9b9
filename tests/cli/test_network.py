"""Nothing that the program does at run time asks a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMANDS = ("init", "simulate", "fit", "diagnose", "verify", "report")


def offline(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.offline", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_command_reaches_a_network(tmp_path: Path) -> None:
    done = offline(str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("ran")] == [f"ran {c} 0" for c in COMMANDS]
    assert not [line for line in lines if line.startswith("reaches")]
    # The trial opens a file as this process does afterwards; `platform` asks for the processor.
    started = [line for line in lines if line.startswith("starts")]
    known = ("-m homodyne_cli.io.", "starts uname")
    assert all(any(word in line for word in known) for line in started), started


def test_an_attempt_would_be_told() -> None:
    done = offline()
    assert done.returncode == 1
    assert "reaches socket." in done.stdout
    assert "no network here" in done.stderr
