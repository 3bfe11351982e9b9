"""One fit from end to end: config and file -> Dataset -> minimum -> FitResult -> run directory.

``homodyne fit`` and every job of ``homodyne batch`` are this function.

What is heavy is imported inside: meanwhile a process of its own tries the data file, and a process
of a batch has its share of the cores before JAX counts them.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import OutputError
from homodyne_cli.io.files.interrupts import Interruption, interruption
from homodyne_cli.problem import Config
from homodyne_cli.results import FitResult, IterationRecord, OnPhase, Phase, Seconds, unfollowed


class Watch(Protocol):
    """Who is told how far a fit is."""

    def on_load(self, done: int, total: int) -> None:
        """Take the number of maps read and to read."""

    def on_input(self, dataset: Dataset) -> None:
        """Take what is going to be fitted, with what is doubtful in it."""

    def on_iteration(self, record: IterationRecord) -> None:
        """Take the start and every accepted step."""

    def on_phase(self, phase: Phase, done: int, total: int) -> None:
        """Take what is done between the steps, and how much of how much; 0 of 0: unknown."""


@dataclass(frozen=True)
class MadeRun:
    """A fit and its run directory.

    Attributes
    ----------
    directory
        Where it was put: the place asked for, or one beside it that a note tells; None if it could
        not be written.
    dataset
        What was fitted; its maps may be gone from the disk.
    unsaved
        Why it could not be written. The result is there all the same: it may have taken hours.
    """

    directory: Path | None
    dataset: Dataset
    result: FitResult
    seconds: Seconds
    notes: tuple[str, ...]
    unsaved: OutputError | None


def _on_step(signals: Interruption, watch: Watch | None, record: IterationRecord) -> None:
    if watch is not None:
        watch.on_iteration(record)
    signals.step()


def make_run(
    config: Config,
    target: Path,
    *,
    force: bool = False,
    memory: int | None = None,
    profiled: tuple[str, ...] = (),
    plots: bool = True,
    command_line: tuple[str, ...] = (),
    watch: Watch | None = None,
    interruptible: bool = False,
    started: float | None = None,
) -> MadeRun:
    """Fit what a config asks for and write the run directory.

    Parameters
    ----------
    target
        Where the run directory goes.
    force
        Replace a run directory that is there.
    memory
        Bytes to stay within; larger maps are streamed from disk. None: a quarter of the machine's.
    profiled
        Parameters that get profile-likelihood intervals.
    plots
        Draw pictures of the maps and curves.
    command_line
        What the manifest names as the command.
    interruptible
        A signal during the fit ends it at the best point so far, which is saved; another one ends
        the process.
    started
        When the time that loading takes began, by `time.perf_counter`; None: now.

    Raises
    ------
    HomodyneError
        The data, the config or the place cannot be used, or there is nothing to fit. What goes
        wrong after the fit is in `MadeRun.unsaved` instead.
    """
    started = time.perf_counter() if started is None else started
    with ExitStack() as held:
        from homodyne_cli.io.maps.trial import trials_reading

        wait_for_trial = held.enter_context(trials_reading(config.selection.paths))
        from homodyne_cli.core.gram_pass.passes import import_ahead
        from homodyne_cli.core.inputs.examine import examined
        from homodyne_cli.core.judged_fit import judged_fit
        from homodyne_cli.core.numerics.usage import FitClock
        from homodyne_cli.core.uncertainty.profile_likelihood import check_profiled
        from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
        from homodyne_cli.io.maps.read_data import open_dataset
        from homodyne_cli.io.run.save_run import new_run, save_run, with_noise_source
        from homodyne_cli.render.screens.fit import draw_pictures

        problem, selection = config.problem, config.selection
        check_profiled(problem, profiled)
        run = held.enter_context(new_run(target, force=force))
        clock = FitClock(started)
        wait_for_trial()
        budget = MemoryBudget(memory or budget_of(None), run.scratch)
        on_load, on_size = watch.on_load if watch else unfollowed, partial(import_ahead, problem)
        maps = open_dataset(selection, problem.mode, on_load, budget, on_size)
        dataset = examined(held.enter_context(maps), problem)
        if watch is not None:
            watch.on_input(dataset)
        clock.has_loaded()
        # Inside of what the run directory puts in front of a signal, which takes it away.
        signals = held.enter_context(interruption()) if interruptible else Interruption()
        on_step = partial(_on_step, signals, watch)
        on_phase: OnPhase = watch.on_phase if watch else unfollowed
        result, dataset = judged_fit(dataset, problem, profiled, on_step, on_phase)
        signals.awaited = False
        clock.has_fitted()
        on_phase("saving", 0, 0)
        dataset = with_noise_source(dataset, result)
        unsaved, draw = None, partial(draw_pictures, on_page=partial(on_phase, "pictures"))
        try:
            save_run(
                run, config, dataset, result, clock.seconds,
                command_line=command_line, draw=draw if plots else None,
            )  # fmt: skip
        except OutputError as error:
            unsaved = error
        where = run.target if unsaved is None else None
        return MadeRun(where, dataset, result, clock.seconds(), tuple(run.notes), unsaved)
