"""``homodyne rerun``: a run fitted again from its manifest, and what is different."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import data_files
from homodyne_cli.cli.options.shared import (
    AsJson,
    Force,
    MemorySize,
    NoPlots,
    Quiet,
    RunDirectory,
    memory_budget,
    refuse_needless_force,
    settings_of,
)
from homodyne_cli.errors import DataError, ExitCode, UsageError

if TYPE_CHECKING:
    from homodyne_cli.assessments import SavedFit
    from homodyne_cli.problem import Config


@dataclass(frozen=True)
class RerunRequest:
    """Fit a run again from what it says of itself, and say what is different.

    Ends with 1 if the data are others than they were, or a parameter is off by more than 0.01 of
    its uncertainty.

    Example: homodyne rerun run1
    """

    run: RunDirectory
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Run directory to keep the new fit in."),
    ] = None
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Where the data file is now.", autocompletion=data_files),
    ] = None
    memory: MemorySize = None
    as_json: AsJson = False
    no_plots: NoPlots = False
    force: Force = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")
        if self.no_plots and self.output is None:
            raise UsageError("--no-plots: there are none without -o", hint="leave it out")


def run_rerun(request: RerunRequest) -> int:
    """Fit again; return 1 if the run was not reproduced.

    The run holds the config that was fitted, complete, so that neither the user's file nor the
    command line is needed; which parameters are profiled follows from the result.
    """
    from homodyne_cli.flow import make_run
    from homodyne_cli.io.run.read_result import read_result
    from homodyne_cli.render.console import make_console, print_json, print_next, print_note
    from homodyne_cli.render.progress import FitProgress
    from homodyne_cli.render.reproduction import files_now, reproduction
    from homodyne_cli.render.screens.rerun import rerun_answer, show_rerun

    notes, console = make_console(stderr=True), make_console()
    memory = None if request.memory is None else memory_budget(request.memory).budget
    saved = read_result(request.run)
    config = _fitted_config(request, saved)
    files = files_now(saved, len(config.selection.paths), request.data)
    with ExitStack() as held:
        place = request.output or _place_not_kept(held)
        with FitProgress(notes, enabled=not request.quiet, show_input=lambda _: None) as progress:
            made = make_run(
                config, place, force=request.force, memory=memory,
                profiled=tuple(p.name for p in saved.result.profiles),
                plots=request.output is not None and not request.no_plots,
                command_line=tuple(sys.argv), watch=progress, interruptible=True,
            )  # fmt: skip
        if made.unsaved is not None:
            raise made.unsaved
        if made.result.interrupted:
            return ExitCode.INTERRUPTED
        fresh = read_result(made.directory or place)
        kept_in = made.directory if request.output is not None else None
        compared = reproduction(saved, fresh, files, kept_in)
    if request.as_json:
        print_json(rerun_answer(compared))
    else:
        show_rerun(console, compared)
        if kept_in is not None:
            print_next(console, "compare", request.run, kept_in)
    for note in () if request.quiet else made.notes:
        print_note(notes, note)
    return ExitCode.GOOD if compared.reproduced else ExitCode.NEGATIVE


def _fitted_config(request: RerunRequest, saved: SavedFit) -> Config:
    """Return what was fitted, with the data where they are now."""
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.run.read_run import find_run

    folder = find_run(request.run)
    if not saved.origin.inputs or not folder.holds("config.yaml"):
        raise DataError(
            "does not say how it was made: it has no manifest.json or no config.yaml",
            path=request.run,
            hint="only runs of this program can be fitted again",
        )
    path = folder.file("config.yaml")
    config = load_config(path, settings_of(None, request.data))
    n_data = len(load_config(path).selection.paths)
    if request.data is not None and n_data > 1:
        raise UsageError(
            f"--data {request.data}: the run was fitted to {n_data} files",
            hint="put them back where they were",
        )
    return config


def _place_not_kept(held: ExitStack) -> Path:
    """Return where a run can be written that is gone when `held` is closed."""
    from homodyne_cli.io.files.outputs import output_errors
    from homodyne_cli.io.files.staging import staging_beside

    folder = Path(tempfile.gettempdir())
    with output_errors(folder):
        return held.enter_context(staging_beside(folder)).made / "run"
