"""Where files and folders are made before they get their names.

What is written is made in a private hidden folder beside its final place, ``.homodyne-XXXXXXXX``:

    lock.json   who made it: pid, host, start of the process; locked while that process lives
    made/       what is being made
    old/NAME    what NAME held, between the two renames that replace a folder

A finished file or folder is renamed to its place. The folder goes when the block that made it ends,
by a signal as well. Of a process that was killed it stays: the next command that writes there finds
its lock free and removes it, and puts an ``old/NAME`` back if there is no NAME. Folders of other
hosts, whose processes cannot be seen, are left alone.
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

from homodyne_cli.io.files.interrupts import on_interrupt

_PREFIX: Final = ".homodyne-"
_LOCK: Final = "lock.json"

if sys.platform == "win32":
    import msvcrt

    def _take(lock: TextIO) -> bool:
        """Lock a file for as long as it is open; False if another process has it."""
        # A lock is mandatory here: it lies behind the text, which others may read.
        lock.seek(1 << 20)
        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        lock.seek(0)
        return True

    def _runs(pid: int, started: object) -> bool:
        """Whether a process runs: not known here, where the lock alone decides."""
        return False

    def _is_mine(state: os.stat_result) -> bool:
        """Whether a folder is this user's: here others' cannot be removed anyway."""
        return True
else:
    import fcntl

    def _take(lock: TextIO) -> bool:
        """Lock a file for as long as it is open; False if another process has it."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # Some network file systems have no locks: there the pid alone decides.
            return True
        return True

    def _runs(pid: int, started: object) -> bool:
        """Whether the process that started then runs; another one may have got its number."""
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            pass
        now = _start_of(pid)
        return None in (started, now) or started == now

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
            if not _take(lock):
                lock.close()
                continue
            owner = {"pid": os.getpid(), "host": node(), "started": _start_of(os.getpid())}
            lock.write(json.dumps(owner))
            lock.flush()
            (folder / "made").mkdir()
        except FileNotFoundError:
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
        if _take(lock) and _is_dead(lock.read()):
            back = Staging(folder).dissolve(lock)
            yield f"removed {folder}, left by a process that was killed"
            yield from (f"{target} was being replaced then; it is back" for target in back)


def _is_dead(signature: str) -> bool:
    """Whether the process whose lock is free is dead, or died before it could sign."""
    if not signature:
        return True
    try:
        owner = json.loads(signature)
        pid, host, started = owner["pid"], owner["host"], owner["started"]
    except (ValueError, TypeError, KeyError):
        return False
    return host == node() and isinstance(pid, int) and not _runs(pid, started)


def _start_of(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None where that cannot be seen."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, UnicodeDecodeError):
        return None
