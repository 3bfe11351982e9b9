r"""Symmetries of the model: which other parameters describe the data exactly as well.

Only cos^2(phi0 - phi) acts, so phi0 and phi0 + 180 degrees are the same model, and so is phi0
mirrored at phi where all angles are equal modulo 90 degrees. In the convention ``he2024`` so is the
shear rate with the other sign. Where bounds allow several, the one reported is that with phi0
nearest zero and a positive rate at mid-window.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise.state import MinimiserState
from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import NAMES, RATES, Convention

#: Angles closer than this to each other modulo 90 degrees are equal, in degrees: closer than the
#: angles of detector bins are known.
_SAME_ANGLE = 1e-3


def canonical(
    state: MinimiserState, objective: Objective, dataset: Dataset, convention: Convention
) -> MinimiserState:
    """Return the same minimum with phi0 nearest zero and a positive shear rate, within bounds."""
    x, at, free = state.x.copy(), state.at, objective.free
    place = {name: k for k, name in enumerate(free.names)}
    if "phi0" in place:
        k = place["phi0"]
        images = _turned(float(x[k]), free.lower[k], free.upper[k])
        x[k] = min([float(x[k]), *images], key=abs)
    flip = _flip(x, free, convention)
    if flip is not None:
        # The exponent may be held.
        rate, beta, offset = objective.expand(x)[[NAMES.index(name) for name in RATES[1]]]
        if rate * reference_time(dataset.t) ** beta + offset < 0.0:
            x = flip * x
            sign = np.concatenate([flip, np.ones(len(at.hessian.head) - len(flip))])
            hessian, gradient = at.hessian.scaled(sign), flip * at.gradient
            at = replace(at, hessian=hessian, gradient=gradient, grams=None)
    return replace(state, x=x, at=at)


def equivalents(
    x: FloatArray, free: FreeParameters, dataset: Dataset, convention: Convention
) -> tuple[dict[str, float], ...]:
    """Return what else inside the bounds describes the data exactly as well, by parameter."""
    out = []
    if "phi0" in free.names:
        k = free.names.index("phi0")
        value, low, high = float(x[k]), float(free.lower[k]), float(free.upper[k])
        others = _turned(value, low, high)
        apart = np.mod(dataset.phi - dataset.phi[0] + 45.0, 90.0) - 45.0
        mirrored = 2.0 * float(dataset.phi[0]) - value
        # Along a common axis of all angles, and across it, a mirror image is a half turn.
        is_own = abs((mirrored - value + 90.0) % 180.0 - 90.0) < _SAME_ANGLE
        if np.all(np.abs(apart) < _SAME_ANGLE) and not is_own:
            others += [mirrored] if low <= mirrored <= high else []
            others += _turned(mirrored, low, high)
        out += [{"phi0": other} for other in others]
    flip = _flip(x, free, convention)
    if flip is not None:
        out.append({n: float(-x[k]) for k, n in enumerate(free.names) if flip[k] < 0.0})
    return tuple(out)


def _turned(value: float, low: float, high: float) -> list[float]:
    """Return value + 180 degrees times +-1, +-2 ... within one turn and the bounds."""
    turns = [value + 180.0 * k for k in (-2, -1, 1, 2)]
    return [v for v in turns if max(low, -360.0) <= v <= min(high, 360.0)]


def _flip(x: FloatArray, free: FreeParameters, convention: Convention) -> FloatArray | None:
    """Return the signs (p,) that turn the shear rate round, None where bounds or model forbid."""
    if convention != "he2024" or not {"gamma_dot_t0", "gamma_dot_t_offset"} <= set(free.names):
        return None
    signs = np.array([-1.0 if n.startswith("gamma_dot") else 1.0 for n in free.names])
    inside = np.all((signs * x >= free.lower) & (signs * x <= free.upper))
    return signs if inside else None
