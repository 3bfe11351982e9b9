"""Starting points without a guess: a scrambled-Sobol search on decimated pairs.

Pairs of a coarse set of frames keep every angle and exact integrals, so chi2 on them has the same
minima at a fraction of the cost. Rates are drawn at the middle of the window, over the range in
which the data could see them: decays between the whole window and one frame, phases between
one radian over the window and one radian per frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import qmc

from homodyne_cli.core.coordinates import Coordinates
from homodyne_cli.core.objective import Objective
from homodyne_cli.core.solver import Bracket, Descent, descend
from homodyne_cli.models import Dataset, FloatArray, IndexArray, SolverOptions

_FRAMES = 50
_SCREENED = 256
_REFINED = 8
_REFINE_ITERATIONS = 40


@dataclass(frozen=True)
class Search:
    """What the global stage found: the best point and the chi2 of every refined start."""

    x: FloatArray
    chi2: tuple[float, ...]


def decimated_frames(n: int) -> IndexArray:
    """Return up to 50 frame indices: half of them dense at the start, half over the window."""
    if n <= _FRAMES:
        return np.arange(n)
    early = np.unique(np.geomspace(1, n, _FRAMES // 2).astype(int)) - 1
    spread = np.linspace(0, n - 1, _FRAMES - len(early) + 2).astype(int)
    return np.unique(np.concatenate([early, spread]))


def draw_starts(dataset: Dataset, bracket: Bracket, count: int, seed: int) -> FloatArray:
    """Draw (count, p) starting points inside the bounds."""
    unit = qmc.Sobol(len(bracket.names), seed=seed).random(count)
    width = bracket.upper - bracket.lower
    drawn = bracket.lower + unit * width
    at = {name: k for k, name in enumerate(bracket.names)}
    middle = float(np.sqrt(dataset.t[0] * dataset.t[-1]))
    window = float(dataset.t[-1])
    phase = dataset.q * (dataset.gap or 1.0)
    groups = (
        ("D0", "alpha", "D_offset", 0.1 / dataset.q**2),
        ("gamma_dot_t0", "beta", "gamma_dot_t_offset", 1.0 / phase),
    )
    for amplitude, exponent, offset, scale in groups:
        if amplitude not in at:
            continue
        low, high = scale / window, 10.0 * scale / dataset.dt
        rate = low * (high / low) ** unit[:, at[amplitude]]
        power = np.zeros(count)
        if exponent in at:
            k = at[exponent]
            low_power = max(-1.5, bracket.lower[k])
            power = low_power + unit[:, k] * max(min(1.5, bracket.upper[k]) - low_power, 0.0)
            drawn[:, k] = power
        share = np.zeros(count)
        if offset in at:
            share = unit[:, at[offset]] - 0.25
            drawn[:, at[offset]] = share * rate
        drawn[:, at[amplitude]] = (1.0 - share) * rate * middle**-power
    return np.clip(drawn, bracket.lower, bracket.upper)


def search(
    dataset: Dataset,
    objective: Objective,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    given: FloatArray | None,
) -> Search:
    """Screen random starts on decimated pairs, refine the best, return the best of all.

    Parameters
    ----------
    objective
        The reduced problem on decimated pairs.
    given
        A start that is refined whatever its rank, or None.
    """
    starts = draw_starts(dataset, bracket, _SCREENED, options.seed)
    cost = np.array([objective.cost(x)[0] for x in starts])
    keep = starts[np.argsort(cost)[: max(options.multi_start, _REFINED)]]
    if given is not None:
        keep = np.vstack([given, keep])
    refine = replace(
        options, max_iterations=_REFINE_ITERATIONS, x_scale="auto", trust_region_scale=1.0
    )
    found: list[Descent] = []
    for x in keep:
        found.append(descend(objective, refine, replace(bracket, start=x), coordinates))
    best = min(found, key=lambda d: d.chi2)
    return Search(best.x, tuple(d.chi2 for d in found))
