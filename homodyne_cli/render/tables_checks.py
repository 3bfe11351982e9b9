"""Tables of a diagnosis and of the validation checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from homodyne_cli.assessments import BatchRow, CheckResult, CheckStatus, Diagnosis
from homodyne_cli.core.assumptions.rheometer import FlowComparison
from homodyne_cli.core.held_value import HeldValue
from homodyne_cli.parameters import BY_NAME
from homodyne_cli.render.numbers import (
    MISSING,
    format_digits,
    format_number,
    format_with_uncertainty,
)
from homodyne_cli.render.table_shapes import ByWidth, plain_table
from homodyne_cli.render.tables import EDM_MEANS
from homodyne_cli.results import IterationRecord

RATIO_MEANS = "largest over smallest sensitivity × x_scale: 1 is balanced"
#: Columns from which the diagnosis fits into one table.
_WIDE = 136
#: Times of a rheometer that a table shows.
_TIMES = 10
_LARGE_Z = 1e4
_VERDICTS: dict[CheckStatus, tuple[str, str]] = {
    "pass": ("pass", "green"),
    "warn": ("WARN", "yellow"),
    "fail": ("FAIL", "bold red"),
    "n/a": ("n/a", "dim"),
}
_GRADIENT = ("parameter", "value", "unit", "gradient", "ratio to\nmedian", "ratio to\nbaseline")
_MEANS = (
    "sensitivity: change of the residuals, in their noise, per unit of the parameter; "
    "z: gradient of χ² over its own noise"
)
_SCALE = ("sensitivity", "z", "recommended\nx_scale", "note")


def diagnosis_table(diagnosis: Diagnosis, baseline_name: str) -> ByWidth:
    """Show gradient, sensitivity and recommended scale of every free parameter.

    Parameters
    ----------
    baseline_name
        What the baseline of the ratios is, in words.

    Returns
    -------
    renderable
        One table, or two stacked ones where the console is narrower than 136 columns.
    """
    title = f"Gradients of SSE (baseline {escape(baseline_name)} = "
    title += f"{format_number(diagnosis.baseline, 4)})"
    gradients = [_gradient_cells(diagnosis, k) for k in range(len(diagnosis.names))]
    scales = [_scale_cells(diagnosis, k) for k in range(len(diagnosis.names))]
    wide = _numbers_table(title, (*_GRADIENT, *_SCALE), caption=_MEANS)
    upper = _numbers_table(title, _GRADIENT)
    lower = _numbers_table(
        f"Scales (rule: {escape(diagnosis.measure)})", ("parameter", *_SCALE), caption=_MEANS
    )
    # Of a fit that needs nothing, no row is to be worried about.
    told = diagnosis.imbalance or diagnosis.premature
    over = told & (np.abs(diagnosis.gradients) > diagnosis.threshold * diagnosis.baseline)
    for k, (name, gradient, scale) in enumerate(
        zip(diagnosis.names, gradients, scales, strict=True)
    ):
        style = "yellow" if over[k] else None
        wide.add_row(name, *gradient, *scale, style=style)
        upper.add_row(name, *gradient, style=style)
        lower.add_row(name, *scale)
    return ByWidth(wide, Group(upper, lower), _WIDE)


def _numbers_table(title: str, columns: tuple[str, ...], caption: str | None = None) -> Table:
    words = ("parameter", "unit", "note")
    right = tuple(c for c in columns if c not in words)
    return plain_table(title, *columns, right=right, words=("note",), caption=caption)


def _gradient_cells(diagnosis: Diagnosis, k: int) -> tuple[str, ...]:
    name = diagnosis.names[k]
    size = abs(float(diagnosis.gradients[k]))
    unit = BY_NAME[name].unit if name in BY_NAME else ""
    return (
        format_number(float(diagnosis.values[k]), 6),
        unit,
        format_number(float(diagnosis.gradients[k]), 4),
        _ratio(size, float(np.median(np.abs(diagnosis.gradients)))),
        _ratio(size, diagnosis.baseline),
    )


def _scale_cells(diagnosis: Diagnosis, k: int) -> tuple[str, ...]:
    name, z = diagnosis.names[k], float(diagnosis.z[k])
    return (
        format_number(float(diagnosis.sensitivities[k]), 4),
        f"{z:+.1f}" if abs(z) < _LARGE_Z else format_digits(z),
        format_digits(diagnosis.x_scale_map.get(name, float("nan"))),
        "gradient below noise" if name in diagnosis.below_noise else "",
    )


def _ratio(part: float, whole: float) -> str:
    return format_digits(part / whole) if whole > 0.0 else MISSING


def history_table(history: Sequence[IterationRecord]) -> Table:
    """Show how chi2, EDM and conditioning went from step to step."""
    figures = ("chi2", "EDM", "condition\nnumber", "effective\nratio", "step")
    said = f"EDM: {EDM_MEANS}; effective ratio: {RATIO_MEANS}"
    table = plain_table(
        "Iterations", "iteration", *figures, right=("iteration", *figures), caption=said
    )
    for step in history:
        row = (step.edm, step.condition, step.effective_ratio, step.step_norm)
        table.add_row(str(step.iteration), f"{step.chi2:.8g}", *map(format_digits, row))
    return table


def _verdict_markup(status: CheckStatus) -> str:
    """Return the verdict as a word, with its colour as markup."""
    word, style = _VERDICTS[status]
    return f"[{style}]{word}[/]"


def checks_table(checks: Sequence[CheckResult]) -> Group:
    """Show every check, then what to do about those that do not pass."""
    numeric = ("measured", "threshold")
    columns = ("check", *numeric, "verdict", "reason")
    said = f"EDM: {EDM_MEANS}" if any("EDM" in check.message for check in checks) else None
    table = plain_table("Checks", *columns, right=numeric, words=("reason",), caption=said)
    for check in checks:
        table.add_row(
            check.id,
            MISSING if check.value is None else format_digits(check.value),
            MISSING if check.threshold is None else format_digits(check.threshold),
            _verdict_markup(check.status),
            escape(check.message),
        )
    open_ones = [c for c in checks if c.advice and c.status != "pass"]
    if not open_ones:
        return Group(table)
    advice = plain_table("What to do", "check", "advice", words=("advice",))
    advice.show_header = False
    for check in open_ones:
        advice.add_row(check.id, escape(check.advice))
    return Group(table, advice)


def flow_columns(flow: FlowComparison) -> tuple[str, ...]:
    """Return the heads of `flow_rows`."""
    unit = " (1/s)" if flow.kind == "shear rate" else ""
    return ("t (s)", f"rheometer{unit}", f"fit{unit}", "±", "ratio", "± ", "sigma")


def flow_rows(flow: FlowComparison) -> Iterator[tuple[str, ...]]:
    """Yield fit and rheometer at a few of the rheometer's times."""
    for k in np.unique(np.linspace(0, len(flow.t) - 1, _TIMES).round().astype(int)).tolist():
        yield (
            f"{flow.t[k]:.4g}",
            format_number(float(flow.rheometer[k]), 4),
            *format_with_uncertainty(float(flow.fit[k]), float(flow.fit_uncertainty[k])),
            *format_with_uncertainty(float(flow.ratio[k]), float(flow.uncertainty[k])),
            f"{flow.pulls[k]:+.1f}",
        )


