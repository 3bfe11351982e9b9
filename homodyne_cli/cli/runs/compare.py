"""``homodyne compare``: fits beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.completers import run_directories
from homodyne_cli.cli.options.shared import AsJson, GapConfig, configured_gap
from homodyne_cli.errors import UsageError


@dataclass(frozen=True)
class CompareRequest:
    """Compare fits with the first one: parameters in sigmas, chi2, what differs in config and data.

    Example: homodyne compare run1 run2 run3
    """

    runs: Annotated[
        list[Path],
        typer.Argument(help="Run directories.", metavar="RUN_DIR", autocompletion=run_directories),
    ]
    config: GapConfig = None
    as_json: AsJson = False

    def __post_init__(self) -> None:
        """Refuse a run alone."""
        if len(self.runs) < 2:
            raise UsageError("one run alone", hint="name two or more: homodyne compare run1 run2")


def run_compare(request: CompareRequest) -> int:
    """Compare runs; that they differ is no negative finding."""
    from homodyne_cli.io.run.read_result import read_result
    from homodyne_cli.render.comparison import compare_fits
    from homodyne_cli.render.console import print_json
    from homodyne_cli.render.screens.comparison import show_comparison

    gap = configured_gap(request.config, *request.runs)
    compared = compare_fits([read_result(run, gap) for run in request.runs])
    if request.as_json:
        print_json(compared)
    else:
        show_comparison(compared, request.runs)
    return 0
