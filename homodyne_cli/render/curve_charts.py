"""The curves of a fit in a terminal, with their bands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from rich.cells import cell_len

from homodyne_cli.curves import Curve, Curves, is_power_law
from homodyne_cli.dataset import FloatArray
from homodyne_cli.render.bars import chart_lines
from homodyne_cli.render.console import ascii_text

#: What a curve is called, and its axis.
CURVE_LABELS = {
    "transport_coefficient": ("Transport coefficient", "J(t) (Å²/s)"),
    "mean_square_displacement": ("Mean-square displacement along q", "MSD (Å²)"),
    "shear_rate": ("Shear rate", "shear rate (1/s)"),
    "strain": ("Accumulated strain", "strain"),
}
_HEIGHT = 9
#: Columns from which two charts stand side by side.
_PAIRED = 100
_GAP = 2
#: Ratio of the largest to the smallest value up to which all are one on an axis.
_ONE_VALUE = 1.0 + 1e-6


def curve_charts(curves: Curves, *, width: int, ascii_only: bool) -> str:
    """Draw every curve over time, and its band of one sigma where it is wider than a line.

    Parameters
    ----------
    width
        Columns of all charts; two go beside each other where there is room.
    ascii_only
        Use ASCII characters alone.
    """
    paired = width >= _PAIRED
    each = (width - _GAP) // 2 if paired else width
    charts = [_chart(curve, curves.t, each, ascii_only) for curve in curves]
    if paired:
        charts = [
            _beside(charts[k], charts[k + 1] if k + 1 < len(charts) else [], each)
            for k in range(0, len(charts), 2)
        ]
    text = "\n\n".join("\n".join(lines) for lines in charts)
    return ascii_text(text) if ascii_only else text


def _beside(left: list[str], right: list[str], width: int) -> list[str]:
    rows = zip_longest(left, right, fillvalue="")
    return [f"{a}{' ' * (width + _GAP - cell_len(a))}{b}".rstrip() for a, b in rows]


def _varies(lines: Iterable[FloatArray]) -> bool:
    """Whether what a logarithmic axis can show is more than one value, which it cannot."""
    shown = np.concatenate([y[np.isfinite(y) & (y > 0.0)] for y in lines])
    return len(shown) > 0 and float(shown.max()) > _ONE_VALUE * float(shown.min())


def _chart(curve: Curve, t: FloatArray, width: int, ascii_only: bool) -> list[str]:
    _, label = CURVE_LABELS[curve.name]
    band = Band(curve.value, curve.uncertainty, power_law=is_power_law(curve))
    title = f"{label} over t (s), dots: 1 sigma"
    return band_chart(t, band, title=title, width=width, ascii_only=ascii_only)


@dataclass(frozen=True)
class Band:
    """A line and its uncertainty, (n,) each; a power law has logarithmic axes."""

    value: FloatArray
    uncertainty: FloatArray
    power_law: bool = False


def band_chart(
    t: FloatArray,
    band: Band,
    *,
    title: str,
    width: int,
    ascii_only: bool,
    level: float | None = None,
) -> list[str]:
    """Return the lines of a chart of one curve over (n,) times.

    Parameters
    ----------
    level
        Where a horizontal line is drawn.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        lines = {sign: band.value + sign * band.uncertainty for sign in (-1.0, 1.0, 0.0)}
    scale = "log" if band.power_law and _varies(lines.values()) else "linear"
    edge, middle = (".", "*") if ascii_only else ("·", "braille")

    def draw(figure: Any) -> None:
        if level is not None:
            line = figure.signal([float(t[0]), float(t[-1])], [level, level], marker="-")
            figure.draw(line.lines(True))
        for sign, y in lines.items():
            keep = np.isfinite(y) & ((y > 0.0) | (scale == "linear"))
            if keep.any():
                marker = edge if sign else middle
                line = figure.signal(t[keep].tolist(), y[keep].tolist(), marker=marker)
                line.lines(True)
                figure.draw(line)
        for axis in ("x", "y"):
            figure.ruler(axis).scale(scale)

    return [*textwrap.wrap(title, width), *chart_lines(width, _HEIGHT, draw)]
