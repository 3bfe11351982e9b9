r"""Whether a flow axis outside of the bounds of phi0 describes the data better.

cos^2(phi0 - phi) has a period of 180 degrees, of which the bounds of phi0 are a part: the flow is
expected along an axis of the detector. Where the best minimum inside leaves misfit that noise does
not make, the whole period is searched on the same decimated pairs, and what is found there and
takes off much of that misfit is the answer to why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import Coordinates, fit_coordinates
from homodyne_cli.core.minimise.global_search import (
    Search,
    decimate,
    draw_starts,
    refine,
    search,
    searched_maps,
)
from homodyne_cli.core.objective.build import bounded_parameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.dataset import Dataset
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.problem import Bounds, FitProblem
from homodyne_cli.results import FitResult, OnPhase, Rival, unfollowed

PERIOD = 180.0


def search_flow_axis(
    dataset: Dataset,
    problem: FitProblem,
    objective: PairObjective,
    on_phase: OnPhase = unfollowed,
) -> tuple[Search, FitProblem]:
    """Search for a start; where no flow axis inside default bounds will do, widen these.

    Returns
    -------
    search, problem
        The problem with the bounds that hold for the fit.
    """
    coordinates = fit_coordinates(problem, objective.free, dataset.t)
    lead = search(dataset, problem, objective, coordinates, on_phase)
    beyond = axis_beyond_bounds(dataset, problem, objective, coordinates, lead)
    if beyond is not None and not problem.bounds["phi0"].chosen:
        problem = with_whole_period(problem)
        wider = replace(objective, free=bounded_parameters(problem))
        lead = search(dataset, problem, wider, coordinates, on_phase)
    return replace(lead, report=replace(lead.report, beyond=beyond)), problem


def whole_period(bounds: Bounds) -> Bounds:
    """Return bounds of phi0 about the middle of others that hold its whole period."""
    middle = 0.5 * (bounds.lower + bounds.upper)
    lower, upper = middle - 0.5 * PERIOD, middle + 0.5 * PERIOD
    return replace(bounds, lower=min(bounds.lower, lower), upper=max(bounds.upper, upper))


def with_whole_period(problem: FitProblem) -> FitProblem:
    """Return the problem with the whole period inside the bounds of phi0."""
    return replace(problem, bounds={**problem.bounds, "phi0": whole_period(problem.bounds["phi0"])})


def axis_beyond_bounds(
    dataset: Dataset,
    problem: FitProblem,
    whole: PairObjective,
    coordinates: Coordinates,
    inside: Search,
) -> Rival | None:
    """Return the minimum outside of the bounds of phi0, if it is the better one by far.

    Parameters
    ----------
    whole, coordinates
        Of the fit on all pairs.
    inside
        What the search within the bounds led to.

    Returns
    -------
    Rival or None
        How far its chi2 is above that of the minimum inside, a negative number, on the pairs of
        the search; and its values.
    """
    free, report = whole.free, inside.report
    if "phi0" not in free.names or report.chi2 < policy.MISFIT * report.n_points:
        return None
    place, limits = free.names.index("phi0"), problem.bounds["phi0"]
    if limits.upper - limits.lower >= PERIOD:
        return None
    wider = whole_period(limits)
    lower, upper = free.lower.copy(), free.upper.copy()
    lower[place], upper[place] = wider.lower, wider.upper
    free = replace(free, lower=lower, upper=upper)
    few, like = searched_maps(dataset, problem, whole)
    coarse = replace(decimate(few, problem, like, policy.COARSE), free=free)
    starts = draw_starts(dataset, free, policy.SCREENED, problem.solver.seed)
    outside = starts[(starts[:, place] < limits.lower) | (starts[:, place] > limits.upper)]
    outside = outside[np.argsort(coarse.costs(outside))[: policy.REFINED]]
    ends = [refine(coarse, coordinates, problem.solver, x, x, policy.SEARCH) for x in outside]
    best = min(ends, key=lambda end: end.chi2)
    gain, misfit = report.chi2 - best.chi2, report.chi2 - report.n_points
    returned = limits.lower <= best.x[place] <= limits.upper
    if returned or not gain > max(policy.CLOSE, policy.MUCH_OF_MISFIT * misfit):
        return None
    return Rival(-gain, dict(zip(free.names, best.x.tolist(), strict=True)))


def flow_axis_findings(result: FitResult) -> Iterator[Finding]:
    """Yield a warning where the flow axis is outside of the bounds of phi0."""
    beyond = None if result.search is None else result.search.beyond
    if beyond is None or result.search is None:
        return
    bounds = next(p.bounds for p in result.parameters if p.name == "phi0")
    lower = f"chi2 is lower by {-beyond.chi2_above:.4g} on the search's {result.search.n_points:,} "
    if bounds.chosen:
        yield Finding(
            Code.FLOW_AXIS,
            "warning",
            f"the flow axis lies outside the bounds of phi0, [{bounds.lower:g}, {bounds.upper:g}]: "
            f"at phi0 = {beyond.values['phi0']:.4g} deg {lower}pairs",
            "to let it go there",
            f'--set "parameter_space.bounds.phi0=[{-PERIOD / 2:g}, {PERIOD / 2:g}]"',
        )
    else:
        yield Finding(
            Code.FLOW_AXIS,
            "warning",
            f"no flow axis inside the default bounds of phi0 describes the data: they were widened "
            f"to [{bounds.lower:g}, {bounds.upper:g}], where {lower}pairs",
            "see from where the detector counts phi, and whether the file's angles are in degrees",
        )
