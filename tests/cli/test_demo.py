"""``demo``, ``python -m``, and what is said where another program has the same command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import homodyne, started


def test_the_demo_runs_whole_and_never_over_what_is_there(tmp_path: Path) -> None:
    done = homodyne("demo", "first day", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    steps = ["init", "simulate", "fit", "diagnose", "verify"]
    places = [shown.index(f"$ homodyne {step}") for step in steps]
    assert places == sorted(places)
    assert shown.index("gamma_dot_t_offset", places[2]) < places[3], "each step's own output"
    for word in ("truth", "pull", "converged", "report.html", "homodyne init -o config.yaml"):
        assert word in shown
    written = {path.name for path in (tmp_path / "first day").iterdir()}
    assert written == {"config.yaml", "data.h5", "run", "report.html"}
    again = homodyne("demo", "first day", cwd=tmp_path)
    assert again.returncode == 2
    assert "already exists" in again.stderr
    (tmp_path / "first day/mine.txt").write_text("precious")
    forced = homodyne("demo", "first day", "--force", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert (tmp_path / "first day/mine.txt").read_text() == "precious"


def test_python_m_is_the_same_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homodyne_cli", "init", "-o", "c.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.yaml").is_file()


@pytest.mark.parametrize(
    ("owner", "script", "told"),
    [("homodyne", "homodyne.cli.main:main", True), ("homodyne-cli", "homodyne_cli.x:main", False)],
)
def test_another_program_of_that_name_is_told(
    tmp_path: Path, owner: str, script: str, told: bool
) -> None:
    site = tmp_path / "site" / f"{owner.replace('-', '_')}-2.23.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 2.23.0\n")
    (site / "entry_points.txt").write_text(f"[console_scripts]\nhomodyne = {script}\n")
    for line in (("--version",), ("init",)):
        done = started(*line, cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
        assert done.returncode == 0
        assert ("homodyne 2.23.0, installed here too" in done.stderr) is told
        assert ("python -m homodyne_cli" in done.stderr) is told
