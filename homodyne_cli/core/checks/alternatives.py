r"""Maps that known wrong models would add to a fitted one, for score tests against them by name.

A test against one pattern is the most powerful there is against it, and bins of lag or of age have
a dozen: a step in the dynamics that twelve bins share out among them stands out in the one map that
a step makes. With g the field correlation of the fit, u and h the decay and phase of a pair
(f = g^2 = exp(-2u) S(h)) and l its lag, the derivative of f by the amplitude of

    a component at rest                 2 g (1 - g)
    a beat, of some period              2 g (cos(2 pi l / period) - g)
    a stretched or compressed decay     -2 u ln(u) f
    drift of beam or sample             -l^2 f
    diffusion, in a stretch of time     -2 u_k f,    u_k the part of u in that stretch
    shear, in a stretch of time         (df/dh) h_k
    a step of either at half time       the same, for the second half
    another shear factor                exp(-2u) (S' - S), S' = sinc^4 for sinc^2 and back

S' has the width of S. Only what the fit does not absorb of a map counts (`core.noise.score_tests`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from homodyne_cli.core.model.pair_model import PairModel, sinc
from homodyne_cli.dataset import FloatArray

#: Stretches of time in which rates may differ, and periods of a beat, from 4 frames on.
_STRETCHES, _PERIODS, _SHORTEST = 4, 8, 4.0


@dataclass(frozen=True)
class Alternatives:
    """Maps of one angle and which of them belong together.

    Attributes
    ----------
    maps
        (a, m, m) symmetric, in units of the contrast.
    kinds
        Places of the maps, by what would be wrong.
    """

    maps: FloatArray
    kinds: Mapping[str, slice]


def alternative_maps(model: PairModel) -> Alternatives:
    """Return what each wrong model would add to |g1|^2 of an angle."""
    m = len(model.decay)
    frames = np.arange(m)
    i, j = frames[:, None], frames
    g, slope = model.with_slope(i, j)
    f, lag = g * g, np.abs(i - j) / m
    u = np.abs(model.decay[j] - model.decay[i])
    groups = {
        "a component at rest": [2.0 * g * (1.0 - g)],
        "a stretched decay": [-2.0 * u * np.log(np.maximum(u, 1e-12)) * f],
        "drift": [-(lag**2) * f],
        "a step in diffusion": [-2.0 * _parts(model.decay, 2)[1] * f],
        "diffusion over time": [-2.0 * part * f for part in _parts(model.decay, _STRETCHES)],
        "a beat": [2.0 * g * (np.cos(2.0 * np.pi * lag / p) - g) for p in _periods(m)],
    }
    if model.form is not None:
        # With its sign: the slope is odd in the phase.
        odd = slope * np.sign(j - i) / model.form.scale
        groups["a step in shear"] = [odd * _parts(model.phase, 2)[1]]
        groups["shear over time"] = [odd * part for part in _parts(model.phase, _STRETCHES)]
        h = model.phase[j] - model.phase[i]
        other = sinc(h / 2**0.5) ** 4 if model.form.power == 2 else sinc(h * 2**0.5) ** 2
        groups["another shear factor"] = [np.exp(-2.0 * u) * (other - sinc(h) ** model.form.power)]
    maps = np.array([one for group in groups.values() for one in group])
    ends = np.cumsum([0, *map(len, groups.values())])
    kinds = {name: slice(*ends[k : k + 2]) for k, name in enumerate(groups)}
    maps[:, frames, frames] = 0.0
    return Alternatives(maps, kinds)


def _parts(curve: FloatArray, stretches: int) -> list[FloatArray]:
    """Return how far a curve runs between two frames within each stretch of time, unsigned."""
    edges = np.linspace(0, len(curve) - 1, stretches + 1).astype(int)
    frames, steps = np.arange(len(curve)), np.append(0.0, np.diff(curve))
    parts = []
    for low, high in pairwise(edges):
        within = np.cumsum(np.where((frames > low) & (frames <= high), steps, 0.0))
        difference = within - within[:, None]
        parts.append(np.triu(difference) - np.tril(difference))
    return parts


def _periods(m: int) -> FloatArray:
    """Return periods as shares of the whole time."""
    return np.asarray(np.geomspace(min(_SHORTEST / m, 0.5), 1.0, _PERIODS))
