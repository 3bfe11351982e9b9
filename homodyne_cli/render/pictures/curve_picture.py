"""The curves of a fit with their bands, as a PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from homodyne_cli.curves import Curve, Curves, is_power_law
from homodyne_cli.dataset import FloatArray

_DPI = 150
_PANEL = (5.0, 3.2)
CURVES_PICTURE = "curves.png"


def save_curves(path: Path, curves: Curves, labels: dict[str, str], title: str) -> None:
    """Draw every curve over time with its band of one sigma.

    Parameters
    ----------
    labels
        What stands at the axis of each curve, by its name.
    """
    every = list(curves)
    rows = -(-len(every) // 2)
    figure = Figure(figsize=(2 * _PANEL[0], rows * _PANEL[1]), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for k, curve in enumerate(every):
        axes = figure.add_subplot(rows, 2, k + 1)
        draw_curve(axes, curves.t, curve, labels[curve.name])
    figure.suptitle(f"{title}bands: 1 sigma", fontsize="medium")
    figure.savefig(path)


def draw_curve(axes: Axes, t: FloatArray, curve: Curve, label: str) -> None:
    """Draw one curve over (n,) times in seconds; axes are logarithmic where it is a power law."""
    low, high = curve.value - curve.uncertainty, curve.value + curve.uncertainty
    if is_power_law(curve):
        axes.set(xscale="log", yscale="log")
        low = np.maximum(low, curve.value.min() * 1e-2)
    axes.fill_between(t, low, high, alpha=0.3, linewidth=0)
    axes.plot(t, curve.value)
    axes.set(xlabel="t (s)", ylabel=label)
    axes.grid(alpha=0.3)