#: Heads of `held_rows`.
HELD_COLUMNS = ("parameter", "held at", "fitted", "±", "chi2 rise", "at 1 sigma", "chance")


def held_rows(held: Sequence[HeldValue]) -> Iterator[tuple[str, ...]]:
    """Yield what holding each parameter costs."""
    for one in held:
        yield (
            one.name,
            format_number(one.value, 6),
            *format_with_uncertainty(one.fitted, one.uncertainty),
            format_number(one.chi2_rise, 4),
            format_number(one.chi2_scale, 3),
            f"{one.p_value:.2g}",
        )


#: What is said of one fit of a batch and of several, those that need attention first.
BATCH_VERDICTS = {
    "failed": ("without a fit", "without a fit"),
    "fail": ("with a check that fails", "with a check that fails"),
    "warn": ("with a warning", "with a warning"),
    "pass": ("that passes", "that pass"),
}


def verdict_counts(rows: Sequence[BatchRow]) -> str:
    """Say how many fits a batch has, and how many have each verdict."""
    counts = Counter(row.verdict for row in rows)
    told = [
        f"{counts[verdict]} {said[counts[verdict] != 1]}"
        for verdict, said in BATCH_VERDICTS.items()
        if counts[verdict]
    ]
    return f"{len(rows)} {'fit' if len(rows) == 1 else 'fits'}: {', '.join(told) or 'none'}"
