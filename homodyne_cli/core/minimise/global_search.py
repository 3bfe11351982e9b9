"""The global stage: a scrambled-Sobol search and coarse descents on decimated pairs.

Pairs of a coarse set of frames keep every angle and exact integrals, so chi2 on them has the same
minima at a fraction of the cost. Rates are drawn at the middle of the window, over the range in
which the data could see them: decays between the whole window and one frame, phases between
one radian over the window and one radian per frame. The best points, and the given start whatever
its rank, are refined; the minima that cannot be told apart on so few pairs are refined again on
more of them. The best is followed on more and more pairs, and is where the fit on all begins. Where
an exponent is open there, the whole valley of its law is walked (`valleys`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import Coordinates
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import gauss_newton
from homodyne_cli.core.minimise.policy import Pace
from homodyne_cli.core.minimise.state import StopReason
from homodyne_cli.core.minimise.trust_region import run_trust_region
from homodyne_cli.core.minimise.valleys import (
    OpenLaw,
    descend,
    free_law,
    open_laws,
    reversed_minima,
    valley_minima,
)
from homodyne_cli.core.numerics.sobol import sobol_points
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import RATES
from homodyne_cli.problem import FitProblem, SolverOptions
from homodyne_cli.results import OnPhase, Rival, SearchReport, unfollowed


@dataclass(frozen=True)
class Search:
    """What the global stage leads to.

    Attributes
    ----------
    x
        Where the fit on all pairs should begin.
    origin
        The starting point from which it was reached.
    """

    x: FloatArray
    origin: FloatArray
    report: SearchReport


@dataclass(frozen=True)
class Refined:
    """The end of a descent on decimated pairs, and the start that it came from."""

    origin: FloatArray
    x: FloatArray
    chi2: float
    edm: float = 0.0

    @property
    def floor(self) -> float:
        """Chi2 of the minimum that it is near, by its EDM: descents stop early in valleys."""
        return self.chi2 - min(self.edm, policy.EDM_TRUSTED)


def decimated_frames(n: int, count: int = policy.COARSE) -> IndexArray:
    """Return `count` frame indices, or all: half dense at the start, half over the window."""
    if n <= count:
        return np.arange(n)
    early = np.unique(np.geomspace(1, n, count // 2).astype(int)) - 1
    rest = np.setdiff1d(np.arange(n), early)
    spread = rest[np.linspace(0, len(rest) - 1, count - len(early)).astype(int)]
    return np.sort(np.concatenate([early, spread]))


def draw_starts(dataset: Dataset, free: FreeParameters, count: int, seed: int) -> FloatArray:
    """Draw (count, p) starting points inside the bounds."""
    unit = sobol_points(len(free.names), count, seed)
    drawn = free.lower + unit * free.width
    place = {name: k for k, name in enumerate(free.names)}
    middle = float(np.sqrt(dataset.t[0] * dataset.t[-1]))
    window = float(dataset.t[-1])
    q = float(np.sqrt(dataset.q.min() * dataset.q.max()))
    phase = q * (dataset.gap or 1.0)
    scales = (policy.DRAWN_DECAY / q**2, policy.DRAWN_PHASE / phase)
    for (amplitude, exponent, offset), scale in zip(RATES, scales, strict=True):
        if amplitude not in place:
            continue
        low, high = scale / window, policy.DRAWN_IN_A_FRAME * scale / dataset.dt
        rate = low * (high / low) ** unit[:, place[amplitude]]
        power = np.zeros(count)
        if exponent in place:
            k = place[exponent]
            lowest = max(-policy.DRAWN_EXPONENT, free.lower[k])
            highest = min(policy.DRAWN_EXPONENT, free.upper[k])
            power = lowest + unit[:, k] * max(highest - lowest, 0.0)
            drawn[:, k] = power
        share = np.zeros(count)
        if offset in place:
            share = unit[:, place[offset]] + policy.DRAWN_OFFSET
            drawn[:, place[offset]] = share * rate
        drawn[:, place[amplitude]] = (1.0 - share) * rate * middle**-power
    return free.clip(drawn)


def search(
    dataset: Dataset,
    problem: FitProblem,
    whole: PairObjective,
    coordinates: Coordinates,
    on_phase: OnPhase = unfollowed,
) -> Search:
    """Screen random starts, refine the best, and look twice at minima that are close.

    Parameters
    ----------
    problem
        Start values that it gives are refined whatever their rank.
    whole, coordinates
        Of the fit on all pairs.
    on_phase
        Told after each descent how many of the starts are done.
    """
    free, options = whole.free, problem.solver

    def follow(level: PairObjective, x: FloatArray, origin: FloatArray, pace: Pace) -> Refined:
        return refine(level, coordinates, options, x, origin, pace)

    few, like = searched_maps(dataset, problem, whole)
    code_compiled = like.compile_ahead(whole) if few is not dataset else whole.compile_ahead()
    coarse = decimate(few, problem, like, policy.COARSE)
    starts = draw_starts(dataset, free, policy.SCREENED, options.seed)
    cost = coarse.costs(starts)
    keep = starts[np.argsort(cost)[: max(options.multi_start, policy.REFINED)]]
    if problem.initial.values is not None:
        keep = np.vstack([free.start, keep])
    refined = []
    for x in keep:
        refined.append(follow(coarse, x, x, policy.SEARCH))
        on_phase("search", len(refined), len(keep))
    revived = switched_on(dataset, free, distinct_minima(refined)[0].x)
    refined += [follow(coarse, x, x, policy.SEARCH) for x in revived]
    minima = distinct_minima(refined)
    best = minima[0]
    chosen, level = best, coarse
    if dataset.n_frames > policy.MEDIUM:
        level = medium = decimate(few, problem, like, policy.MEDIUM)
        close = [m for m in minima[: policy.SECOND_LOOKS] if m.chi2 - best.chi2 < policy.CLOSE]
        second_looks = [(follow(medium, m.x, m.origin, policy.SECOND_LOOK), m) for m in close]
        best, chosen = min(second_looks, key=lambda pair: pair[0].chi2)
    code_compiled()
    for count in policy.FINER:
        if 2 * count <= dataset.n_frames:
            finer = decimate(few, problem, like, count)
            best = follow(finer, best.x, best.origin, policy.FOLLOWED)
    best, rivals = _lowest_of_valleys(dataset, whole, level, best)
    best, rivals = _with_forward_transport(dataset, whole, level, best, rivals)
    others = [m.chi2 for m in minima if m is not chosen]
    report = SearchReport(
        screened=len(starts),
        refined=len(refined),
        reached=sum(m.floor - chosen.chi2 < policy.SAME_MINIMUM for m in refined),
        chi2=chosen.chi2,
        runner_up=min(others) if others else None,
        n_points=coarse.tiles.n_points,
        rivals=rivals,
    )
    return Search(best.x, best.origin, report)


def _lowest_of_valleys(
    dataset: Dataset, whole: PairObjective, level: PairObjective, best: Refined
) -> tuple[Refined, tuple[Rival, ...]]:
    """Return the lowest minimum of valleys that power laws leave open, and those near it.

    Where the data determine both exponents that is `best`.

    Parameters
    ----------
    level
        The pairs on which minima are told apart.
    """
    share = level.tiles.n_points / whole.tiles.n_points
    window = float(dataset.t[0]), float(dataset.t[-1])
    laws = open_laws(level.derivatives(best.x), whole.free, share, window)
    if not laws:
        return best, ()
    minima = _apart(valley_minima(level, best.x, laws), laws)[: policy.RIVALS]
    ends = [descend(whole, x, laws) for x, _ in minima]
    (x, chi2), *others = _apart(sorted(ends, key=lambda end: end[1]), laws)
    names = whole.free.names
    rivals = tuple(
        Rival(cost - chi2, dict(zip(names, other.tolist(), strict=True)))
        for other, cost in others
        if cost - chi2 < policy.RIVAL
    )
    return Refined(best.origin, x, chi2), rivals


def _with_forward_transport(
    dataset: Dataset,
    whole: PairObjective,
    level: PairObjective,
    best: Refined,
    rivals: tuple[Rival, ...],
) -> tuple[Refined, tuple[Rival, ...]]:
    """Return a minimum at which transport goes forward, unless that is far from the lowest.

    The model has |dA|: -J is as good as J, and diffusion has a positive one. Where J is negative on
    the whole, bounds let -J be another power law.
    """
    names, window = whole.free.names, (float(dataset.t[0]), float(dataset.t[-1]))
    law = free_law(RATES[0], whole.free, window)
    if law is None or law.mean_rate(best.x) >= 0.0:
        return best, rivals
    minima = _apart(reversed_minima(level, best.x, law), (law,))[: policy.RIVALS]
    ends = [descend(whole, x, (law,)) for x, _ in minima]
    forward = [end for end in ends if law.mean_rate(end[0]) >= 0.0]
    if not forward:
        return best, rivals
    lowest = descend(whole, best.x, (law,))[1]
    x, chi2 = min(forward, key=lambda end: end[1])
    if chi2 - lowest >= policy.BACKWARD:
        return best, rivals
    others = tuple(
        replace(rival, chi2_above=rival.chi2_above + lowest - chi2)
        for rival in rivals
        if law.mean_rate(np.array([rival.values[name] for name in names])) >= 0.0
    )
    return Refined(best.origin, x, chi2), others


def _apart(
    ends: Sequence[tuple[FloatArray, float]], laws: Sequence[OpenLaw]
) -> list[tuple[FloatArray, float]]:
    """Return the ends of descents, the lowest first, without those at a lower one's exponents."""
    exponents = [law.exponent for law in laws]
    minima: list[tuple[FloatArray, float]] = []
    for x, chi2 in ends:
        distances = [np.abs(x - other)[exponents].max() for other, _ in minima]
        if min(distances, default=np.inf) > policy.APART:
            minima.append((x, chi2))
    return minima


