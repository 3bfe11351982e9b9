"""How everything is written: whole or not at all, and nothing that is there is replaced unasked.

A config, fix, report, data file or run directory (`directories`) is made in a private folder beside
its place (`staging`) and renamed to it when it is complete. ``--force`` allows to replace what is
there. Of a symbolic link, the target is written. A replaced file keeps its permissions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from homodyne_cli.errors import OutputError
from homodyne_cli.io.files.staging import clear_leftovers, staging_beside

_HINT: Final = "choose a place in a folder that exists and can be written to"


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the file system says in the block into an error about an output.

    Raises
    ------
    OutputError
    """
    try:
        yield
    except OSError as error:
        # HDF5 has messages of its own, half a page long.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OutputError(f"{path}: cannot be written: {reason}", hint=_HINT) from error


def refuse_existing(path: Path, *, force: bool, option: str = "-o") -> None:
    """Refuse to replace what is there unless `force` allows it.

    Parameters
    ----------
    option
        How another place is chosen.

    Raises
    ------
    OutputError
    """
    if not force and os.path.lexists(path):
        hint = f"choose another {option}, or --force to replace it"
        raise OutputError(f"{path}: already exists", hint=hint)


def first_free(names: Iterable[Path]) -> Path:
    """Return the first of endless names that nothing has."""
    return next(name for name in names if not os.path.lexists(name))


def check_file(path: Path, *, force: bool, option: str = "-o") -> None:
    """Refuse a file that exists or could not be written, before any work is done.

    Raises
    ------
    OutputError
        As `refuse_existing`; and if something else than a writable file is there, or its folder
        is missing or cannot be written to.
    """
    refuse_existing(path, force=force, option=option)
    with output_errors(path):
        target = Path(os.path.realpath(path))
        _status_of(target)
        folder = target.parent
        folder.stat()
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{path}: cannot be written: {folder} is read-only", hint=_HINT)


def _status_of(target: Path) -> os.stat_result | None:
    """Return the status of a file that may be replaced; None if there is none."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory, " * stat.S_ISDIR(status.st_mode)
        raise OutputError(f"{target}: {kind}not a regular file", hint="name a file")
    if not os.access(target, os.W_OK):
        # Renaming over it would succeed, against the wish of who made it read-only.
        raise OutputError(f"{target}: read-only", hint="make it writable, or choose another file")
    return status


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Yield where to make a file that gets its name when the block ends well.

    Raises
    ------
    OutputError
        As `check_file`, and if the block or the file system fails.
    """
    check_file(path, force=force)
    with output_errors(path):
        target = Path(os.path.realpath(path))
        status = _status_of(target)
        clear_leftovers(target.parent)
        with staging_beside(target.parent) as staging:
            made = staging.made / "file"
            yield made
            if status is not None:
                _inherit(made, status)
            if force:
                made.replace(target)
            else:
                _claim(made, target)


def write_file(path: Path, data: bytes, *, force: bool, mode: int | None = None) -> None:
    """Write a file so that at any moment it holds either its old content or the new.

    Parameters
    ----------
    path
        File to write; its folder must exist.
    data
        The whole content.
    force
        Replace what is there.
    mode
        Permissions of a new file; None for the user's defaults.

    Raises
    ------
    OutputError
        If it exists, is a directory or a device, is read-only, or cannot be written.
    """
    with new_file(path, force=force) as made:
        with made.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            made.chmod(mode)


def _inherit(made: Path, status: os.stat_result) -> None:
    """Give a file the owner and permissions of the one that it replaces, as far as one may."""
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(made, status.st_uid, status.st_gid)
    made.chmod(stat.S_IMODE(status.st_mode))


def _claim(made: Path, target: Path) -> None:
    """Give a file its name unless that has been taken meanwhile."""
    try:
        os.link(made, target)
    except FileExistsError:
        refuse_existing(target, force=False)
    except OSError:
        # No hard links here, as on FAT: hold the name with an empty file.
        target.touch(exist_ok=False)
        try:
            made.replace(target)
        except OSError:
            target.unlink()
            raise
