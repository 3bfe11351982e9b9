"""What is shown of a rheometer beside a fit, and of parameters held at a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from homodyne_cli.core.assumptions.rheometer import FlowComparison
from homodyne_cli.core.held_value import HeldValue
from homodyne_cli.render.numbers import format_number, format_with_uncertainty
from homodyne_cli.render.table_shapes import plain_table

#: Times that are shown of all.
_SHOWN = 10


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


def show_flow(console: Console, flow: FlowComparison | None) -> None:
    """Print the ratio over time at a few of the rheometer's times."""
    if flow is None:
        return
    unit = " (1/s)" if flow.kind == "shear rate" else ""
    right = ("t (s)", f"rheometer{unit}", f"fit{unit}", "±", "ratio", "± ", "sigma")
    table = plain_table(f"{flow.kind.capitalize()}: fit and rheometer", *right, right=right)
    for k in np.unique(np.linspace(0, len(flow.t) - 1, _SHOWN).round().astype(int)).tolist():
        table.add_row(
            f"{flow.t[k]:.4g}",
            format_number(float(flow.rheometer[k]), 4),
            *format_with_uncertainty(float(flow.fit[k]), float(flow.fit_uncertainty[k])),
            *format_with_uncertainty(float(flow.ratio[k]), float(flow.uncertainty[k])),
            f"{flow.pulls[k]:+.1f}",
        )
    console.print(table)


def show_held(console: Console, held: Sequence[HeldValue]) -> None:
    """Print what holding each parameter costs."""
    if not held:
        return
    right = ("held at", "fitted", "±", "chi2 rise", "at 1 sigma", "chance")
    table = plain_table("Parameters held at a value", "parameter", *right, right=right)
    for one in held:
        table.add_row(
            one.name,
            format_number(one.value, 6),
            *format_with_uncertainty(one.fitted, one.uncertainty),
            format_number(one.chi2_rise, 4),
            format_number(one.chi2_scale, 3),
            f"{one.p_value:.2g}",
        )
    console.print(table)
