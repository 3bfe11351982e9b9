"""Disks that are full, quotas, places that cannot be written to: a message, 2, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import homodyne

HOMODYNE = f"{sys.executable} -m homodyne_cli"
FIT = "fit {data}/config.yaml --quiet --set optimization.nlsq.global_search=false"
SIMULATE = "simulate {data}/config.yaml --frames 60 --phi 0,30,60"
WRITING = {
    "init": "init -o new",
    "simulate": SIMULATE + " -o new",
    "diagnose": "diagnose {data}/run -o new",
    "apply-scale": "apply-scale config.yaml fix.yaml",
    "verify": "verify {data}/run --report new",
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


def shell(line: str, folder: Path, data: Path) -> subprocess.CompletedProcess[str]:
    line = line.format(data=data).replace("homodyne ", f"{HOMODYNE} ")
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )


def state(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() if p.is_file() else b"" for p in folder.iterdir()}


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """A folder with a config and a fix."""
    (tmp_path / "config.yaml").write_text("analysis_mode: static\n", encoding="utf-8")
    (tmp_path / "fix.yaml").write_text("x_scale_map: {D0: 1.5}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("command", WRITING)
def test_a_quota_is_told_and_leaves_nothing(command: str, edited: Path, experiment: Path) -> None:
    before = state(edited)
    done = shell(f"ulimit -f 0; homodyne {WRITING[command]}", edited, experiment)
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert state(edited) == before


def test_a_fit_that_cannot_be_saved_shows_its_result(tmp_path: Path, experiment: Path) -> None:
    done = shell(f"ulimit -f 20; homodyne {FIT} --json -o run", tmp_path, experiment)
    assert done.returncode == 2, done.stderr
    assert "error: run: cannot be written: File too large" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["run_dir"] is None
    assert answer["parameters"]["D0"]["value"] > 0
    assert state(tmp_path) == {}


def test_a_full_disk(small_disk: Path, experiment: Path) -> None:
    larger = SIMULATE.replace("--frames 60", "--frames 300")
    simulated = shell(f"homodyne {larger} -o new.h5", small_disk, experiment)
    assert simulated.returncode == 2, simulated.stderr
    assert "error: new.h5: cannot be written: No space left on device" in simulated.stderr
    fitted = shell(f"homodyne {FIT} -o run", small_disk, experiment)
    assert fitted.returncode == 2, fitted.stderr
    assert "error: run: cannot be written: No space left on device" in fitted.stderr
    assert "gamma_dot_t0" in fitted.stdout
    assert "Run directory" not in fitted.stdout
    assert state(small_disk) == {}


@pytest.fixture
def bound() -> str:
    """What to put before a command so that permissions bind it, root or not."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("permissions do not bind root")
        return "setpriv --bounding-set=-dac_override "
    return ""


def test_a_folder_that_is_read_only(edited: Path, experiment: Path, bound: str) -> None:
    before = state(edited)
    edited.chmod(0o555)
    try:
        for command in (*WRITING.values(), f"{FIT} -o run"):
            done = shell(f"{bound}homodyne {command}", edited, experiment)
            assert done.returncode == 2, done.stderr
            assert "cannot be written: " in done.stderr
    finally:
        edited.chmod(0o755)
    assert state(edited) == before


def test_what_is_read_only_is_not_replaced(folder: Path, bound: str) -> None:
    (folder / "fix.yaml").write_text("x_scale_map: {D0: 1.5}\n", encoding="utf-8")
    (folder / "run").mkdir()
    (folder / "run" / "manifest.json").touch()
    (folder / "run").chmod(0o555)
    (folder / "config.yaml").chmod(0o444)
    for command in ("fit config.yaml --force -o run", "apply-scale config.yaml fix.yaml"):
        done = shell(f"{bound}homodyne {command}", folder, folder)
        assert done.returncode == 2
        assert ": read-only [H103]\n" in done.stderr
    assert sorted(state(folder)) == ["config.yaml", "data.h5", "fix.yaml", "run"]


PLACES = ["loop/new", "loop", "file/new", "/dev/full", "missing/new", "n" * 300]


@pytest.mark.parametrize("place", PLACES)
def test_places_that_cannot_be_written_to(edited: Path, place: str) -> None:
    (edited / "loop").symlink_to("loop")
    (edited / "file").touch()
    before = {p.name for p in edited.iterdir()}
    done = homodyne("init", "--force", "-o", place, cwd=edited)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert {p.name for p in edited.iterdir()} == before


@pytest.mark.parametrize("place", ["loop/new", "loop", "file/new", "/dev/full", "n" * 300])
def test_places_where_no_run_can_be(folder: Path, place: str) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "file").touch()
    before = {p.name for p in folder.iterdir()}
    for force in ((), ("--force",)):
        done = homodyne("fit", "config.yaml", "-o", place, *force, cwd=folder)
        assert done.returncode == 2
        # A slow machine tells its progress first.
        assert "\nerror: " in f"\n{done.stderr}"
    assert {p.name for p in folder.iterdir()} == before
