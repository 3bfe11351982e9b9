"""The files of a batch that hold all of its fits: CSV, JSON, and the overview."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from homodyne_cli.assessments import BatchRow
from homodyne_cli.batch.fitting import report_page_of
from homodyne_cli.batch.rows import csv_table, json_table
from homodyne_cli.io.files.outputs import write_file
from homodyne_cli.render.pages.batch_page import batch_page

TABLE, JSON_TABLE, OVERVIEW = "results.csv", "results.json", "index.html"


def write_tables(folder: Path, rows: Sequence[BatchRow]) -> None:
    """Write the tables and the overview of a batch, in place of those that are there.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    pages = {row.name: report_page_of(folder, row.name) for row in rows}
    reports = {name: page.name for name, page in pages.items() if page.is_file()}
    texts = {
        TABLE: csv_table(rows),
        JSON_TABLE: json_table(rows),
        OVERVIEW: batch_page(rows, f"homodyne batch: {folder.name}", reports),
    }
    for name, text in texts.items():
        write_file(folder / name, text.encode("utf-8", "backslashreplace"), force=True)
