"""``homodyne init``: a config to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.shared import Force
from homodyne_cli.parameters import AnalysisMode
from homodyne_cli.version import clash_note


@dataclass(frozen=True)
class InitRequest:
    """Write a commented config to start from.

    Example: homodyne init -o config.yaml --mode laminar_flow
    """

    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")] = Path(
        "config.yaml"
    )
    mode: Annotated[AnalysisMode, typer.Option(help="Analysis mode.")] = "laminar_flow"
    force: Force = False


def run_init(request: InitRequest) -> int:
    """Write the template of a mode; refuse to overwrite unless forced."""
    from homodyne_cli.io.config.templates import template_text
    from homodyne_cli.io.files.outputs import write_file
    from homodyne_cli.render.console import make_console, print_note, print_plain

    output = request.output
    write_file(output, template_text(request.mode).encode(), force=request.force)
    console = make_console(stderr=True)
    told = f"Wrote {output}. Name your data file in it, then: homodyne fit {output}"
    print_plain(console, told)
    if note := clash_note():
        print_note(console, note)
    return 0
