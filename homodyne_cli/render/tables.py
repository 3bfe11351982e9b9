"""Tables of a fit."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.markup import escape
from rich.table import Table

from homodyne_cli.models import FitResult, FittedParameter, FloatArray, Resolved, Seconds
from homodyne_cli.render.numbers import (
    MISSING,
    format_count,
    format_number,
    format_seconds,
    format_with_uncertainty,
)

_LABELS = {
    "q": "q",
    "phi": "angles",
    "dt": "dt",
    "frames": "frames",
    "gap": "gap",
    "sigma": "noise",
    "layout": "layout",
}


def plain_table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table in the house style; `right` names right-aligned columns."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def provenance_table(provenance: Mapping[str, Resolved]) -> Table:
    """Show what was read and where each figure came from."""
    table = plain_table("Data", "", "value", "from")
    for key, resolved in provenance.items():
        table.add_row(_LABELS.get(key, key), escape(resolved.value), escape(resolved.source))
    return table


def parameter_flag(parameter: FittedParameter) -> str:
    """Say in words what is special about a fitted parameter."""
    if parameter.fixed:
        return "fixed"
    if parameter.at_bound:
        return "at bound"
    if parameter.uncertainty != parameter.uncertainty:
        return "not determined"
    if parameter.unmoved:
        return "did not move from its start"
    return ""


def parameter_table(result: FitResult, truth: Mapping[str, float] | None) -> Table:
    """Show fitted parameters, with the truth and the pull beside them where it is known."""
    known = ("truth", "pull") if truth else ()
    numeric = ("value", "uncertainty", *known)
    table = plain_table("Parameters", "parameter", *numeric, "unit", "", right=numeric)
    for p in result.parameters:
        value, uncertainty = format_with_uncertainty(p.value, p.uncertainty)
        extra: tuple[str, ...] = ()
        if truth:
            true = truth.get(p.name, float("nan"))
            pull = (p.value - true) / p.uncertainty if p.uncertainty else float("nan")
            extra = (format_number(true, 6), MISSING if pull != pull else f"{pull:+.1f}")
        flag = parameter_flag(p)
        style = "yellow" if flag and not p.fixed else None
        table.add_row(p.name, value, uncertainty, *extra, p.unit, flag, style=style)
    return table


def scaling_table(
    phi: FloatArray,
    contrast: FloatArray,
    contrast_uncertainty: FloatArray,
    offset: FloatArray,
    offset_uncertainty: FloatArray,
    sigma: FloatArray,
) -> Table:
    """Show contrast, offset and noise per angle."""
    names = ("phi (deg)", "contrast", "±", "offset", "± ", "noise")
    table = plain_table("Scaling per angle", *names, right=names)
    for a in range(len(phi)):
        table.add_row(
            f"{phi[a]:.2f}",
            *format_with_uncertainty(float(contrast[a]), float(contrast_uncertainty[a])),
            *format_with_uncertainty(float(offset[a]), float(offset_uncertainty[a])),
            format_number(float(sigma[a]), 3),
        )
    return table


def fit_summary(result: FitResult, seconds: Seconds) -> Table:
    """Show quality, convergence and where the time went."""
    table = plain_table("Fit", "", " ")
    verdict = "converged" if result.converged else "NOT CONVERGED"
    style = "green" if result.converged else "bold red"
    rows = (
        ("status", f"[{style}]{verdict}[/]: {escape(result.message)}"),
        (
            "model",
            f"{result.mode}, convention {result.convention}, scaling {result.per_angle_mode}",
        ),
        ("χ²", f"{format_number(result.chi2, 8)} over {format_count(result.n_points)} pairs"),
        ("reduced χ²", format_number(result.reduced_chi2, 5)),
        ("χ² still to gain (EDM)", format_number(result.edm, 3)),
        ("iterations", f"{result.iterations} ({result.evaluations} evaluations)"),
        ("loss, x_scale", f"{result.loss}, {result.x_scale_mode}"),
        (
            "time",
            f"{format_seconds(seconds.total)} (load {format_seconds(seconds.load)}, compile "
            f"{format_seconds(seconds.compile)}, fit {format_seconds(seconds.fit)}, save "
            f"{format_seconds(seconds.save)})",
        ),
    )
    for row in rows:
        table.add_row(*row)
    return table
