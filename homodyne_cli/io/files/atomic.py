"""Replace a file as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from homodyne_cli.errors import OutputError

_NEW_FILE = 0o666


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file so that at any moment it holds either its old content or the new.

    The new content goes to a sibling that is then renamed. An existing file keeps its
    permissions; of a symbolic link, the target is replaced.

    Parameters
    ----------
    path
        File to write; its directory must exist.
    data
        The whole content.

    Raises
    ------
    OutputError
        If it is a directory or a device, is read-only, or cannot be written.
    """
    try:
        target = path.resolve()
        mode = _mode_of(target)
        _replace(target, data, mode)
    except (OSError, RuntimeError) as error:
        # A loop of symbolic links is a RuntimeError until Python 3.13.
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"{path}: cannot be written: {reason}",
            hint="name a file in a directory that exists and can be written to",
        ) from error


def write_new(path: Path, data: bytes, *, mode: int) -> bool:
    """Write a file with permissions `mode` unless the name is taken; tell whether it was free.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        _create(path, data, mode)
    except FileExistsError:
        return False
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path}: cannot be written: {reason}") from error
    return True


def _mode_of(target: Path) -> int | None:
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{target}: not a regular file", hint="name a file")
    if not os.access(target, os.W_OK):
        # Renaming over it would succeed, against the wish of who made it read-only.
        raise OutputError(f"{target}: read-only", hint="make it writable, or choose another file")
    return stat.S_IMODE(status.st_mode)


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        _create(partial, data, mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _create(path: Path, data: bytes, mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # Nobody may read a private file while it is being written; a new one follows the umask.
    descriptor = os.open(path, flags, _NEW_FILE if mode is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            path.chmod(mode)
    except OSError:
        path.unlink(missing_ok=True)
        raise
