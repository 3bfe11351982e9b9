"""Charts made of characters: bars over many decades, and curves over lag."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any, Literal

import numpy as np
from rich.cells import cell_len

from homodyne_cli.dataset import FloatArray
from homodyne_cli.render.console import ascii_text
from homodyne_cli.render.numbers import format_number

#: Length of the shortest bar as a share of the longest.
_SHORTEST = 0.06
_LEAST_BAR_COLUMNS = 4
#: One data mark per so many columns, so that the curve of the fit shows between them.
_COLUMNS_PER_MARK = 2


def log_bar_chart(
    labels: Sequence[str], values: Sequence[float], *, width: int, ascii_only: bool
) -> str:
    """Draw one horizontal bar per value, its length growing with the logarithm.

    Parameters
    ----------
    labels, values
        One each per bar, first on top. The sign of a value is shown beside the bar only; zero and
        values that are not finite get no bar.
    width
        Columns of the whole chart.
    ascii_only
        Draw with ``#`` and spell labels in ASCII.

    Returns
    -------
    str
        Lines without colour codes and without a final newline.
    """
    if not values:
        return ""
    names = [ascii_text(label) if ascii_only else label for label in labels]
    figures = [format_number(value, 4) for value in values]
    if ascii_only:
        figures = [ascii_text(figure) for figure in figures]
    name_width = max(map(cell_len, names))
    bar_width = max(width - name_width - max(map(cell_len, figures)) - 2, _LEAST_BAR_COLUMNS)
    bars = _bars(_log_lengths(values), bar_width, "#" if ascii_only else "█")
    return "\n".join(
        f"{name}{' ' * (name_width - cell_len(name))} {bar}{' ' if bar else ''}{figure}"
        for name, bar, figure in zip(names, bars, figures, strict=True)
    )


def _log_lengths(values: Sequence[float]) -> list[float]:
    """Return bar lengths in 0..1: 0 for no bar, at least `_SHORTEST` otherwise."""
    logs = [
        math.log10(abs(value)) if math.isfinite(value) and value != 0.0 else None
        for value in values
    ]
    known = [log for log in logs if log is not None]
    if not known:
        return [0.0] * len(logs)
    low, span = min(known), max(known) - min(known)
    return [
        0.0
        if log is None
        else 1.0
        if span == 0.0
        else _SHORTEST + (1.0 - _SHORTEST) * (log - low) / span
        for log in logs
    ]


def chart_lines(width: int, height: int, draw: Callable[[Any], object]) -> list[str]:
    """Return the lines of a chart that a function draws into an empty figure of plotext."""
    import plotext

    figure = plotext.figure
    # plotext has one figure for the whole process, and clips it to the terminal unless told.
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(width, height)
    # What it has to say of its axes is not for who reads the chart.
    with redirect_stderr(io.StringIO()):
        draw(figure)
        lines = str(figure.build().string(colorless=True)).splitlines()
    figure.clear()
    return [line.rstrip() for line in lines]


def _bars(lengths: list[float], width: int, marker: str) -> list[str]:
    rows = list(range(len(lengths)))

    def draw(figure: Any) -> None:
        # A bar thinner than its row paints exactly one row.
        figure.draw(figure.bar(rows, lengths, orientation="h", marker=marker, width=0.2))
        figure.axes(False)
        figure.ruler("y").ticks([]).lim(-0.5, len(lengths) - 0.5).direction(-1)
        figure.ruler("x").ticks([]).lim(0.0, 1.0)

    lines = chart_lines(width, len(lengths), draw)
    return [line if length > 0.0 else "" for line, length in zip(lines, lengths, strict=True)]


def lag_profile(
    lags_s: FloatArray,
    data: FloatArray,
    fit: FloatArray,
    *,
    title: str,
    width: int,
    height: int,
    ascii_only: bool,
) -> str:
    """Draw data (marks) and fit (a curve) over lag.

    Parameters
    ----------
    lags_s
        (m,) lags in seconds, rising.
    data, fit
        (m,) means over all pairs of a lag; NaN where there is none.
    title
        First line.
    width, height
        Columns and lines of the whole chart.
    ascii_only
        Use ASCII characters alone.

    Returns
    -------
    str
        Lines without colour codes and without a final newline.
    """
    mark, curve = ("o", ".") if ascii_only else ("●", "braille")
    curve_sample = "." if ascii_only else "⠒"
    keep = np.isfinite(fit)
    marks_x, marks_y = _binned(lags_s, data, max(width // _COLUMNS_PER_MARK, 1))

    def draw(figure: Any) -> None:
        line = figure.signal(lags_s[keep].tolist(), fit[keep].tolist(), marker=curve)
        line.lines(True)
        figure.draw(line)
        figure.draw(figure.signal(marks_x.tolist(), marks_y.tolist(), marker=mark))
        figure.label("lag (s)", "x")
        figure.label("c2", "y")

    shown = keep.any() and len(marks_x) > 0
    lines = chart_lines(width, max(height - 1, 6), draw) if shown else ["no pair to show"]
    legend = f"({mark} data, {curve_sample}{curve_sample} fit)"
    fits = len(title) + 2 + len(legend) <= width
    head = [f"{title}  {legend}"] if fits else [*textwrap.wrap(title, width), legend]
    text = "\n".join([*head, *lines])
    return ascii_text(text) if ascii_only else text


def _binned(x: FloatArray, y: FloatArray, bins: int) -> tuple[FloatArray, FloatArray]:
    """Average finite values in `bins` equal stretches of `x`; empty stretches are left out."""
    keep = np.isfinite(y)
    x, y = x[keep], y[keep]
    if len(x) <= bins:
        return x, y
    place = np.minimum(((x - x[0]) / (x[-1] - x[0]) * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    full = count > 0
    mean_x = np.bincount(place, x, bins)[full] / count[full]
    mean_y = np.bincount(place, y, bins)[full] / count[full]
    return np.asarray(mean_x), np.asarray(mean_y)


def iteration_chart(
    series: Mapping[str, Sequence[float]], *, title: str, width: int, height: int, ascii_only: bool
) -> str:
    """Draw the logarithm of several quantities over iterations, each with a digit of its own.

    Parameters
    ----------
    series
        Values from iteration 0 on, by name; those that are not positive are left out.
    title
        First line; a line that names the digits follows.
    """
    logs = {
        name: (range(len(values)), [math.log10(v) if v > 0.0 else math.nan for v in values])
        for name, values in series.items()
    }
    return _digit_chart(logs, "linear", title, "iteration", width, height, ascii_only)


def log_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    title: str,
    x_label: str,
    width: int,
    height: int,
    ascii_only: bool,
) -> str:
    """Draw quantities on logarithmic axes: one with dots, several each with a digit of its own.

    Parameters
    ----------
    series
        x and y, above zero, by name; where y is NaN the point is left out.
    title
        First line; lines that name the digits follow where there are several.
    """
    return _digit_chart(series, "log", title, x_label, width, height, ascii_only)


def _digit_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    scale: Literal["linear", "log"],
    title: str,
    x_label: str,
    width: int,
    height: int,
    ascii_only: bool,
) -> str:
    keys = [f"{k} {name}" for k, name in enumerate(series, start=1)] if len(series) > 1 else []
    key = textwrap.wrap("   ".join(k.replace(" ", "\0") for k in keys), width)

    def draw(figure: Any) -> None:
        for k, values in enumerate(series.values(), start=1):
            points = [point for point in zip(*values, strict=True) if math.isfinite(point[1])]
            if points:
                x, y = (list(part) for part in zip(*points, strict=True))
                figure.draw(figure.signal(x, y, marker=str(k % 10) if keys else "●"))
        for axis in ("x", "y"):
            figure.ruler(axis).scale(scale)
        figure.label(x_label, "x")

    lines = chart_lines(width, max(height - 1 - len(key), 6), draw)
    text = "\n".join([title, *(line.replace("\0", " ") for line in key), *lines])
    return ascii_text(text) if ascii_only else text
