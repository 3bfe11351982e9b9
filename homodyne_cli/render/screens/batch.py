"""What ``batch`` shows: what came out of every fit, first what needs attention."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from homodyne_cli.assessments import BatchRow
from homodyne_cli.render.console import make_console, print_next, print_sentence
from homodyne_cli.render.numbers import MISSING, format_number
from homodyne_cli.render.table_shapes import plain_table
from homodyne_cli.render.tables_checks import BATCH_VERDICTS, verdict_counts

#: Rows of a table that a person reads; those that need attention come first.
_SHOWN = 40


def show_batch(rows: Sequence[BatchRow], table: Path, overview: Path) -> None:
    """Print the table, where it lies, and what to do about fits that failed."""
    console = make_console()
    console.print(_batch_table(rows))
    print_sentence(console, f"Tables: {table} (also .json); overview: {overview}")
    if any(row.state == "failed" for row in rows):
        print_sentence(console, "Next: put right what failed, then the same command again "
                                "(--retry-failed where config and data are the same).")  # fmt: skip
    elif rows:
        first = _ordered(rows)[0]
        print_next(
            console, "show" if first.verdict == "pass" else "verify", table.parent / first.name
        )


def _ordered(rows: Sequence[BatchRow]) -> list[BatchRow]:
    """Return those that need attention first."""
    return sorted(rows, key=lambda row: (list(BATCH_VERDICTS).index(row.verdict), row.name))


def _batch_table(rows: Sequence[BatchRow]) -> Table:
    """Return one line for each fit, those that need attention first."""
    ordered = _ordered(rows)
    columns = ("fit", "verdict", "reduced chi2", "what")
    table = plain_table(verdict_counts(rows), *columns, right=("reduced chi2",), words=("what",))
    for row in ordered[:_SHOWN]:
        bad = [name for name, status in row.checks.items() if status in ("warn", "fail")]
        chi2 = MISSING if row.reduced_chi2 is None else format_number(row.reduced_chi2, 4)
        verdict = "no fit" if row.verdict == "failed" else row.verdict
        table.add_row(row.name, verdict, chi2, row.error.partition(" (")[0] or ", ".join(bad))
    if len(rows) > _SHOWN:
        table.add_row(f"and {len(rows) - _SHOWN} more", "", "", "")
    return table
