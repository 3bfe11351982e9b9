"""Progress on stderr while a file is read and a fit runs."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from homodyne_cli.dataset import Dataset
from homodyne_cli.render.numbers import format_number
from homodyne_cli.results import IterationRecord


class FitProgress:
    """A bar for loading, then a line with iteration, chi2 and EDM; silent off a terminal."""

    def __init__(
        self, console: Console, *, enabled: bool, show_input: Callable[[Dataset], None]
    ) -> None:
        self._show_input = show_input
        self._progress = Progress(
            SpinnerColumn("line"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not (enabled and console.is_terminal),
        )
        self._load = self._progress.add_task("reading maps", total=None, visible=False)
        self._fit = self._progress.add_task("fit", start=False, total=None, visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._progress.disable:
            # Older releases of rich end even a bar that was never shown with a blank line.
            self._progress.stop()

    def on_load(self, done: int, total: int) -> None:
        """Show how many maps are read."""
        self._progress.update(
            self._load,
            completed=done,
            total=total,
            visible=done < total,
            description=f"reading maps {done}/{total}",
        )
        if done == total:
            self._progress.start_task(self._fit)
            self._progress.update(self._fit, visible=True, description="fit: looking for a start")

    def on_input(self, dataset: Dataset) -> None:
        """Show what is going to be fitted; a bar would take it to its own stream."""
        if self._progress.disable:
            self._show_input(dataset)
            return
        self._progress.stop()
        self._show_input(dataset)
        self._progress.start()

    def on_iteration(self, record: IterationRecord) -> None:
        """Show the last accepted step."""
        self._progress.update(
            self._fit,
            visible=True,
            description=(
                f"fit: iteration {record.iteration}, chi2 {format_number(record.chi2, 8)}, "
                f"EDM {format_number(record.edm, 3)}"
            ),
        )
