"""Whether a data file is there, asked before anything that could read it is imported."""

from __future__ import annotations

from pathlib import Path

from homodyne_cli.errors import DataError, resembling
from homodyne_cli.findings.codes import Code


def no_file(path: Path) -> DataError:
    """Return the error for a data file that is not there."""
    return DataError(
        "no such file",
        path=path,
        code=Code.NO_FILE,
        hint=resembling(path, "correct experimental_data.file_path (relative to the config file)"),
    )


def refuse_missing(path: Path) -> None:
    """Raise `DataError` if there is no such file."""
    try:
        path.stat()
    except FileNotFoundError as error:
        raise no_file(path) from error
    except OSError:
        # Who opens it says why it cannot be.
        return
