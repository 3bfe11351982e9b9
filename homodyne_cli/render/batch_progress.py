"""What ``batch`` shows: how far it is, and a table of what came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from homodyne_cli.assessments import BatchRow
from homodyne_cli.render.console import print_plain
from homodyne_cli.render.numbers import MISSING, format_number, format_seconds
from homodyne_cli.render.table_shapes import plain_table

#: Seconds between two lines where there is no terminal to draw a bar on.
_EVERY = 5.0
#: Rows of a table that a person reads; those that need attention come first.
_SHOWN = 40
_ORDER = ("failed", "fail", "warn", "pass")


class BatchProgress:
    """A bar on a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, console: Console, left: int, done: int, *, enabled: bool) -> None:
        self._console, self._enabled = console, enabled
        self._left, self._skipped = left, done
        self._done = self._failed = 0
        self._began = self._told = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (enabled and console.is_terminal),
        )
        self._task = self._bar.add_task("fits", total=left)

    def __enter__(self) -> Self:
        if self._enabled and self._skipped:
            print_plain(self._console, f"{self._skipped} fits are done already")
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def on_row(self, row: BatchRow) -> None:
        """Show that a fit is done."""
        self._done += 1
        self._failed += row.state == "failed"
        failed = f", {self._failed} failed" if self._failed else ""
        self._bar.update(self._task, completed=self._done, description=f"fits{failed}")
        now = time.monotonic()
        if not self._enabled or self._console.is_terminal or now - self._told < _EVERY:
            return
        self._told = now
        rest = (now - self._began) / self._done * (self._left - self._done)
        print_plain(
            self._console,
            f"{self._done} of {self._left} fits{failed}, about {format_seconds(rest)} left",
        )


def batch_table(rows: Sequence[BatchRow]) -> Table:
    """Return one line for each fit, those that need attention first."""
    ordered = sorted(rows, key=lambda row: (_ORDER.index(row.verdict), row.name))
    counts = ", ".join(
        f"{sum(row.verdict == verdict for row in rows)} {verdict}"
        for verdict in _ORDER
        if any(row.verdict == verdict for row in rows)
    )
    title = f"{len(rows)} fits: {counts or 'none'}"
    columns = ("fit", "verdict", "reduced chi2", "what")
    table = plain_table(title, *columns, right=("reduced chi2",), words=("what",))
    for row in ordered[:_SHOWN]:
        bad = [name for name, status in row.checks.items() if status in ("warn", "fail")]
        chi2 = MISSING if row.reduced_chi2 is None else format_number(row.reduced_chi2, 4)
        table.add_row(row.name, row.verdict, chi2, row.error.partition(" (")[0] or ", ".join(bad))
    if len(rows) > _SHOWN:
        table.add_row(f"and {len(rows) - _SHOWN} more", "", "", "")
    return table
