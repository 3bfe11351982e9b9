"""``homodyne show``: what a run directory says, as `fit` said it."""

from __future__ import annotations

from dataclasses import dataclass

from homodyne_cli.cli.options.shared import GapConfig, RunDirectory, configured_gap


@dataclass(frozen=True)
class ShowRequest:
    """Show the result of a fit again: parameters, curves, what trades off, and how it went.

    Example: homodyne show run1
    """

    run: RunDirectory
    config: GapConfig = None


def run_show(request: ShowRequest) -> int:
    """Show a run; the maps are not read."""
    from homodyne_cli.io.run.read_result import read_result
    from homodyne_cli.render.console import make_console
    from homodyne_cli.render.findings import print_codes, print_findings, result_codes
    from homodyne_cli.render.screens.fit import print_next_step, show_result
    from homodyne_cli.render.screens.inputs import show_input

    fit = read_result(request.run, configured_gap(request.config, request.run))
    console = make_console()
    show_input(console, fit)
    show_result(fit.rows, fit.result, fit.seconds)
    print_findings(console, fit.findings)
    print_codes(console, (*(finding.code for finding in fit.findings), *result_codes(fit.result)))
    print_next_step(console, request.run, fit.result)
    return 0
