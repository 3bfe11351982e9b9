"""What is shown of rings and repeats that were fitted together: deviations with bars."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from homodyne_cli.core.agreement_verdicts import check_agreement
from homodyne_cli.findings.agreement import Agreement, ComparedQuantity
from homodyne_cli.render.console import is_ascii, print_plain, print_sentence
from homodyne_cli.render.numbers import MISSING, format_with_uncertainty
from homodyne_cli.render.table_shapes import plain_table
from homodyne_cli.results import FitResult

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
        console.print(_table(agreement, "the joint fit", ascii_only=is_ascii(console)))


def show_each(
    console: Console,
    agreement: Agreement,
    results: Sequence[FitResult],
    directories: Sequence[Path | None],
) -> None:
    """Print the parameters of fits of single parts side by side, and whether they agree."""
    part = "q (1/Å)" if agreement.kind == "rings" else "repeat"
    right = (part, "value", "±")
    title = f"Fits of single {agreement.kind}"
    table = plain_table(title, "parameter", *right, "unit", right=right)
    for name in results[0].solution.values:
        for k, result in enumerate(results):
            p = next(p for p in result.parameters if p.name == name)
            figures = format_with_uncertainty(p.value, p.uncertainty)
            shown = _part(agreement, k)
            table.add_row(name if k == 0 else "", shown, *figures, p.unit if k == 0 else "")
    console.print(table)
    console.print(_table(agreement, "their mean", ascii_only=is_ascii(console)))
    check = check_agreement(agreement)
    print_sentence(console, f"{check.status}: {check.message}")
    listed = ", ".join(str(place) for place in directories if place is not None)
    print_plain(console, f"Run directories: {listed}")


def _part(agreement: Agreement, k: int) -> str:
    value = float(agreement.parts[k])
    return f"{value:.5g}" if agreement.kind == "rings" else f"{value:.0f}"


def _table(agreement: Agreement, centre: str, *, ascii_only: bool) -> Table:
    of_rings = agreement.kind == "rings"
    title = f"{agreement.kind.capitalize()} off {centre} (a full bar: {_FULL:g} sigma)"
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
    for k in range(len(agreement.parts)):
        off, error = float(quantity.deviation[k]), float(quantity.uncertainty[k])
        name = f"{quantity.name} ({quantity.unit})" if k == 0 else ""
        shown = _part(agreement, k)
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
