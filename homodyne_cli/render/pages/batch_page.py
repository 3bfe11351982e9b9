"""The overview of a batch: one offline page, failing fits first, parameters against the scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from io import StringIO
from urllib.parse import quote

import numpy as np
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from homodyne_cli.assessments import BatchRow
from homodyne_cli.render.numbers import MISSING, format_number, format_with_uncertainty
from homodyne_cli.render.pages.html import Cell, Markup, table
from homodyne_cli.render.pages.page import html_page
from homodyne_cli.render.tables_checks import BATCH_VERDICTS, verdict_counts

_PANEL = (4.2, 2.4)
#: Parameters of a row are drawn against these, where they differ from row to row.
_AXES: Mapping[str, str] = {"scan": "scan", "time": "time (UTC)", "q": "q (1/Å)"}


def batch_page(
    rows: Sequence[BatchRow], title: str, reports: Mapping[str, str] | None = None
) -> str:
    """Return the page.

    Parameters
    ----------
    rows
        One for each fit; run directories are linked as ``NAME/`` beside the page.
    reports
        The fits' own pages beside this one, by the fit's name.
    """
    order = list(BATCH_VERDICTS)
    ordered = sorted(rows, key=lambda row: (order.index(row.verdict), row.file, row.q or 0.0))
    names = list(dict.fromkeys(name for row in rows for name in row.parameters))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{verdict_counts(rows)}.</p>",
        _table(ordered, names, reports or {}),
        *(f"<h2>{escape(name)}</h2>{_panels(rows, name)}" for name in names),
    ]
    return html_page(title, parts)


def _table(rows: Sequence[BatchRow], names: Sequence[str], reports: Mapping[str, str]) -> str:
    figures = ("q (1/Å)", *names, "reduced chi2", "EDM", "seconds")
    head = ("fit", "verdict", "what", *figures)
    cells = [_cells(row, names, reports.get(row.name)) for row in rows]
    return table(head, cells, label="fits, those that need attention first", numeric=figures)


def _cells(row: BatchRow, names: Sequence[str], report: str | None) -> list[Cell]:
    failed = row.state == "failed"
    link = f"<a href='{quote(row.name)}/'>{escape(row.name)}</a>"
    if report is not None:
        link += f" (<a href='{quote(report)}'>report</a>)"
    colour, verdict = ("fail", "no fit") if failed else (row.verdict, row.verdict)
    bad = [f"{name}: {status}" for name, status in row.checks.items() if status in ("warn", "fail")]
    q = MISSING if row.q is None else format_number(row.q, 5)
    first = row.name if failed else Markup(link)
    what = row.error if failed else ", ".join(bad)
    return [
        first,
        Markup(f"<span class='{colour}'>{verdict}</span>"),
        what,
        q,
        *_figures(row, names),
    ]


def _figures(row: BatchRow, names: Sequence[str]) -> list[str]:
    if row.state == "failed":
        return [""] * (len(names) + 3)
    numbers = [MISSING if v is None else format_number(v, 4) for v in (row.reduced_chi2, row.edm)]
    return [*(_number(row, name) for name in names), *numbers, f"{row.seconds:.2f}"]


def _number(row: BatchRow, name: str) -> str:
    estimate = row.parameters.get(name)
    if estimate is None or estimate.value is None:
        return MISSING
    if not estimate.uncertainty:
        return format_number(estimate.value, 5)
    value, error = format_with_uncertainty(estimate.value, estimate.uncertainty)
    return f"{value} ± {error}"


def _panels(rows: Sequence[BatchRow], name: str) -> str:
    """Draw a parameter with its error bars against everything that differs between the rows."""
    known = [row for row in rows if name in row.parameters]
    axes = [axis for axis in _AXES if len({getattr(row, axis) for row in known} - {None}) > 1]
    if not axes:
        return f"<p>The same {escape(', '.join(_AXES))} in all fits.</p>"
    figure = Figure(figsize=(_PANEL[0] * len(axes), _PANEL[1]), layout="constrained")
    for place, axis in enumerate(axes, 1):
        panel = figure.add_subplot(1, len(axes), place)
        drawn = [row for row in known if getattr(row, axis) is not None]
        x = _positions(drawn, axis)
        y = [row.parameters[name].value or 0.0 for row in drawn]
        error = [row.parameters[name].uncertainty or 0.0 for row in drawn]
        panel.errorbar(x, y, error, fmt="o", markersize=3, linewidth=1)
        panel.set_xlabel(_AXES[axis])
        if axis == "time":
            dates = ConciseDateFormatter(panel.xaxis.get_major_locator())  # type: ignore[no-untyped-call]
            panel.xaxis.set_major_formatter(dates)
        elif axis == "scan":
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue().partition("<svg")[2]
    label = f"{name} with 1-sigma error bars against {', '.join(axes)}, {len(known)} fits"
    return f"<div class='panels' role='img' aria-label='{escape(label)}'><svg{svg}</div>"


def _positions(rows: Sequence[BatchRow], axis: str) -> NDArray[np.float64] | NDArray[np.datetime64]:
    values = [getattr(row, axis) for row in rows]
    if axis != "time":
        return np.array(values, dtype=float)
    moments = [datetime.fromisoformat(value).replace(tzinfo=None) for value in values]
    return np.array(moments, dtype="datetime64[s]")
