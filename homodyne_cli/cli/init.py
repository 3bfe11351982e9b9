"""``homodyne init``: a config to start from."""

from __future__ import annotations

from homodyne_cli.cli.requests import InitRequest
from homodyne_cli.errors import OutputError
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.render.console import make_console, print_plain


def run_init(request: InitRequest) -> int:
    """Write the template of a mode; refuse to overwrite unless forced."""
    output = request.output
    if output.exists() and not request.force:
        raise OutputError(f"{output}: already exists", hint="choose another -o, or --force")
    try:
        output.write_text(template_text(request.mode), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error.strerror}") from error
    print_plain(
        make_console(stderr=True),
        f"Wrote {output}. Name your data file in it, then: homodyne fit {output}",
    )
    return 0