def searched_maps(
    dataset: Dataset, problem: FitProblem, whole: PairObjective
) -> tuple[Dataset, PairObjective]:
    """Return the maps that are searched and the objective on all of their pairs.

    They are some, where there are many in memory and contrast and offset are neither given for each
    nor a series over all of them.
    """
    many = dataset.n_phi > 1.5 * policy.SEARCHED_MAPS
    apart = problem.per_angle_mode in ("individual", "shared")
    if not many or not apart or not isinstance(dataset.c2, np.ndarray):
        return dataset, whole
    rows = np.linspace(0, dataset.n_phi - 1, policy.SEARCHED_MAPS).round().astype(np.intp)
    few = dataset.of_maps(rows)
    return few, build_objective(few, problem, whole.sigma[rows])


def decimate(
    dataset: Dataset, problem: FitProblem, whole: PairObjective, count: int
) -> PairObjective:
    """Return the objective on the pairs of `count` frames."""
    frames = decimated_frames(dataset.n_frames, count)
    return build_objective(dataset, problem, whole.sigma, frames, like=whole)


def refine(
    objective: PairObjective,
    coordinates: Coordinates,
    options: SolverOptions,
    x: FloatArray,
    origin: FloatArray,
    pace: Pace,
) -> Refined:
    """Go down on decimated pairs."""
    options = replace(
        options,
        max_iterations=policy.REFINE_ITERATIONS,
        ftol=pace.tolerance,
        xtol=pace.tolerance,
        x_scale="auto",
        trust_region_scale=1.0,
    )
    log = Minimisation(objective, options, coordinates, x)
    if pace.far:
        run_trust_region(log, enough=policy.AT_HAND, eager=True)
    if not pace.far or log.stop is StopReason.AT_HAND:
        gauss_newton(log, pace.edm)
    return Refined(origin, log.x, log.at.chi2, log.here.edm)


