"""What is shown of a rheometer beside a fit, and of parameters held at a value."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from homodyne_cli.core.assumptions.rheometer import FlowComparison
from homodyne_cli.core.held_value import HeldValue
from homodyne_cli.render.console import is_ascii, print_plain
from homodyne_cli.render.curve_charts import Band, band_chart
from homodyne_cli.render.table_shapes import plain_table
from homodyne_cli.render.tables_checks import (
    HELD_COLUMNS,
    flow_columns,
    flow_rows,
    held_rows,
)

_WIDEST = 100


def flow_answer(flow: FlowComparison | None) -> dict[str, object]:
    """Return what ``--json`` says of a rheometer; nothing without one."""
    if flow is None:
        return {}
    return {
        "rheometer": {
            "kind": flow.kind,
            "t": flow.t,
            "fit": flow.fit,
            "fit_uncertainty": flow.fit_uncertainty,
            "rheometer": flow.rheometer,
            "ratio": flow.ratio,
            "ratio_uncertainty": flow.uncertainty,
        }
    }


def held_answer(held: Sequence[HeldValue]) -> dict[str, object]:
    """Return what ``--json`` says of parameters held at a value; nothing if there are none."""
    return {"tests": list(held)} if held else {}


def show_flow(console: Console, flow: FlowComparison | None, *, quiet: bool) -> None:
    """Print the ratio over time at a few of the rheometer's times, and draw it unless `quiet`."""
    if flow is None:
        return
    if not quiet:
        console.print()
        for line in _ratio_chart(flow, min(console.width, _WIDEST), is_ascii(console)):
            print_plain(console, line)
    columns = flow_columns(flow)
    table = plain_table(f"{flow.kind.capitalize()}: fit and rheometer", *columns, right=columns)
    for row in flow_rows(flow):
        table.add_row(*row)
    console.print(table)


def _ratio_chart(flow: FlowComparison, width: int, ascii_only: bool) -> list[str]:
    title = f"{flow.kind} of the fit / of the rheometer over t (s), dots: 1 sigma, line: 1"
    band = Band(flow.ratio, flow.uncertainty)
    return band_chart(flow.t, band, title=title, width=width, ascii_only=ascii_only, level=1.0)


def show_held(console: Console, held: Sequence[HeldValue]) -> None:
    """Print what holding each parameter costs."""
    if not held:
        return
    table = plain_table("Parameters held at a value", *HELD_COLUMNS, right=HELD_COLUMNS[1:])
    for row in held_rows(held):
        table.add_row(*row)
    console.print(table)
