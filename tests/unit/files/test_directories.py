"""A run directory is there as a whole, or the one before it is, whichever step fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homodyne_cli.errors import OutputError
from homodyne_cli.io.files.directories import NewDirectory, new_directory
from homodyne_cli.io.run.read_run import find_run

MARKER = "manifest.json"


def write(target: Path, text: str, *, force: bool = False) -> NewDirectory:
    with new_directory(target, force=force, marker=MARKER) as new:
        fill(new, text)
        new.put_in_place()
    return new


def fill(new: NewDirectory, text: str) -> None:
    (new.path / MARKER).write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that is there."""
    write(tmp_path / "run", "old")
    return tmp_path / "run"


def test_nothing_is_left_beside(run: Path) -> None:
    assert contents(run.parent) == {f"run/{MARKER}": "old"}
    new = write(run, "new", force=True)
    assert contents(run.parent) == {f"run/{MARKER}": "new"}
    assert (new.target, new.notes) == (run, [])


def test_a_directory_that_is_not_put_in_place_vanishes(run: Path) -> None:
    with new_directory(run, force=True, marker=MARKER) as new:
        fill(new, "new")
    assert contents(run.parent) == {f"run/{MARKER}": "old"}
    with pytest.raises(KeyError), new_directory(run, force=True, marker=MARKER) as new:
        raise KeyError
    assert contents(run.parent) == {f"run/{MARKER}": "old"}


def test_parents_are_made_and_the_umask_is_kept(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "a" / "b" / "run", "new")
    finally:
        os.umask(old)
    assert (tmp_path / "a" / "b" / "run").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda p: p.symlink_to("nowhere")])
def test_what_is_there_is_not_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "run")
    with pytest.raises(OutputError, match="run: already exists"):
        write(tmp_path / "run", "new")
    with pytest.raises(OutputError, match="run: --force replaces run directories only"):
        write(tmp_path / "run", "new", force=True) if not (tmp_path / "run").is_symlink() else (
            write_behind_link(tmp_path)
        )
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def write_behind_link(folder: Path) -> None:
    (folder / "run").unlink()
    (folder / "run").mkdir()
    write(folder / "run", "new", force=True)


def test_the_target_of_a_symbolic_link_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "disk" / "run", "old")
    (tmp_path / "run").symlink_to(Path("disk") / "run")
    write(tmp_path / "run", "new", force=True)
    assert (tmp_path / "run").is_symlink()
    assert contents(tmp_path / "disk") == {f"run/{MARKER}": "new"}


def test_of_two_for_one_place_the_second_goes_beside(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with new_directory(run, force=False, marker=MARKER) as late:
        write(run, "first")
        write(tmp_path / "run-2", "another")
        fill(late, "second")
        late.put_in_place()
    assert late.target == tmp_path / "run-3"
    assert late.notes == [f"{run} is taken by now: this result is in {late.target}"]
    assert contents(tmp_path) == {
        f"run/{MARKER}": "first", f"run-2/{MARKER}": "another", f"run-3/{MARKER}": "second",
    }  # fmt: skip


def test_both_replace_what_was_there(run: Path) -> None:
    with new_directory(run, force=True, marker=MARKER) as late:
        write(run, "first", force=True)
        fill(late, "second")
        late.put_in_place()
    assert contents(run.parent) == {f"run/{MARKER}": "second"}


class Fault:
    """Fails the n-th call of a function."""

    def __init__(self, original: Callable[..., object], number: int, error: BaseException) -> None:
        self.original, self.number, self.error = original, number, error
        self.calls = 0

    def __call__(self, *args: object, **options: object) -> object:
        self.calls += 1
        if self.calls == self.number:
            raise self.error
        return self.original(*args, **options)


FULL = OSError(28, "No space left on device")
DENIED = PermissionError(13, "Permission denied")


@pytest.mark.parametrize("error", [DENIED, FULL, KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("step", [1, 2])
def test_the_swap_has_a_way_back(
    run: Path, monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException
) -> None:
    fault = Fault(Path.rename, step, error)
    monkeypatch.setattr(Path, "rename", lambda *args: fault(*args))
    if not isinstance(error, OSError):
        with pytest.raises(KeyboardInterrupt):
            write(run, "new", force=True)
        assert contents(run.parent) == {f"run/{MARKER}": "old"}
    else:
        new = write(run, "new", force=True)
        assert f"run cannot be replaced ({error.strerror})" in new.notes[0]
        assert contents(run.parent) == {f"run/{MARKER}": "old", f"run-2/{MARKER}": "new"}
    assert fault.calls >= step


def test_if_nothing_can_be_renamed_any_more_the_old_run_stays(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "directory":
            raise DENIED
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OutputError, match="run: cannot be written: Permission denied"):
        write(run, "new", force=True)
    assert contents(run.parent) == {f"run/{MARKER}": "old"}


def test_a_way_back_that_fails_keeps_the_old_run_for_the_next_command(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, to: fails(rename, self, to))

    def fails(rename: Callable[[Path, Path], Path], self: Path, target: Path) -> Path:
        if target == run:
            raise DENIED
        return rename(self, target)

    with pytest.raises(OutputError, match="run: cannot be written: Permission denied"):
        write(run, "new", force=True)
    assert not run.exists()
    monkeypatch.undo()
    other = write(run.parent / "other", "other")
    assert contents(run.parent) == {f"run/{MARKER}": "old", f"other/{MARKER}": "other"}
    assert "was being replaced" in other.notes[1]


def test_a_clean_up_that_fails_is_a_note(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object, **_options: object) -> None:
        raise DENIED

    monkeypatch.setattr(shutil, "rmtree", denied)
    new = write(run, "new", force=True)
    assert (run / MARKER).read_text() == "new"
    assert [n.rpartition(": ")[2] for n in new.notes] == ["Permission denied"]
    monkeypatch.undo()
    assert "left by" in write(run.parent / "other", "other").notes[0]
    assert contents(run.parent) == {f"run/{MARKER}": "new", f"other/{MARKER}": "other"}


#: Replaces a run and kills itself in place of the rename of that number.
KILLED = """
import os, signal, sys
from pathlib import Path
from homodyne_cli.io.files.directories import new_directory
left, rename = [int(sys.argv[2])], Path.rename
def renamed(self, target):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)
Path.rename = renamed
with new_directory(Path(sys.argv[1]), force=True, marker="manifest.json") as new:
    (new.path / "manifest.json").write_text("new")
    (new.path / "fitted_data.h5").touch()
    new.put_in_place()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.parametrize("step", [1, 2])
def test_a_run_is_back_when_it_is_looked_for(run: Path, step: int) -> None:
    (run / "fitted_data.h5").touch()
    killed = subprocess.run([sys.executable, "-c", KILLED, run, str(step)], check=False)
    assert killed.returncode == -9
    assert run.exists() == (step == 1)
    assert find_run(run).home == run
    assert (run / MARKER).read_text() == "old"
    write(run.parent / "other", "other")
    assert sorted(p.name for p in run.parent.iterdir()) == ["other", "run"]