def switched_on(dataset: Dataset, free: FreeParameters, x: FloatArray) -> FloatArray:
    """Return (m, p) starts like `x` in which a power law that had vanished has half of the rate.

    Where a power law is weak, descents end with its amplitude or its exponent at a bound, a
    constant doing its work: a minimum that many starts share and that is not the lowest. From
    there the exponent is tried on both sides of zero, the rate at mid-window kept.
    """
    place = {name: k for k, name in enumerate(free.names)}
    middle = float(np.sqrt(dataset.t[0] * dataset.t[-1]))
    starts = []
    for amplitude, exponent, offset in RATES:
        if not {amplitude, exponent, offset} <= set(place):
            continue
        a, e, o = place[amplitude], place[exponent], place[offset]
        moving = float(x[a]) * middle ** float(x[e])
        rate = moving + float(x[o])
        room = min(x[e] - free.lower[e], free.upper[e] - x[e])
        if abs(moving) > policy.VANISHED * abs(rate) and room > policy.VANISHED:
            continue
        for power in (-policy.REVIVED, policy.REVIVED):
            start = x.copy()
            start[[a, e, o]] = 0.5 * rate * middle**-power, power, 0.5 * rate
            starts.append(free.clip(start))
    return np.reshape(starts, (-1, len(x)))


def distinct_minima(refined: Sequence[Refined]) -> list[Refined]:
    """Return one descent per minimum, the lowest first."""
    minima: list[Refined] = []
    for one in sorted(refined, key=lambda m: m.chi2):
        if not minima or one.floor - minima[-1].chi2 >= policy.SAME_MINIMUM:
            minima.append(one)
    return minima
