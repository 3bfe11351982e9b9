"""How far a command is, on stderr: the maps read, the steps of a fit, the fits of a batch."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from homodyne_cli.assessments import BatchRow
from homodyne_cli.core.minimise.policy import EDM_CONVERGED
from homodyne_cli.dataset import Dataset
from homodyne_cli.render.console import print_plain
from homodyne_cli.render.numbers import format_number, format_seconds
from homodyne_cli.results import IterationRecord, Phase

#: Seconds between two lines where there is no terminal to draw a bar on.
_EVERY = 5.0
#: Columns from which on there is room for a bar beside the words.
_WIDE = 100
ASSUMPTIONS = "asking whether the model's assumptions hold"
#: What is said of a phase; how much of it is done follows.
_PHASES: Mapping[Phase, str] = {
    "search": "fit: starts tried",
    "noise": "fit: looking at the noise that it leaves",
    "weights": "fit: covariance of the noise",
    "profile": "profiles followed",
    "assumptions": ASSUMPTIONS,
    "saving": "writing the run directory",
    "pictures": "writing pictures: drawn",
}
#: What is counted where the words above do not say it.
_COUNTED: Mapping[Phase, str] = {"assumptions": ": maps"}


class _Bar:
    """Something that moves on a terminal while a block runs, and is gone after it."""

    def __init__(self, console: Console, enabled: bool, *columns: ProgressColumn) -> None:
        self._progress = Progress(
            *columns,
            console=console,
            transient=True,
            disable=not (enabled and console.is_terminal),
        )

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


class _TellingBar(_Bar):
    """Off a terminal a plain line every few seconds, from a thread of its own.

    What takes a while may do so without telling anybody.
    """

    def __init__(self, console: Console, enabled: bool, doing: str) -> None:
        # What does not fit into a line goes on in the next: its end is the time left.
        text = TextColumn(
            "{task.description}", markup=False, table_column=Column(overflow="fold", no_wrap=False)
        )
        bar = (BarColumn(bar_width=10),) if console.width >= _WIDE else ()
        super().__init__(console, enabled, SpinnerColumn("line"), text, *bar, TimeElapsedColumn())
        self._console, self._plain = console, enabled and not console.is_terminal
        self._doing, self._began, self._ended = doing, time.monotonic(), threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        if self._plain:
            self._teller.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        super().__exit__(kind, error, trace)

    def _tell(self) -> None:
        while not self._ended.wait(_EVERY):
            spent = format_seconds(time.monotonic() - self._began)
            print_plain(self._console, f"{self._doing} ({spent})")


class StepsProgress(_TellingBar):
    """What a command is doing that has nothing to show yet."""

    def __init__(self, console: Console, doing: str) -> None:
        super().__init__(console, True, doing)
        self._task = self._progress.add_task(doing, total=None)

    def show(self, doing: str, done: int = 0, total: int = 0) -> None:
        """Show what is being done, and how much of it is if that is counted."""
        self._doing = f"{doing} {done} of {total}" if total else doing
        self._progress.update(self._task, description=self._doing)


class FitProgress(_TellingBar):
    """A bar for loading, then a line with iteration, chi2 and EDM."""

    def __init__(
        self, console: Console, *, enabled: bool, show_input: Callable[[Dataset], None]
    ) -> None:
        super().__init__(console, enabled, "reading maps")
        self._show_input = show_input
        self._phase: Phase | None = None
        self._phase_began, self._phase_done = time.monotonic(), 0
        self._step: IterationRecord | None = None
        self._weights = ""
        self._load = self._progress.add_task("reading maps", total=None, visible=False)
        self._fit = self._progress.add_task("fit", start=False, total=None, visible=False)

    def _show(self, doing: str, done: int = 0, total: int = 0) -> None:
        self._doing = doing
        task = self._progress.tasks[self._fit]
        if total or task.total is not None:
            # A bar that fills where a count is known, and moves to and fro elsewhere.
            task.total, task.completed = total or None, done
        self._progress.update(self._fit, visible=True, description=doing)

    def on_load(self, done: int, total: int) -> None:
        """Show how many maps are read."""
        self._doing = f"reading maps {done}/{total}{_left(self._began, done, total)}"
        self._progress.update(
            self._load,
            completed=done,
            total=total,
            visible=done < total,
            description=self._doing,
        )
        if done == total:
            self._progress.start_task(self._fit)
            self._show("fit: looking for a start")

    def on_input(self, dataset: Dataset) -> None:
        """Show what is going to be fitted; a bar would take it to its own stream."""
        if self._progress.disable:
            self._show_input(dataset)
            return
        self._progress.stop()
        self._show_input(dataset)
        self._progress.start()

    def on_phase(self, phase: Phase, done: int, total: int) -> None:
        """Show what is done between the steps; the first start has the compiler in it."""
        now = time.monotonic()
        if phase != self._phase or done <= self._phase_done:
            self._phase, self._phase_began, self._phase_done = phase, now, done
        words = _PHASES[phase]
        self._weights = f", covariance {done} of at most {total}" if phase == "weights" else ""
        if phase == "weights":
            # How often it is taken before the answer stands still, and so the rest, is not known.
            words = f"{words} taken, {done} of at most {total} times"
        elif phase == "search" and done == total:
            words = f"fit: {total} starts tried, going on from the best"
        elif total:
            rest = done - self._phase_done, total - self._phase_done
            counted = f"{words}{_COUNTED.get(phase, '')}"
            words = f"{counted} {done} of {total}{_left(self._phase_began, *rest)}"
        self._show(words, done, total)

    def on_iteration(self, record: IterationRecord) -> None:
        """Show the last accepted step, and how long the rest takes if the EDM falls as it does."""
        before, self._step = self._step, record
        self._show(
            f"fit: iteration {record.iteration}, chi2 {format_number(record.chi2, 8)}, "
            f"EDM {format_number(record.edm, 3)}{self._weights}{_descent_left(before, record)}"
        )


def _descent_left(before: IterationRecord | None, record: IterationRecord) -> str:
    """Say how long a descent takes to its end; nothing where its EDM does not tell."""
    if before is None or not 0.0 < EDM_CONVERGED < record.edm < 0.5 * before.edm:
        return ""
    steps = math.log(record.edm / EDM_CONVERGED) / math.log(before.edm / record.edm)
    each = record.seconds - before.seconds
    return _about(math.ceil(steps) * each) if each > 0.0 else ""


def _left(began: float, done: int, total: int) -> str:
    """Say how long the rest takes if it goes on as it did; nothing where that is not known."""
    if not 0 < done < total:
        return ""
    rest = (time.monotonic() - began) / done * (total - done)
    return _about(rest)


def _about(seconds: float) -> str:
    """Say how long the rest takes, to whole seconds: more is not known."""
    whole = max(round(seconds), 1)
    return f", about {f'{whole} s' if whole < 120 else format_seconds(whole)} left"


class BatchProgress(_Bar):
    """A bar on a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, console: Console, left: int, done: int, *, enabled: bool) -> None:
        text = TextColumn("{task.description}", markup=False)
        bar, count = BarColumn(bar_width=20), MofNCompleteColumn()
        super().__init__(console, enabled, text, bar, count, TimeRemainingColumn())
        self._console, self._enabled, self._left = console, enabled, left
        self._done = self._failed = 0
        self._began = self._told = time.monotonic()
        self._task = self._progress.add_task("fits", total=left)
        if enabled and done:
            print_plain(console, f"{done} fits are done already")

    def on_row(self, row: BatchRow) -> None:
        """Show that a fit is done."""
        self._done += 1
        self._failed += row.state == "failed"
        failed = f", {self._failed} failed" if self._failed else ""
        self._progress.update(self._task, completed=self._done, description=f"fits{failed}")
        now = time.monotonic()
        if not self._enabled or self._console.is_terminal or now - self._told < _EVERY:
            return
        self._told = now
        left = _left(self._began, self._done, self._left)
        print_plain(
            self._console,
            f"{self._done} of {self._left} fits{failed}{left}",
        )
