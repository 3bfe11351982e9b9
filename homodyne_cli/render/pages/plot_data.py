"""The numbers that the figures of a report are drawn from, as JSON, small enough to be sent round.

Curves and profiles are packed as float32. Maps are averaged over blocks of frames, halved along the
diagonal and quantised to 65,535 levels between their ends, which is finer than any colour scale.
Each figure comes with a sentence that says what it shows.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from homodyne_cli.assessments import SavedFit
from homodyne_cli.core.checks.lag_profiles import LagProfiles, lag_profiles
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.curves import Curve, Curves, is_power_law
from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.render.curve_charts import CURVE_LABELS
from homodyne_cli.render.numbers import format_number, format_with_uncertainty
from homodyne_cli.render.pictures.heatmaps import (
    LOBES,
    baseline_block,
    displayed,
    drawn_frames,
    near_baseline,
)

Json = Mapping[str, object]
Texts = Mapping[str, str]

#: Among 16-bit values, what stands for none.
_MISSING = 65535
_ANGLE = "φ = {:.2f}°"
#: Lines are some 800 pixels wide on a page; profiles have marks beside them.
_CURVE_POINTS = 400
_PROFILE_POINTS = 160
#: Bytes of all maps of a page in base64: with 1.5 MB of plotting library the page stays below 5 MB.
_MAP_BYTES = 2_400_000
_LARGEST_SIDE = 160
_MAPS_PER_ANGLE = 3


@dataclass(frozen=True)
class RunFigures:
    """What the figures of a run are drawn from, and what each of them shows in words.

    Attributes
    ----------
    data
        The run's part of the page's JSON.
    curves, scaling, correlation, history
        Sentences; empty where there is nothing to draw.
    maps, profiles
        Sentences on the first angle, by the kind of figure.
    """

    data: Json
    curves: tuple[str, ...]
    scaling: tuple[str, ...]
    correlation: str
    history: str
    maps: Mapping[str, str]
    profiles: Mapping[str, str]


def map_side(n_maps: int) -> int:
    """Return how many blocks a side maps are drawn with, if a page has so many angles in all."""
    values = _MAP_BYTES * 3 / 4 / 2 / _MAPS_PER_ANGLE / max(n_maps, 1)
    return max(min(int(math.sqrt(2.0 * values)), _LARGEST_SIDE), 8)


def run_figures(saved: SavedFit, residuals: Residuals, side: int) -> RunFigures:
    """Return what the figures of a run are drawn from.

    Parameters
    ----------
    side
        Most blocks that a side of a map is averaged to.
    """
    result = saved.result
    chosen = _spread(len(result.curves.t), _CURVE_POINTS)
    profiles, profile_texts = _profiles(saved, lag_profiles(residuals))
    maps, map_texts = _maps(saved, residuals, side)
    scalings = (
        ("contrast", result.contrast, result.contrast_uncertainty),
        ("offset", result.offset, result.offset_uncertainty),
    )
    return RunFigures(
        {
            "name": saved.name,
            "t": _packed(result.curves.t[chosen]),
            "curves": [_curve(curve, chosen) for curve in result.curves],
            "correlation": {"names": result.covariance_names, "matrix": _correlation(saved)},
            "phi": saved.phi,
            "place": [saved.rows.place(a, _ANGLE) for a in range(len(saved.phi))],
            "scaling": [
                {"name": name, "title": f"{name.capitalize()} per angle", "value": v, "sigma": e}
                for name, v, e in scalings
            ],
            "profiles": profiles,
            "maps": maps,
            "history": {
                "iteration": [step.iteration for step in result.history],
                "chi2": [step.chi2 - result.chi2 + 1.0 for step in result.history],
                "edm": [step.edm for step in result.history],
            },
        },
        curves=tuple(_curve_text(curve, result.curves) for curve in result.curves),
        scaling=tuple(_scaling_text(name, saved, v, e) for name, v, e in scalings),
        correlation=_correlation_text(saved),
        history=_history_text(saved),
        maps=map_texts,
        profiles=profile_texts,
    )


def _packed(values: FloatArray) -> Json:
    code = base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode("ascii")
    return {"dtype": "f4", "bdata": code}


def _quantised(values: FloatArray) -> Json:
    """Pack the upper triangle of a map, diagonal included."""
    upper = values[np.triu_indices(len(values))]
    known = np.isfinite(upper)
    low, high = (float(upper[known].min()), float(upper[known].max())) if known.any() else (0, 1)
    step = (high - low) / (_MISSING - 1) or 1.0
    levels = np.where(known, np.round((upper - low) / step), _MISSING).astype("<u2")
    code = base64.b64encode(levels.tobytes()).decode("ascii")
    return {"dtype": "u2", "bdata": code, "low": low, "step": step}


def _spread(n: int, most: int) -> IndexArray:
    """Return indices 0 to n - 1, or `most` of them, dense at the start as logarithms are."""
    if n <= most:
        return np.arange(n)
    return np.unique(np.round(np.geomspace(1, n, most)).astype(int) - 1)


def _said(value: float, error: float, unit: str) -> str:
    if not error > 0.0:
        return f"{format_number(value, 5)} {unit}".rstrip()
    number, around = format_with_uncertainty(value, error)
    return f"{number} ± {around} {unit}".rstrip()


def _curve(curve: Curve, chosen: IndexArray) -> Json:
    title, label = CURVE_LABELS[curve.name]
    return {
        "name": curve.name,
        "title": title,
        "label": label,
        "log": is_power_law(curve),
        "value": _packed(curve.value[chosen]),
        "sigma": _packed(curve.uncertainty[chosen]),
    }


def _curve_text(curve: Curve, curves: Curves) -> str:
    unit = curve.unit.replace("A^2", "Å²")
    first, last = (_said(float(curve.value[k]), float(curve.uncertainty[k]), unit) for k in (0, -1))
    span = f"{curves.t[0]:.4g} s to {curves.t[-1]:.4g} s"
    title, _ = CURVE_LABELS[curve.name]
    return f"{title} over time, {span}: from {first} to {last}; band of one sigma."


def _correlation(saved: SavedFit) -> FloatArray:
    covariance = saved.result.covariance
    size = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(size, size))


def _correlation_text(saved: SavedFit) -> str:
    names, matrix = saved.result.covariance_names, _correlation(saved)
    apart = np.triu(np.nan_to_num(np.abs(matrix)), 1)
    text = "Correlation of the parameters."
    if not apart.size or apart.max() == 0.0:
        return text
    i, j = np.unravel_index(np.argmax(apart), apart.shape)
    return f"{text} The largest: {names[i]} and {names[j]}, {matrix[i, j]:+.3f}."


def _scaling_text(name: str, saved: SavedFit, value: FloatArray, error: FloatArray) -> str:
    low, high = int(np.argmin(value)), int(np.argmax(value))
    least, most = (_said(float(value[a]), float(error[a]), "") for a in (low, high))
    return (
        f"{name.capitalize()} per angle, with error bars of one sigma: from {least} at "
        f"{saved.rows.place(low, _ANGLE)} to {most} at {saved.rows.place(high, _ANGLE)}."
    )


def _profiles(saved: SavedFit, profiles: LagProfiles) -> tuple[Json, Texts]:
    edges = np.append(_spread(len(profiles.lag), _PROFILE_POINTS), len(profiles.lag))
    count = np.maximum(np.add.reduceat(profiles.count, edges[:-1], axis=1), 1e-300)

    def averaged(values: FloatArray) -> FloatArray:
        sums = np.add.reduceat(np.nan_to_num(values) * profiles.count, edges[:-1], axis=1)
        return np.where(count >= 1.0, sums / count, np.nan)

    with np.errstate(divide="ignore"):
        weight = np.add.reduceat(np.nan_to_num(profiles.error**-2.0), edges[:-1], axis=1)
        error = 1.0 / np.sqrt(weight)
    data, fit = averaged(profiles.data), averaged(profiles.fit)
    lag = np.array([profiles.lag[a:b].mean() for a, b in pairwise(edges)])
    texts = [
        _profile_texts(saved.rows.place(a, _ANGLE), lag, data[a], fit[a], error[a])
        for a in range(len(saved.phi))
    ]
    angles = [
        {"data": _packed(data[a]), "fit": _packed(fit[a]), "error": _packed(error[a]), "text": text}
        for a, text in enumerate(texts)
    ]
    return {"lag": _packed(lag), "angles": angles}, texts[0]


def _profile_texts(
    place: str, lag: FloatArray, data: FloatArray, fit: FloatArray, error: FloatArray
) -> Texts:
    pull = np.nan_to_num((data - fit) / error)
    worst = int(np.argmax(np.abs(pull)))
    ends = [format_number(float(data[k]), 5) for k in (0, -1)]
    return {
        "mean": f"c2 at {place} averaged over ages, against lag: data from {ends[0]} at "
        f"{lag[0]:.4g} s to {ends[1]} at {lag[-1]:.4g} s, and the fit as a line.",
        "pull": f"What the fit leaves of it, in standard errors of white noise: at most "
        f"{pull[worst]:+.1f}, at a lag of {lag[worst]:.4g} s.",
    }


def _maps(saved: SavedFit, residuals: Residuals, side: int) -> tuple[Json, Texts]:
    data = residuals.dataset
    frames = drawn_frames(data.n_frames)
    c2, fitted = data.selected(frames), residuals.fit_between(frames)
    block = -(-len(frames) // side)
    coarse = baseline_block(len(frames), residuals.sigma, saved.result.contrast)
    angles, ranges = [], []
    for a in range(len(saved.phi)):
        scaling = float(saved.result.contrast[a]) or 1.0, float(saved.result.offset[a])
        averaged = displayed(c2[a], side), displayed(fitted[a], side)
        residual = displayed((c2[a] - fitted[a]) / residuals.sigma[a], side)
        baseline = near_baseline(c2[a], *scaling, coarse)
        spread = _Spread.of(averaged[0], residual)
        ranges.append(spread)
        angles.append(
            {
                "data": _quantised(averaged[0]),
                "fit": _quantised(averaged[1]),
                "residual": _quantised(residual),
                "baseline": _quantised(baseline),
                "text": spread.texts(saved.rows.place(a, _ANGLE), scaling[1]),
            }
        )
    maps = {
        **_grid(data.t[frames], block),
        "baseline": _grid(data.t[frames], coarse),
        "low": min(r.low for r in ranges),
        "high": max(r.high for r in ranges),
        "reach": max(r.residual for r in ranges) or 1.0,
        "lobes": LOBES,
        "angles": angles,
    }
    return maps, ranges[0].texts(saved.rows.place(0, _ANGLE), float(saved.result.offset[0]))


def _grid(t: FloatArray, block: int) -> Json:
    """Return where the blocks of a map lie."""
    step = float(t[1] - t[0])
    return {
        "side": -(-len(t) // block),
        "first": float(t[0]) + step * (block - 1) / 2,
        "step": step * block,
        "averaged": f", mean of {block} × {block}" if block > 1 else "",
    }


@dataclass(frozen=True)
class _Spread:
    """What nearly all of one angle's maps lie within: c2, residual in units of the noise."""

    low: float
    high: float
    residual: float

    @classmethod
    def of(
        cls,
        data: FloatArray,
        residual: FloatArray,
    ) -> _Spread:
        return cls(
            _percentile(data, 0.5), _percentile(data, 99.5), _percentile(np.abs(residual), 99.0)
        )

    def texts(self, place: str, offset: float) -> Texts:
        low, high = (format_number(end, 4) for end in (self.low, self.high))
        where = f"at {place} over both frame times"
        return {
            "data": f"Measured c2 {where}: 99% of it between {low} and {high}.",
            "fit": f"Fitted c2 {where}, on the same colours.",
            "residual": f"Data less fit {where}, in units of the noise: 99% within "
            f"±{self.residual:.2g}. A pattern is what the model does not describe.",
            "baseline": f"Measured c2 {where} around its baseline {format_number(offset, 5)}, in "
            "percent of the contrast: side lobes of the shear show here.",
        }


def _percentile(values: FloatArray, share: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, share)) if known.size else 0.0


def _history_text(saved: SavedFit) -> str:
    history = saved.result.history
    if not history:
        return ""
    first, last = history[0], history[-1]
    return (
        f"chi2 fell from {first.chi2:.6g} to {last.chi2:.6g} in {len(history) - 1} steps, and what "
        f"one more step would gain (EDM) from {first.edm:.3g} to {last.edm:.3g}."
    )
