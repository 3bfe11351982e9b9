r"""Default bounds of the rates, where the data decay faster or slower than what they were made for.

c2 falls half way to its plateau after a lag t_h. Diffusion alone does that at the rate
J = ln 2 / (q^2 t_h), shear alone, sinc^2(x/2) with x = q L gamma t_h, at gamma = 2.78 / (q L t_h).
Default bounds hold what soft matter in a shear cell does. Where J or gamma is not well inside of
them they are widened to hold it, with room for what the half-way point does not tell: the other
process, the age, and the exponents, by which an amplitude counts at one second and not at t_h.
Bounds that were chosen stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from homodyne_cli.dataset import Dataset, IndexArray
from homodyne_cli.parameters import RATES
from homodyne_cli.problem import Bounds, FitProblem

#: Frames that the decay is looked for in, and bins of lag, even in its logarithm.
_FRAMES: Final = 64
_BINS: Final = 16
#: A rate is well inside bounds if they leave it a decade on both sides, and gets three where not.
_INSIDE, _ROOM = 10.0, 1e3
#: Exponents for which the room is made.
_EXPONENT: Final = 1.5
#: The argument x at which sinc^2(x/2) is a half.
_HALF_SHEAR: Final = 2.783


def with_default_bounds(dataset: Dataset, problem: FitProblem) -> FitProblem:
    """Return the problem with bounds that nobody chose widened to what the data show."""
    bounds = {**problem.bounds, **dict(_widened(dataset, problem))}
    return replace(problem, bounds=bounds)


def _widened(dataset: Dataset, problem: FitProblem) -> Iterator[tuple[str, Bounds]]:
    lag, q = half_decay(dataset), float(np.mean(dataset.q))
    rates = [float(np.log(2.0)) / (q**2 * lag)]
    if problem.mode == "laminar_flow" and dataset.gap:
        rates.append(_HALF_SHEAR / (q * dataset.gap * lag))
    room = _ROOM * max(lag, 1.0 / lag) ** _EXPONENT
    for (amplitude, _, offset), rate in zip(RATES, rates, strict=False):
        limits, around = problem.bounds[amplitude], problem.bounds[offset]
        if limits.chosen or limits.lower * _INSIDE <= rate <= limits.upper / _INSIDE:
            continue
        lower, upper = min(limits.lower, rate / room), max(limits.upper, rate * room)
        yield amplitude, replace(limits, lower=lower, upper=upper)
        if not around.chosen and rate > around.upper / _INSIDE:
            reach = rate * _ROOM
            yield offset, replace(around, lower=-reach, upper=reach)


def half_decay(dataset: Dataset) -> float:
    """Return the lag in seconds at which c2 is half way between its shortest and longest lags."""
    frames = _spread(dataset.n_frames)
    i, j = np.triu_indices(len(frames), 1)
    t = dataset.t[frames]
    lags, values = t[j] - t[i], dataset.selected(frames)[:, i, j]
    edges = np.geomspace(lags.min(), lags.max(), _BINS + 1)
    bins = np.minimum(np.searchsorted(edges, lags, side="right") - 1, _BINS - 1)
    middles, levels = [], []
    for k in range(_BINS):
        inside = values[:, bins == k]
        inside = inside[np.isfinite(inside)]
        if len(inside):
            middles.append(float(np.sqrt(edges[k] * edges[k + 1])))
            # Single pairs may be far out.
            levels.append(float(np.median(inside)))
    halves = np.array(levels) <= 0.5 * (levels[0] + levels[-1])
    return middles[int(np.argmax(halves))] if halves.any() else middles[-1]


def _spread(n: int) -> IndexArray:
    """Return frames with short and long lags between them: dense first, then over the window."""
    if n <= _FRAMES:
        return np.arange(n)
    dense = np.arange(_FRAMES // 2)
    wide = np.linspace(_FRAMES // 2, n - 1, _FRAMES - len(dense)).astype(np.intp)
    return np.concatenate([dense, wide])
