"""One row for each fit of a batch, kept beside the run directories, and the tables made of them.

A row stands in ``BATCH/rows/NAME.json`` with the fingerprint of what was fitted: the resolved
config, the data and the version of the program. A job whose fingerprint has a row is done.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from homodyne_cli.assessments import BatchRow
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.files.outputs import write_file

ROWS = "rows"

_ROW = TypeAdapter(BatchRow)


def save_row(folder: Path, row: BatchRow) -> None:
    """Keep a row.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    place = folder / ROWS / f"{row.name}.json"
    write_file(place, (to_json(row) + "\n").encode("utf-8"), force=True)


def load_row(folder: Path, name: str) -> BatchRow | None:
    """Return a row that was kept; None if there is none that can be read."""
    place = folder / ROWS / f"{name}.json"
    try:
        return _ROW.validate_json(place.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def kept_rows(folder: Path) -> tuple[BatchRow, ...]:
    """Return all rows of a batch, by name."""
    names = sorted(place.stem for place in (folder / ROWS).glob("*.json"))
    rows = (load_row(folder, name) for name in names)
    return tuple(row for row in rows if row is not None)


def json_table(rows: Sequence[BatchRow]) -> str:
    """Return the rows as one JSON list."""
    return to_json(list(rows)) + "\n"


def csv_table(rows: Sequence[BatchRow]) -> str:
    """Return the rows as CSV, one column per parameter, uncertainty and check."""
    parameters = list(dict.fromkeys(name for row in rows for name in row.parameters))
    checks = list(dict.fromkeys(name for row in rows for name in row.checks))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ["name", "file", "scan", "time", "q", "state", "verdict", "exit_code", "seconds"]
    figures = ["chi2", "reduced_chi2", "edm"]
    pairs = [f"{name}{suffix}" for name in parameters for suffix in ("", "_uncertainty")]
    writer.writerow([*head, *pairs, *figures, *(f"check_{name}" for name in checks), "error"])
    for row in rows:
        estimates = [row.parameters.get(name) for name in parameters]
        cells: list[object] = [getattr(row, name) for name in head]
        for estimate in estimates:
            cells += [estimate and estimate.value, estimate and estimate.uncertainty]
        cells += [getattr(row, name) for name in figures]
        cells += [row.checks.get(name) for name in checks]
        writer.writerow(["" if cell is None else cell for cell in (*cells, row.error)])
    return out.getvalue()
