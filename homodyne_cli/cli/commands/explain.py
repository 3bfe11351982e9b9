"""``homodyne explain``: what a code means, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from homodyne_cli.cli.options.completers import codes
from homodyne_cli.cli.options.shared import AsJson
from homodyne_cli.errors import UsageError
from homodyne_cli.findings.codes import Code


@dataclass(frozen=True)
class ExplainRequest:
    """Explain codes like H301: what was seen, what follows, what to do. Without one, list them.

    Example: homodyne explain H301 H504
    """

    named: Annotated[
        list[str] | None, typer.Argument(metavar="CODE", help="Codes.", autocompletion=codes)
    ] = None
    as_json: AsJson = False


def run_explain(request: ExplainRequest) -> int:
    """Show what is known of codes."""
    from homodyne_cli.findings.explanations import EXPLANATIONS
    from homodyne_cli.render.console import make_console, print_json, print_next, print_plain
    from homodyne_cli.render.table_shapes import plain_table

    chosen = [_code(name) for name in request.named or ()]
    if request.as_json:
        print_json({code: asdict(EXPLANATIONS[code]) for code in chosen or Code})
        return 0
    console = make_console()
    for code in chosen:
        told = EXPLANATIONS[code]
        print_plain(console, f"{code} {told.title}", style="bold")
        for text in (told.meaning, told.consequence):
            console.print(f"  {text}", markup=False)
        console.print(f"  To do: {told.remedy}", markup=False)
        console.print(f"  Else: {told.otherwise}", markup=False)
    if not chosen:
        table = plain_table("Codes", "", "", words=("",))
        for code, told in EXPLANATIONS.items():
            table.add_row(code, told.title)
        console.print(table)
        print_next(console, "explain", next(iter(EXPLANATIONS)))
    return 0


def _code(name: str) -> Code:
    try:
        return Code(name.upper())
    except ValueError:
        raise UsageError(
            f"{name}: no such code", hint="homodyne explain lists all of them"
        ) from None
