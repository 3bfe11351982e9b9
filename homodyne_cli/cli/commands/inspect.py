"""``homodyne inspect``: what is in a data file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import data_files
from homodyne_cli.cli.options.shared import AsJson, Force, refuse_needless_force
from homodyne_cli.errors import ExitCode

if TYPE_CHECKING:
    from homodyne_cli.io.maps.file_report import FileReport

_FEWEST_ANGLES = 3


@dataclass(frozen=True)
class InspectRequest:
    """Show what is in a data file, also in one that cannot be fitted, and write a config for it.

    Example: homodyne inspect data.h5 -o config.yaml
    """

    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Data file.", autocompletion=data_files)
    ]
    q: Annotated[
        float | None,
        typer.Option(
            "--q", metavar="Q", help="Look at the maps of this ring (1/Å), not of the fullest."
        ),
    ] = None
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="CONFIG", help="Config to write.")
    ] = None
    force: Force = False
    as_json: AsJson = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")


def run_inspect(request: InspectRequest) -> int:
    """Show a file; return 1 if it cannot be fitted."""
    from homodyne_cli.io.files.outputs import check_file, write_file
    from homodyne_cli.io.maps.trial import trial_reading

    if request.output is not None:
        check_file(request.output, force=request.force)
    with trial_reading(request.file) as wait_for_trial:
        from homodyne_cli.io.maps.file_report import report_on
        from homodyne_cli.render.console import make_console, print_json, print_next
        from homodyne_cli.render.screens.inspection import inspection_answer, show_inspection

        wait_for_trial()
        report = report_on(request.file, request.q)
    console = make_console()
    if request.as_json:
        print_json(inspection_answer(report))
    else:
        show_inspection(console, report)
    if report.problem:
        return ExitCode.NEGATIVE
    if request.output is not None:
        text = _config(report, request.output).encode()
        write_file(request.output, text, force=request.force)
    if not request.as_json:
        words = ("check", request.output) if request.output else _writing(request)
        print_next(console, *words)
    return 0


def _writing(request: InspectRequest) -> tuple[object, ...]:
    return "inspect", request.file, "-o", "config.yaml"


def _config(report: FileReport, output: Path) -> str:
    """Return a config for the ring that was looked at; the gap is not in any file."""
    from homodyne_cli.io.config.templates import template_text

    in_flow = bool(report.phi_source) and len(report.maps) >= _FEWEST_ANGLES
    place = os.path.relpath(report.path, output.parent)
    values = {
        "experimental_data.file_path": json.dumps(place),
        "analyzer_parameters.dt": "null" if report.dt else "0.1",
        "analyzer_parameters.scattering.wavevector_q": repr(report.ring) if report.ring else "null",
        "analyzer_parameters.start_frame": str(report.numbered_from),
        "initial_parameters.values": "null",
    }
    return template_text("laminar_flow" if in_flow else "static", values)
