"""``homodyne fit``: config and data file -> run directory and tables."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import configs, parameter_names, run_directories
from homodyne_cli.cli.options.shared import (
    AsJson,
    ConfigFile,
    DataFile,
    Force,
    MemorySize,
    NoPlots,
    Overrides,
    Quiet,
    comma_separated,
    keep_compiled_in,
    memory_budget,
    refuse_missing_data,
    refuse_repeats,
    settings_of,
)
from homodyne_cli.errors import ConfigError, ExitCode, UsageError
from homodyne_cli.parameters import XScaleMode

if TYPE_CHECKING:
    from homodyne_cli.dataset import Dataset
    from homodyne_cli.flow import MadeRun
    from homodyne_cli.problem import Config

DEFAULT_OUTPUT = "homodyne_results"


@dataclass(frozen=True)
class FitRequest:
    """Fit the model to two-time correlation maps and write a run directory.

    Example: homodyne fit config.yaml -o run1 --set analyzer_parameters.end_frame=500
    """

    config: ConfigFile
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Run directory to write.")
    ] = None
    override: Overrides = None
    data: DataFile = None
    x_scale: Annotated[
        XScaleMode | None, typer.Option("--x-scale", help="How parameters are scaled.")
    ] = None
    truth: Annotated[
        Path | None,
        typer.Option(
            help="Config whose initial values are the truth, shown beside the fit.",
            autocompletion=configs,
        ),
    ] = None
    global_search: Annotated[
        bool | None,
        typer.Option(
            "--global/--no-global",
            help="Search for the best minimum first, or go down from the start values alone.",
            show_default=False,
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Profile-likelihood intervals of these parameters.",
            autocompletion=parameter_names,
        ),
    ] = None
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN_DIR",
            help="Begin where this run ended, without a search.",
            autocompletion=run_directories,
        ),
    ] = None
    each: Annotated[
        bool,
        typer.Option(
            "--each", help="Fit rings (or repeats) one by one, OUTPUT_q0.0054 ..., and compare."
        ),
    ] = False
    compile_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep compiled code of large fits there, so that later ones start faster.",
        ),
    ] = None
    memory: MemorySize = None
    as_json: AsJson = False
    no_plots: NoPlots = False
    force: Force = False
    quiet: Quiet = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List config keys that have no effect here.")
    ] = False

    def __post_init__(self) -> None:
        """Refuse options of which only one could act."""
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other", hint="keep one of them")
        if self.resume is not None and self.global_search:
            raise UsageError("--resume and --global exclude each other", hint="keep one of them")
        if self.each and self.resume is not None:
            raise UsageError("--resume and --each exclude each other", hint="keep one of them")
        refuse_repeats(self.overrides)

    @property
    def overrides(self) -> tuple[str, ...]:
        """The config keys that ``--set`` and other options set."""
        nlsq, settings = "optimization.nlsq", list(settings_of(self.override, self.data))
        if self.x_scale is not None:
            settings.append(f"{nlsq}.x_scale={self.x_scale}")
        if self.global_search is not None:
            settings.append(f"{nlsq}.global_search={str(self.global_search).lower()}")
        return tuple(settings)


def run_fit(request: FitRequest) -> int:
    """Fit, write the run directory, show the result; return the exit code."""
    started = time.perf_counter()
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.render.console import make_console, print_note, print_plain

    settings = request.overrides
    if request.resume is not None:
        settings += _resumed(request.resume)
        refuse_repeats(settings)
    config = load_config(request.config, settings)
    truth = None if request.truth is None else _truth(request.truth)
    profiled = () if request.profile is None else comma_separated(request.profile)
    memory = None if request.memory is None else memory_budget(request.memory).budget
    if request.compile_cache is not None:
        keep_compiled_in(request.compile_cache)
    notes = make_console(stderr=True)
    if config.unused_keys and not request.quiet:
        print_plain(notes, _unused_keys_note(config.unused_keys, listed=request.verbose))
    refuse_missing_data(config.selection.paths)
    from homodyne_cli.flow import make_run
    from homodyne_cli.render.progress import FitProgress

    shown = partial(_show_input, request)
    target = request.output or config.output_directory or Path(DEFAULT_OUTPUT)

    def fit_to(config: Config, target: Path, *, started: float) -> MadeRun:
        with FitProgress(notes, enabled=not request.quiet, show_input=shown) as progress:
            return make_run(
                config, target, force=request.force, memory=memory, profiled=profiled,
                plots=not request.no_plots, command_line=tuple(sys.argv), watch=progress,
                interruptible=True, started=started,
            )  # fmt: skip

    if request.each:
        from homodyne_cli.cli.options.parts import fit_each

        words = request.config, request.overrides
        return fit_each(words, config, target, fit_to, truth, as_json=request.as_json)
    made = fit_to(config, target, started=started)
    _show(request, made, truth)
    for note in () if request.quiet else made.notes:
        print_note(notes, note)
    if made.unsaved is not None:
        raise made.unsaved
    if made.result.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.GOOD if made.result.converged else ExitCode.NEGATIVE


def _resumed(run: Path) -> tuple[str, ...]:
    """Return the config keys that let a fit go on from where a run ended."""
    from homodyne_cli.io.run.read_result import read_result

    values = {p.name: p.value for p in read_result(run).result.parameters}
    start = f"initial_parameters.values={json.dumps(values)}"
    return start, "optimization.nlsq.global_search=false"


def _show_input(request: FitRequest, dataset: Dataset) -> None:
    from homodyne_cli.render.console import make_console
    from homodyne_cli.render.findings import print_findings
    from homodyne_cli.render.screens.inputs import show_input

    # The first of what refuses a fit becomes the command's error.
    findings = list(dataset.findings or ())
    if findings and findings[0].severity == "error":
        del findings[0]
    if not request.as_json:
        show_input(make_console(), replace(dataset, findings=tuple(findings)))
    elif not request.quiet:
        print_findings(make_console(stderr=True), findings)


def _show(request: FitRequest, made: MadeRun, truth: Mapping[str, float] | None) -> None:
    from homodyne_cli.render.console import error_answer, print_json
    from homodyne_cli.render.screens.fit import fit_answer, show_fit

    shown = made.directory, made.dataset, made.result, made.seconds, truth
    if request.as_json:
        answer = fit_answer(*shown)
        if made.unsaved is not None:
            answer["error"] = error_answer(made.unsaved)
            made.unsaved.answered = True
        print_json(answer)
    else:
        show_fit(*shown, plots=not request.no_plots)


def _unused_keys_note(keys: tuple[str, ...], *, listed: bool) -> str:
    """Say how many keys of a config have no effect here, and which."""
    which = ":\n  " + "\n  ".join(keys) if listed else " (-v lists them)"
    return f"Without effect here: {len(keys)} of the config's keys{which}"


def _truth(path: Path) -> Mapping[str, float]:
    from homodyne_cli.io.config.load import load_config

    values = load_config(path).problem.initial.values
    if values is None:
        raise ConfigError(f"{path}: has no initial_parameters.values to show as the truth")
    return values
