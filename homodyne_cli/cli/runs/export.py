"""``homodyne export``: a fit in the formats of other programs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from homodyne_cli.cli.options.shared import (
    Force,
    GapConfig,
    RunDirectory,
    configured_gap,
    refuse_needless_force,
)
from homodyne_cli.errors import UsageError

_SUFFIXES = {"npz": ".npz", "nexus": ".nxs"}


@dataclass(frozen=True)
class ExportRequest:
    """Write a fit as CSV, JSON or LaTeX, or with its maps as npz (homodyne 2.x) or NeXus (NXfit).

    Example: homodyne export run1 --format latex -o table.tex
    """

    run: RunDirectory
    format: Annotated[
        Literal["csv", "json", "npz", "nexus", "latex"], typer.Option(help="What to write.")
    ] = "csv"
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; without it text is printed."),
    ] = None
    config: GapConfig = None
    force: Force = False

    def __post_init__(self) -> None:
        """Refuse options that would not act, and maps in a terminal."""
        refuse_needless_force(self.force, self.output, "-o")
        if self.format in _SUFFIXES and self.output is None:
            raise UsageError(
                f"--format {self.format}: maps are not printed",
                hint=f"name a file: -o fit{_SUFFIXES[self.format]}",
            )


def run_export(request: ExportRequest) -> int:
    """Write or print a fit."""
    from homodyne_cli.io.run.read_run import read_run, trial_of_runs

    tried = [request.run] if request.format in _SUFFIXES else []
    with trial_of_runs(*tried) as wait_for_trial:
        from homodyne_cli.io.files.outputs import check_file, new_file, write_file
        from homodyne_cli.io.run.read_result import read_result
        from homodyne_cli.render.console import make_console, print_sentence
        from homodyne_cli.render.exports.texts import TEXTS

        wait_for_trial()
    gap = configured_gap(request.config, request.run)
    if request.output is not None:
        check_file(request.output, force=request.force)
    fit = read_result(request.run, gap)
    if request.format in TEXTS:
        text = TEXTS[request.format](fit)
        if request.output is None:
            sys.stdout.write(text)
            return 0
        write_file(request.output, text.encode("utf-8"), force=request.force)
    elif request.output is not None:
        from homodyne_cli.render.exports.arrays import write_nexus, write_npz

        write = write_nexus if request.format == "nexus" else write_npz
        run = read_run(request.run, gap)
        with new_file(request.output, force=request.force) as made:
            write(made, fit, run)
    print_sentence(make_console(stderr=True), f"Wrote {request.output}")
    return 0
