"""Profile likelihood: how far one parameter can go while all others follow it.

Near the minimum chi2 rises by 1 at one inverse-Hessian uncertainty; where noise is correlated the
stated uncertainty is larger, and chi2 rises by the square of the ratio. The interval is where the
profile, minimised over everything else, has risen by that much: the stated uncertainty again if the
problem is linear over its width, lopsided where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.coordinates import coordinates
from homodyne_cli.core.descent import go_down
from homodyne_cli.core.objective import Objective
from homodyne_cli.core.setup import build_objective
from homodyne_cli.core.solver import Bracket
from homodyne_cli.errors import UsageError
from homodyne_cli.models import Dataset, FitProblem, FloatArray, ShearTransforms
from homodyne_cli.parameters import names_of
from homodyne_cli.results import FitResult, FittedParameter, ProfileInterval

#: Accuracy of the ends, in uncertainties.
_ACCURACY = 0.02
_DOUBLINGS = 12


def profile(
    dataset: Dataset, problem: FitProblem, result: FitResult, names: Sequence[str]
) -> tuple[ProfileInterval, ...]:
    """Find the profile interval of each named parameter.

    Raises
    ------
    UsageError
        If a name is not a fitted parameter, or the data do not determine it.
    """
    objective = build_objective(dataset, problem, result.sigma)
    table = {p.name: p for p in result.parameters}
    intervals = []
    for name in names:
        found = table.get(name)
        if found is None or found.fixed:
            fitted = ", ".join(p.name for p in result.parameters if not p.fixed)
            raise UsageError(f"--profile {name}: not a fitted parameter", hint=f"they are {fitted}")
        if not found.uncertainty > 0.0:
            raise UsageError(
                f"--profile {name}: it has no uncertainty to start from (at a bound, or not "
                "determined)",
                hint="fix what is not determined, or widen the bounds",
            )
        intervals.append(_interval(problem, objective, result, found))
    return tuple(intervals)


def _interval(
    problem: FitProblem, objective: Objective, result: FitResult, parameter: FittedParameter
) -> ProfileInterval:
    rise = (parameter.uncertainty / parameter.uncertainty_hessian) ** 2
    above = _profile_curve(problem, objective, result, parameter, rise)
    lower, upper = parameter.bounds.lower, parameter.bounds.upper
    return ProfileInterval(
        name=parameter.name,
        value=parameter.value,
        lower=_crossing(above, parameter, -1.0, lower),
        upper=_crossing(above, parameter, +1.0, upper),
        chi2_rise=rise,
    )


def _profile_curve(
    problem: FitProblem,
    objective: Objective,
    result: FitResult,
    parameter: FittedParameter,
    rise: float,
) -> Callable[[float], float]:
    """Return a function: chi2 minimised over the others, minus the level looked for."""
    names = names_of(problem.mode)
    place = names.index(parameter.name)
    free = tuple(k for k in objective.free if k != place)
    options = replace(problem.solver, x_scale="auto", trust_region_scale=1.0)
    others = tuple(names[k] for k in free)
    lower = np.array([problem.bounds[n].lower for n in others])
    upper = np.array([problem.bounds[n].upper for n in others])
    moves = coordinates(others, ShearTransforms(), dict(problem.bounds))
    start: list[FloatArray] = [result.values]

    def curve(value: float) -> float:
        full = start[0].copy()
        full[place] = value
        held = replace(objective, full=full, free=free)
        if not free:
            return held.cost(np.zeros(0))[0] - result.chi2 - rise
        bracket = Bracket(others, full[list(free)], lower, upper)
        found = go_down(held, options, bracket, moves, None, eager=True)
        start[0] = held.expand(found.x)
        return found.chi2 - result.chi2 - rise

    return curve


def _crossing(
    above: Callable[[float], float], parameter: FittedParameter, side: float, bound: float
) -> float | None:
    """Return where the curve crosses zero on one side; None if it does not before the bound."""
    inside, step = parameter.value, parameter.uncertainty
    for _ in range(_DOUBLINGS):
        outside = inside + side * step
        if side * (outside - bound) >= 0.0:
            outside = bound
        if above(outside) >= 0.0:
            accuracy = _ACCURACY * parameter.uncertainty
            return float(optimize.brentq(above, inside, outside, xtol=accuracy))
        if outside == bound:
            return None
        inside, step = outside, 2.0 * step
    return None
