"""Expected uncertainties over a scan, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_DPI = 150
_PANEL = (5.0, 3.2)

#: x and y by what the line is of.
Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def save_lines(
    path: Path, panels: Mapping[str, Lines], limits: Mapping[str, float], x_label: str
) -> None:
    """Draw a panel for each quantity, with a line for each of its series, all on log axes.

    Parameters
    ----------
    panels
        By what stands at the y axis.
    limits
        Goals of some of them.
    """
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    size = (columns * _PANEL[0], rows * _PANEL[1])
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for k, (label, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, k + 1)
        for key, (x, y) in lines.items():
            axes.plot(x, y, marker="o", markersize=3, label=key or None)
        if label in limits:
            axes.axhline(limits[label], color="gray", linestyle="--", label="goal")
        axes.set(xlabel=x_label, ylabel=label, xscale="log", yscale="log")
        axes.grid(alpha=0.3, which="both")
        if k == 0 and len(lines) > 1:
            figure.legend(loc="outside lower center", fontsize="x-small", ncols=columns)
    figure.savefig(path, format="png")
