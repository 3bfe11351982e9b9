"""``homodyne plan``: expected uncertainties before the beam time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.experiment import PHI, numbers, true_values
from homodyne_cli.cli.options.scans import measurement, read_goals, scan_axes
from homodyne_cli.cli.options.shared import (
    AsJson,
    ConfigFile,
    Force,
    Overrides,
    Quiet,
    refuse_needless_force,
)
from homodyne_cli.errors import ExitCode, UsageError


@dataclass(frozen=True)
class PlanRequest:
    """Expect the uncertainties of a fit before there are data; lists are scanned.

    The config's initial values are the truth.

    Example: homodyne plan config.yaml --speckles 2000 --counts 0.1,1,10 --goal D0=5%
    """

    config: ConfigFile
    override: Overrides = None
    frames: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Frames; default the config's end_frame, else 200."),
    ] = None
    dt: Annotated[
        str | None,
        typer.Option("--dt", metavar="S,...", help="Times between frames; default the config's."),
    ] = None
    angles: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Numbers of angles, spread evenly over 180 degrees."),
    ] = None
    phi: Annotated[
        str | None,
        typer.Option(
            metavar="DEG,...", help=f"Detector angles in degrees; default {PHI}.",
            show_default=False,
        ),
    ] = None  # fmt: skip
    contrast: Annotated[
        str | None, typer.Option(metavar="C,...", help="Contrasts; default the config's, else 0.3.")
    ] = None
    speckles: Annotated[
        str | None,
        typer.Option(
            metavar="N,...", help="Speckles per angle: pixels of a bin over those of a speckle."
        ),
    ] = None
    counts: Annotated[
        str | None,
        typer.Option(metavar="N,...", help="Photons per speckle and frame; none: no photon noise."),
    ] = None
    noise: Annotated[
        str | None,
        typer.Option(
            metavar="S,...",
            help="White noise per pair in place of speckles; default the config's noise.sigma.",
        ),
    ] = None
    goal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SIGMA",
            help="Uncertainty to reach, absolute or as 5%: says what suffices.",
        ),
    ] = None
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture to write (PNG).")
    ] = None
    force: Force = False
    as_json: AsJson = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")
        if self.angles is not None and self.phi is not None:
            raise UsageError("--angles and --phi exclude each other", hint="keep one of them")
        if self.noise is not None and self.speckles is not None:
            raise UsageError("--noise is noise without speckles", hint="leave out --speckles")
        if self.counts is not None and self.speckles is None:
            raise UsageError("--counts are photons per speckle", hint="give --speckles as well")

    @property
    def lists(self) -> dict[str, str | None]:
        """The lists to scan, those that make a scan dear first."""
        names = ("dt", "frames", "contrast", "counts", "angles", "speckles", "noise")
        return {name: getattr(self, name) for name in names}


def run_plan(request: PlanRequest) -> int:
    """Show what is to be expected; return 1 if goals are given and no measurement meets them."""
    from homodyne_cli.core.plan import Planner
    from homodyne_cli.core.plan_scan import Plan, scan, sufficient
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.files.outputs import check_file, new_file
    from homodyne_cli.render.console import make_console, print_json, print_note
    from homodyne_cli.render.screens.plan import plan_answer, save_plan, show_plan

    if request.output is not None:
        check_file(request.output, force=request.force)
    config = load_config(request.config, request.override or ())
    phi = None if request.angles is not None else numbers(request.phi or PHI, "--phi")
    axes = scan_axes(config, request.lists, phi)
    if request.output is not None and all(len(values) == 1 for values in axes.values()):
        raise UsageError("-o: nothing is scanned that a picture could show", hint="give a list")
    truth = true_values(config, "plan")
    goals = read_goals(request.goal or (), config.problem, truth)
    notes, planner = make_console(stderr=True), Planner(config.problem)
    with notes.status("planning") as status:
        notify = (lambda _: None) if request.quiet else status.update
        points = scan(planner, axes, partial(measurement, config, phi), notify)
        enough = tuple(sufficient(planner, points, goals, notify)) if goals else ()
    plan = Plan(truth, axes, points, goals, enough)
    if request.output is not None:
        with new_file(request.output, force=request.force) as made:
            save_plan(made, plan)
    if request.as_json:
        print_json(plan_answer(plan))
    else:
        show_plan(plan)
        if request.output is not None:
            print_note(notes, f"Wrote {request.output}")
    met = not goals or any(point.expectation.meets(goals) for point in points)
    return ExitCode.GOOD if met else ExitCode.NEGATIVE
