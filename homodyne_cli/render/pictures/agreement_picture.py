"""What rings or repeats deviate by, as a PNG."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from homodyne_cli.findings.agreement import Agreement

_DPI = 150
_PANEL = (4.2, 3.2)


def save_agreement(path: Path, agreement: Agreement, title: str) -> None:
    """Draw the deviation of every quantity over q, or over the number of the repeat."""
    count = max(len(agreement.quantities), 1)
    figure = Figure(figsize=(count * _PANEL[0], _PANEL[1]), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for k, quantity in enumerate(agreement.quantities):
        axes = figure.add_subplot(1, count, k + 1)
        axes.axhline(0.0, color="grey", linewidth=0.8)
        axes.errorbar(agreement.parts, quantity.deviation, quantity.uncertainty, fmt="o", capsize=3)
        across = "q (1/Å)" if agreement.kind == "rings" else "repeat"
        axes.set(xlabel=across, ylabel=f"{quantity.name} off ({quantity.unit})")
        axes.grid(alpha=0.3)
    figure.suptitle(f"{title}{agreement.kind} against the joint fit", fontsize="medium")
    figure.savefig(path)
