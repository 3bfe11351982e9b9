"""Where files and folders are made before they get their names.

What is written is made in a private hidden folder beside its final place, ``.homodyne-XXXXXXXX``:

    lock.json   who made it: pid, host, start of the process; locked while it is in use
    made/       what is being made
    old/NAME    what NAME held, between the two renames that replace a folder

A finished file or folder is renamed to its place. The folder goes when the block that made it ends,
by a signal as well. Of a process that was killed it stays: the next command that writes there finds
its lock free (or the process gone, on file systems without locks) and removes it, and puts an
``old/NAME`` back if there is no NAME. Folders of other hosts, whose processes cannot be seen, are
left alone.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from platform import node
from typing import Final, TextIO

import psutil

from homodyne_cli.io.files.interrupts import on_interrupt

_PREFIX: Final = ".homodyne-"
_LOCK: Final = "lock.json"
#: Seconds by which the start of a process seems to move when the clock is set right.
_CLOCK_SHIFT: Final = 2.0

if sys.platform == "win32":
    import msvcrt

    def _take(lock: TextIO) -> bool:
        """Lock a file for as long as it is open; BlockingIOError if another process has it."""
        # A lock is mandatory here: it lies behind the text, which others may read.
        lock.seek(1 << 20)
        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        lock.seek(0)
        return True

    def _is_mine(state: os.stat_result) -> bool:
        """Whether a folder is this user's: here others' cannot be removed anyway."""
        return True
else:
    import fcntl

    def _take(lock: TextIO) -> bool:
        """Lock a file for as long as it is open; BlockingIOError if another process has it.

        Some network file systems have no locks: False there.
        """
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return False
        return True

    def _is_mine(state: os.stat_result) -> bool:
        """Whether a folder is this user's."""
        return state.st_uid == os.getuid()


class Staging:
    """A private folder for what is being made.

    Attributes
    ----------
    folder
        The folder.
    notes
        What a user should know about it afterwards.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []

    @property
    def made(self) -> Path:
        """Folder for what is being made."""
        return self.folder / "made"

    def put_aside(self, target: Path) -> None:
        """Take a folder off its place, to which `restore` brings it back."""
        aside = self.folder / "old"
        aside.mkdir(exist_ok=True)
        target.rename(aside / target.name)

    def restore(self) -> tuple[Path, ...]:
        """Bring back what was put aside and has not been replaced; return where to."""
        aside = self.folder / "old"
        kept = list(aside.iterdir()) if aside.is_dir() else []
        back = {old: self.folder.parent / old.name for old in kept}
        lost = {old: target for old, target in back.items() if not os.path.lexists(target)}
        for old, target in lost.items():
            old.rename(target)
        return tuple(lost.values())

    def dissolve(self, lock: TextIO) -> tuple[Path, ...]:
        """Bring back what was put aside and remove the rest, the lock last; return what is back."""
        if not self.folder.exists():
            return ()
        back = self.restore()
        for inside in (self.made, self.folder / "old"):
            if inside.exists():
                shutil.rmtree(inside)
        lock.close()
        shutil.rmtree(self.folder)
        return back


@contextmanager
def staging_beside(parent: Path) -> Iterator[Staging]:
    """Yield a place to make files in; it and what is left in it are gone after the block.

    Raises
    ------
    OSError
        It cannot be made.
    """
    staging, lock = _create(parent)

    def remove() -> None:
        try:
            staging.dissolve(lock)
        except OSError as error:
            reason = error.strerror or str(error)
            staging.notes.append(f"{staging.folder}: cannot be removed: {reason}")
        finally:
            lock.close()

    with on_interrupt(remove):
        try:
            yield staging
        finally:
            remove()


def _create(parent: Path) -> tuple[Staging, TextIO]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        try:
            lock = (folder / _LOCK).open("x", encoding="utf-8")
            locked, me = _take(lock), psutil.Process()
            owner = {"pid": me.pid, "host": node(), "started": me.create_time(), "locked": locked}
            lock.write(json.dumps(owner))
            lock.flush()
            (folder / "made").mkdir()
        except (FileNotFoundError, BlockingIOError):
            # Another process took the folder, still empty, for that of a dead one.
            continue
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Staging(folder), lock


def clear_leftovers(parent: Path) -> tuple[str, ...]:
    """Remove what killed processes left in a folder; return notes of what was done."""
    notes: list[str] = []
    for folder in sorted(parent.glob(f"{_PREFIX}*")):
        # What cannot be looked at or removed stays for the next command.
        with suppress(OSError):
            notes += _clear(folder)
    return tuple(notes)


def _clear(folder: Path) -> Iterator[str]:
    state = folder.lstat()
    if not (stat.S_ISDIR(state.st_mode) and _is_mine(state)):
        return
    with suppress(OSError):
        # Its process died, or has yet to sign it and will then make another.
        folder.rmdir()
        return
    with (folder / _LOCK).open("r+", encoding="utf-8") as lock:
        _take(lock)
        if _is_dead(lock.read()):
            back = Staging(folder).dissolve(lock)
            yield f"removed {folder}, left by a process that was killed"
            yield from (f"{target} was being replaced then; it is back" for target in back)


def _is_dead(signature: str) -> bool:
    """Whether a folder whose lock is free has been left, at the latest before it was signed."""
    if not signature:
        return True
    try:
        owner = json.loads(signature)
        if owner["host"] != node():
            return False
        return bool(owner["locked"]) or not _runs(int(owner["pid"]), float(owner["started"]))
    except (ValueError, TypeError, KeyError):
        return False


def _runs(pid: int, started: float) -> bool:
    """Whether the process that started then runs; another one may have got its number."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < _CLOCK_SHIFT
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
