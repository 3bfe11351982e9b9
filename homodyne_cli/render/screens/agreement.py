"""What is shown of rings and repeats that were fitted together: deviations with bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from homodyne_cli.findings.agreement import Agreement, ComparedQuantity
from homodyne_cli.render.console import is_ascii
from homodyne_cli.render.numbers import MISSING, format_with_uncertainty
from homodyne_cli.render.table_shapes import plain_table

#: Columns of a bar on either side, and standard deviations that fill one.
_SIDE, _FULL = 8, 4.0


def agreements_answer(agreements: Sequence[Agreement]) -> dict[str, object]:
    """Return what ``--json`` says of them; nothing of one ring in one measurement."""
    if not agreements:
        return {}
    return {
        "agreement": {
            one.kind: {
                "parts": one.parts,
                "chi2": one.chi2,
                "degrees_of_freedom": one.degrees,
                "p_value": one.p_value,
                "scatter": one.scatter,
                "quantities": one.quantities,
            }
            for one in agreements
        }
    }


def show_agreements(console: Console, agreements: Sequence[Agreement]) -> None:
    """Print one table for each comparison."""
    for agreement in agreements:
        console.print(_table(agreement, ascii_only=is_ascii(console)))


def _table(agreement: Agreement, *, ascii_only: bool) -> Table:
    of_rings = agreement.kind == "rings"
    title = f"{agreement.kind.capitalize()} off the joint fit (a full bar: {_FULL:g} sigma)"
    part = "q (1/Å)" if of_rings else "repeat"
    right = (part, "off", "±", "sigma")
    table = plain_table(title, "quantity", *right, "-  0  +", right=right)
    for quantity in agreement.quantities:
        for row in _rows(agreement, quantity, ascii_only=ascii_only):
            table.add_row(*row)
    return table


def _rows(
    agreement: Agreement, quantity: ComparedQuantity, *, ascii_only: bool
) -> Iterator[tuple[str, ...]]:
    for k, part in enumerate(agreement.parts.tolist()):
        off, error = float(quantity.deviation[k]), float(quantity.uncertainty[k])
        name = f"{quantity.name} ({quantity.unit})" if k == 0 else ""
        shown = f"{part:.5g}" if agreement.kind == "rings" else f"{part:.0f}"
        if not (math.isfinite(off) and error > 0.0):
            yield name, shown, MISSING, MISSING, MISSING, ""
            continue
        pull = off / error
        figures = format_with_uncertainty(off, error)
        yield name, shown, *figures, f"{pull:+.1f}", _bar(pull, ascii_only=ascii_only)


def _bar(pull: float, *, ascii_only: bool) -> str:
    """Return a bar from the middle to the left or right."""
    mark, axis = ("#", "|") if ascii_only else ("█", "│")
    length = min(round(abs(pull) / _FULL * _SIDE), _SIDE)
    bar = mark * length
    left, right = (bar, "") if pull < 0.0 else ("", bar)
    return f"{left:>{_SIDE}}{axis}{right:<{_SIDE}}"
