"""Curves and maps of a fit, drawn on axes that the caller made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.curves import Curve
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import UsageError
from homodyne_cli.render.curve_charts import CURVE_LABELS
from homodyne_cli.render.pictures.curve_picture import draw_curve
from homodyne_cli.render.pictures.heatmaps import displayed, extent_of, robust_range
from homodyne_cli.results import FitResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MapKind: TypeAlias = Literal["data", "fit", "residual"]

#: Side of a drawn map; larger ones are averaged in blocks.
_PIXELS = 400


def plot_curve(axes: Axes, t: np.ndarray, curve: Curve) -> None:
    """Draw a curve with its band of one sigma."""
    draw_curve(axes, t, curve, CURVE_LABELS[curve.name][1])


def plot_map(axes: Axes, dataset: Dataset, result: FitResult, angle: int, kind: MapKind) -> None:
    """Draw the map of one angle: the data, the fit, or their difference in units of the noise.

    Raises
    ------
    UsageError
        If there is no such angle.
    """
    if not 0 <= angle < dataset.n_phi:
        raise UsageError(
            f"there is no map {angle}", hint=f"maps are 0 to {dataset.n_phi - 1}, as in data.phi"
        )
    measured = dataset.c2[angle]
    scaling = result.contrast, result.offset
    fitted = model_maps(dataset, result.values, *scaling, result.convention)
    modelled = fitted.block(angle, slice(None), slice(None))
    values = {
        "data": measured,
        "fit": modelled,
        "residual": (measured - modelled) / float(result.sigma[angle]),
    }[kind]
    shown = displayed(np.asarray(values), _PIXELS)
    low, high = robust_range(shown.ravel())
    if kind == "residual":
        high = max(abs(low), abs(high))
        low = -high
    image = axes.imshow(
        shown,
        origin="lower",
        extent=extent_of(dataset.t, -(-dataset.n_frames // len(shown))),
        cmap="RdBu_r" if kind == "residual" else "viridis",
        vmin=low,
        vmax=high,
    )
    axes.set(xlabel="t2 (s)", ylabel="t1 (s)")
    axes.set_title(f"{kind}, {dataset.rows.place(angle, 'φ = {:.2f}°')}", fontsize="medium")
    unit = "noise" if kind == "residual" else "c2"
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label=unit)


def plot_correlation(axes: Axes, result: FitResult) -> None:
    """Draw how the uncertainties of the parameters are correlated."""
    names = result.covariance_names
    deviations = np.sqrt(np.diag(result.covariance))
    matrix = result.covariance / np.outer(deviations, deviations)
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right")
    axes.set_yticks(places, names)
    axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, label="correlation")
