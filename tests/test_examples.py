"""Every example runs as its first lines say."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Commands
from tests.support.layout_writers import Grid, homodyne_cache, nxxpcs

EXAMPLES = Path(__file__).parents[1] / "examples"
GRID = Grid(q=(0.0054, 0.0081), n=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, with files in the layouts that no command writes."""
    copy = tmp_path_factory.mktemp("copy") / "examples"
    shutil.copytree(EXAMPLES, copy)
    nxxpcs(copy / "nxxpcs.h5", GRID)
    homodyne_cache(copy / "cached_c2.npz", GRID)
    return copy


def commands_of(path: Path) -> list[list[str]]:
    """Return the words of the ``homodyne`` lines in the comment that an example begins with."""
    lines = re.findall(r"^#   (?:.*&& )?homodyne (.*?)(?:  # .*)?$", path.read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("config", sorted(path.name for path in EXAMPLES.glob("*.yaml")))
def test_configs(folder: Path, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if config == "plain.yaml":
        subprocess.run([sys.executable, "plain.py"], check=True)
    *before, words = commands_of(folder / config)
    commands = Commands(shown=False)
    for line in before:
        assert commands.run(*line) == 0
    assert words[:2] == ["fit", config]
    assert commands.run(*words, "--no-plots", "--quiet") == 0
    assert (folder / words[words.index("-o") + 1] / "parameters.json").is_file()


def test_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    commands = Commands(shown=False)
    (line,) = re.findall(r"^    homodyne (.*)$", (folder / "windows.py").read_text(), re.MULTILINE)
    assert commands.run(*shlex.split(line), "--force") == 0
    done = subprocess.run(
        [sys.executable, "windows.py"], capture_output=True, text=True, check=True
    )
    assert re.findall(r"^ +(50|75|all) ", done.stdout, re.MULTILINE) == ["50", "75", "all"]
    assert "convergence" in done.stdout


def test_the_batch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "batch")
    commands = Commands(shown=False)
    for n in (1, 2, 3):
        simulate = ("simulate", "template.yaml", "-o", f"scan_00{n}.h5", "--seed", str(n))
        assert commands.run(*simulate, "--frames", "60") == 0
    batch = ("batch", "template.yaml", "--table", "scans.csv", "-o", "results")
    assert commands.run(*batch, "--jobs", "1", "--no-plots", "--quiet") == 0
    with (folder / "batch" / "results" / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == 3 * ["converged"]
