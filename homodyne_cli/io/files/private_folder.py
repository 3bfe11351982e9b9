"""A folder that nobody else can write to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from homodyne_cli.errors import OutputError

_OTHERS_WRITE = 0o022


def private_folder(path: Path) -> Path:
    """Return an absolute folder that only its owner can write to, made if need be.

    Raises
    ------
    OutputError
        It cannot be made, belongs to somebody else, or others can write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = path.stat()
    except OSError as error:
        raise OutputError(f"{path}: cannot be made: {error.strerror}") from error
    # Windows keeps the rights elsewhere and shows 0o777 for every folder; those of a new one are
    # inherited from the profile it lies in.
    if sys.platform != "win32":
        if state.st_uid != os.getuid():
            raise OutputError(
                f"{path}: belongs to somebody else, who can put into it what fits execute",
                hint="choose another folder",
            )
        if state.st_mode & _OTHERS_WRITE:
            raise OutputError(
                f"{path}: others can write to it, and with it into what fits execute",
                hint=f"chmod go-w {path}, or choose another folder",
            )
    return path.absolute()
