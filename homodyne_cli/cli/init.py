"""``homodyne init``: a config to start from."""

from __future__ import annotations

from pathlib import Path

from homodyne_cli.errors import OutputError
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.parameters import AnalysisMode
from homodyne_cli.render.console import make_console, print_plain


def run_init(output: Path, mode: AnalysisMode, *, force: bool) -> None:
    """Write the template of `mode`; refuse to overwrite unless forced."""
    if output.exists() and not force:
        raise OutputError(f"{output}: already exists", hint="choose another -o, or --force")
    try:
        output.write_text(template_text(mode), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    print_plain(
        make_console(stderr=True),
        f"Wrote {output}. Name your data file in it, then: homodyne fit {output}",
    )
