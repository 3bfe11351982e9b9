"""``homodyne report``: one page on a fit, or on several side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.completers import run_directories
from homodyne_cli.cli.options.shared import (
    Force,
    GapConfig,
    MemorySize,
    configured_gap,
    memory_budget,
)


@dataclass(frozen=True)
class ReportRequest:
    """Write one offline HTML page on a fit, or on several side by side.

    Example: homodyne report run1 run2 -o report.html
    """

    runs: Annotated[
        list[Path],
        typer.Argument(help="Run directories.", metavar="RUN_DIR", autocompletion=run_directories),
    ]
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML page to write.")] = Path(
        "report.html"
    )
    config: GapConfig = None
    memory: MemorySize = None
    force: Force = False


def run_report(request: ReportRequest) -> int:
    """Check every run and write the page; the exit code is that of having written it."""
    from homodyne_cli.io.run.read_run import trial_of_runs

    with trial_of_runs(*request.runs) as wait_for_trial:
        from homodyne_cli.io.files.outputs import check_file
        from homodyne_cli.render.console import make_console, print_sentence
        from homodyne_cli.render.pages.write_report import write_report
        from homodyne_cli.render.progress import StepsProgress

        wait_for_trial()
    check_file(request.output, force=request.force)
    gap = configured_gap(request.config, *request.runs)
    notes, memory = make_console(stderr=True), memory_budget(request.memory)
    with StepsProgress(notes, "checking runs: done") as steps:
        done = partial(steps.show, "checking runs: done")
        write_report(request.output, request.runs, gap, memory, on_run=done, force=request.force)
    print_sentence(notes, f"Wrote {request.output}: open it in a browser.")
    return 0
