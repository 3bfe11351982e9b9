"""The global stage: a scrambled-Sobol search and coarse descents on decimated pairs.

Pairs of a coarse set of frames keep every angle and exact integrals, so chi2 on them has the same
minima at a fraction of the cost. Rates are drawn at the middle of the window, over the range in
which the data could see them: decays between the whole window and one frame, phases between
one radian over the window and one radian per frame. The best points, and the given start whatever
its rank, are refined; the minima that cannot be told apart on so few pairs are refined again on
more of them. The best is followed on more and more pairs, and is where the fit on all begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.maps.tiling import TILE
from homodyne_cli.core.minimise.minimise import close_in
from homodyne_cli.core.minimise.state import NEAR, Task
from homodyne_cli.core.minimise.trust_region import Limits, descend, stand
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import RATES
from homodyne_cli.results import SearchReport

#: Frames of the search, which fill one tile, and of the second look.
COARSE, MEDIUM = TILE, 3 * TILE
#: Frames on which the best minimum is followed after that, as long as all frames are at least twice
#: as many: what a curved valley takes in steps is cheap there.
_FINER = (9 * TILE, 27 * TILE)
_SCREENED = 256
_REFINED = 8
_REFINE_ITERATIONS = 40
#: Minima within this much chi2 of the best are one and the same minimum.
_SAME = 1.0
#: Largest EDM that says how far a descent is from its minimum.
_VALLEY = 10.0
#: Minima within this much chi2 of the best on the coarse pairs deserve a second look, and at
#: most so many of them.
_CLOSE, _SECOND_LOOKS = 100.0, 3

#: Share of the rate, or distance of an exponent to its bound, at which a power law has vanished;
#: exponents with which it is tried again.
_VANISHED, _REVIVED = 0.02, 0.5

#: EDM below which Gauss-Newton steps take over from the trust region of a descent from afar.
_AT_HAND = 10.0

Decimate = Callable[[int], Objective]


@dataclass(frozen=True)
class Search:
    """What the global stage found.

    Attributes
    ----------
    x
        Where the fit on all pairs should begin.
    origin
        The starting point whose descent led there.
    """

    x: FloatArray
    origin: FloatArray
    report: SearchReport


@dataclass(frozen=True)
class _Pace:
    """How a descent of the search goes.

    Attributes
    ----------
    far
        Whether the trust region has to find the way to a minimum first.
    enough
        EDM at which it ends.
    tolerance
        Relative ftol and xtol of the trust region, where Gauss-Newton steps do not get there.
    """

    far: bool
    enough: float
    tolerance: float


#: Descents of the search tell minima apart and need not end in them: measured on 200 random
#: experiments, with a tolerance of 1e-8 they take a third longer, and none of the fits ends
#: elsewhere. What follows saves passes over all pairs.
_SEARCH = _Pace(far=True, enough=1.0, tolerance=1e-5)
_SECOND_LOOK = _Pace(far=False, enough=0.5, tolerance=1e-8)
_FOLLOWED = _Pace(far=False, enough=1.0, tolerance=1e-6)


@dataclass(frozen=True)
class _Refined:
    origin: FloatArray
    x: FloatArray
    chi2: float
    edm: float = 0.0

    @property
    def floor(self) -> float:
        """Chi2 of the minimum that it is near, by its EDM: descents stop early in valleys."""
        return self.chi2 - min(self.edm, _VALLEY)


def decimated_frames(n: int, count: int = COARSE) -> IndexArray:
    """Return `count` frame indices, or all: half dense at the start, half over the window."""
    if n <= count:
        return np.arange(n)
    early = np.unique(np.geomspace(1, n, count // 2).astype(int)) - 1
    rest = np.setdiff1d(np.arange(n), early)
    spread = rest[np.linspace(0, len(rest) - 1, count - len(early)).astype(int)]
    return np.sort(np.concatenate([early, spread]))


def draw_starts(dataset: Dataset, bracket: FreeParameters, count: int, seed: int) -> FloatArray:
    """Draw (count, p) starting points inside the bounds."""
    # Half of the program's import time, needed here alone.
    from scipy.stats import qmc

    unit = qmc.Sobol(len(bracket.names), seed=seed).random(count)
    width = bracket.upper - bracket.lower
    drawn = bracket.lower + unit * width
    at = {name: k for k, name in enumerate(bracket.names)}
    middle = float(np.sqrt(dataset.t[0] * dataset.t[-1]))
    window = float(dataset.t[-1])
    phase = dataset.q * (dataset.gap or 1.0)
    scales = (0.1 / dataset.q**2, 1.0 / phase)
    for (amplitude, exponent, offset), scale in zip(RATES, scales, strict=True):
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


def search(dataset: Dataset, decimate: Decimate, task: Task, given: FloatArray | None) -> Search:
    """Screen random starts, refine the best, and look twice at minima that are close.

    Parameters
    ----------
    decimate
        Makes the reduced problem on so many frames.
    task
        The fit on all pairs.
    given
        A start that is refined whatever its rank, or None.
    """
    bracket, options = task.bracket, task.options

    def refine(on: Objective, x: FloatArray, origin: FloatArray, pace: _Pace) -> _Refined:
        return _refine(replace(task.at(x), objective=on), origin, pace)

    coarse = decimate(COARSE)
    # The pass with derivatives compiles on one core while the other screens.
    with ThreadPoolExecutor(max_workers=1) as beside:
        compiling = beside.submit(coarse.derivatives, bracket.start)
        starts = draw_starts(dataset, bracket, _SCREENED, options.seed)
        cost = coarse.costs(starts)
        compiling.result()
    keep = starts[np.argsort(cost)[: max(options.multi_start, _REFINED)]]
    if given is not None:
        keep = np.vstack([given, keep])
    refined = [refine(coarse, x, x, _SEARCH) for x in keep]
    again = switched_on(dataset, bracket, distinct_minima(refined)[0].x)
    refined += [refine(coarse, x, x, _SEARCH) for x in again]
    minima = distinct_minima(refined)
    best = minima[0]
    chosen = best
    if dataset.n_frames > MEDIUM:
        medium = decimate(MEDIUM)
        close = [m for m in minima[:_SECOND_LOOKS] if m.chi2 - best.chi2 < _CLOSE]
        looks = [(refine(medium, m.x, m.origin, _SECOND_LOOK), m) for m in close]
        best, chosen = min(looks, key=lambda pair: pair[0].chi2)
    for count in _FINER:
        if 2 * count <= dataset.n_frames:
            finer = decimate(count)
            best = refine(finer, best.x, best.origin, _FOLLOWED)
    others = [m.chi2 for m in minima if m is not chosen]
    report = SearchReport(
        screened=len(starts),
        refined=len(refined),
        reached=sum(m.floor - chosen.chi2 < _SAME for m in refined),
        chi2=chosen.chi2,
        runner_up=min(others) if others else None,
        n_points=coarse.tiles.n_points,
    )
    return Search(best.x, best.origin, report)


def _refine(task: Task, origin: FloatArray, pace: _Pace) -> _Refined:
    options = replace(
        task.options,
        max_iterations=_REFINE_ITERATIONS,
        ftol=pace.tolerance,
        xtol=pace.tolerance,
        x_scale="auto",
        trust_region_scale=1.0,
    )
    task = replace(task, options=options, notify=None)
    found = descend(task, eager=True, limits=Limits(edm=_AT_HAND)) if pace.far else stand(task)
    if not pace.far or found.status == NEAR:
        found = close_in(task, found, pace.enough)
    return _Refined(origin, found.x, found.chi2, found.history[-1].edm)


def switched_on(dataset: Dataset, bracket: FreeParameters, x: FloatArray) -> FloatArray:
    """Return (m, p) starts like `x` in which a power law that had vanished has half of the rate.

    Where a power law is weak, descents end with its amplitude or its exponent at a bound, a
    constant doing its work: a minimum that many starts share and that is not the lowest. From
    there the exponent is tried on both sides of zero, the rate at mid-window kept.
    """
    at = {name: k for k, name in enumerate(bracket.names)}
    middle = float(np.sqrt(dataset.t[0] * dataset.t[-1]))
    starts = []
    for amplitude, exponent, offset in RATES:
        if not {amplitude, exponent, offset} <= set(at):
            continue
        a, e, o = at[amplitude], at[exponent], at[offset]
        moving = float(x[a]) * middle ** float(x[e])
        rate = moving + float(x[o])
        room = min(x[e] - bracket.lower[e], bracket.upper[e] - x[e])
        if abs(moving) > _VANISHED * abs(rate) and room > _VANISHED:
            continue
        for power in (-_REVIVED, _REVIVED):
            start = x.copy()
            start[[a, e, o]] = 0.5 * rate * middle**-power, power, 0.5 * rate
            starts.append(np.clip(start, bracket.lower, bracket.upper))
    return np.reshape(starts, (-1, len(x)))


def distinct_minima(refined: Sequence[_Refined]) -> list[_Refined]:
    """Return one descent per minimum, the lowest first."""
    minima: list[_Refined] = []
    for found in sorted(refined, key=lambda m: m.chi2):
        if not minima or found.floor - minima[-1].chi2 >= _SAME:
            minima.append(found)
    return minima
