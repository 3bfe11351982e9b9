"""Profile likelihood: how far one parameter can go while all others follow it.

Near the minimum chi2 rises by 1 at one inverse-Hessian uncertainty; where noise is correlated the
stated uncertainty is larger, and chi2 rises by the square of the ratio. The interval is where the
profile, minimised over everything else, has risen by that much: the stated uncertainty again if the
problem is linear over its width, lopsided where it is not. At a degeneracy it is the interval to
report: it needs no uncertainty to start from, and ends at the bound where the data set no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.minimise.coordinates import coordinates
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.minimise.state import Task
from homodyne_cli.core.objective.build import build_objective, free_names
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import UsageError
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import FitProblem, ShearTransforms
from homodyne_cli.results import FitResult, FittedParameter, ProfileInterval

#: Accuracy of the ends, in uncertainties.
_ACCURACY = 0.02
_DOUBLINGS = 16
#: First step of a parameter without an uncertainty, in widths of its bounds.
_FIRST_STEP = 1e-4


def check_profiled(problem: FitProblem, names: Sequence[str]) -> None:
    """Refuse a profile of what is not fitted.

    Raises
    ------
    UsageError
        If a name is not a fitted parameter.
    """
    free = free_names(problem)
    for name in names:
        if name not in free:
            listed = ", ".join(free)
            raise UsageError(f"--profile {name}: not a fitted parameter", hint=f"they are {listed}")


def profile(
    dataset: Dataset, problem: FitProblem, result: FitResult, names: Sequence[str]
) -> tuple[ProfileInterval, ...]:
    """Find the profile interval of each named parameter.

    Raises
    ------
    UsageError
        If a name is not a fitted parameter.
    """
    check_profiled(problem, names)
    objective = build_objective(dataset, problem, result.sigma)
    table = {p.name: p for p in result.parameters}
    return tuple(_interval(problem, objective, result, table[name]) for name in names)


def _interval(
    problem: FitProblem, objective: Objective, result: FitResult, parameter: FittedParameter
) -> ProfileInterval:
    rise = _rise(result, parameter)
    above = _Curve(problem, objective, result, parameter, rise)
    lower, upper = parameter.bounds.lower, parameter.bounds.upper
    return ProfileInterval(
        name=parameter.name,
        value=parameter.value,
        lower=_crossing(above, parameter, -1.0, lower),
        upper=_crossing(above, parameter, +1.0, upper),
        chi2_rise=rise,
    )


def _rise(result: FitResult, parameter: FittedParameter) -> float:
    """Return the rise of chi2 at one standard deviation, of the others if need be."""
    for those in ((parameter,), result.parameters):
        ratios = [
            (p.uncertainty / p.uncertainty_hessian) ** 2
            for p in those
            if p.uncertainty > 0.0 and p.uncertainty_hessian > 0.0
        ]
        if ratios:
            return float(np.median(ratios))
    return 1.0


class _Curve:
    """Chi2 minimised over the other parameters, minus the level looked for.

    Descents start at the nearest point below the level, moved along with the parameter as the
    Hessian there says: without that the floor of a long valley is out of reach.
    """

    def __init__(
        self,
        problem: FitProblem,
        objective: Objective,
        result: FitResult,
        parameter: FittedParameter,
        rise: float,
    ) -> None:
        names = names_of(problem.mode)
        self._objective = objective
        self._place = names.index(parameter.name)
        self._others = tuple(k for k in objective.free if k != self._place)
        self._names = tuple(names[k] for k in self._others)
        self._options = replace(problem.solver, x_scale="auto", trust_region_scale=1.0)
        self._lower = np.array([problem.bounds[n].lower for n in self._names])
        self._upper = np.array([problem.bounds[n].upper for n in self._names])
        self._moves = coordinates(self._names, ShearTransforms(), dict(problem.bounds))
        self._level = result.chi2 + rise
        self._solved = {parameter.value: (result.chi2, result.values)}

    def __call__(self, value: float) -> float:
        """Return the height above the level with the parameter at `value`."""
        if value not in self._solved:
            below = [v for v, (chi2, _) in self._solved.items() if chi2 < self._level]
            nearest = min(below, key=lambda other: abs(other - value))
            full = self._solved[nearest][1]
            found = self._minimum(value, self._led(full, value))
            if found[0] >= self._level:
                found = min(found, self._minimum(value, full), key=lambda pair: pair[0])
            self._solved[value] = found
        return self._solved[value][0] - self._level

    def _led(self, full: FloatArray, value: float) -> FloatArray:
        """Return the solved point with the other parameters led along."""
        out = full.copy()
        if self._others:
            at = self._objective.derivatives(full[list(self._objective.free)])
            hessian = at.reduced_hessian
            own = self._objective.free.index(self._place)
            rest = [k for k in range(len(hessian)) if k != own]
            norm = np.sqrt(np.maximum(np.diag(hessian)[rest], 1e-300))
            unit = hessian[np.ix_(rest, rest)] / np.outer(norm, norm)
            follow = (
                np.linalg.pinv(unit, 1e-12, hermitian=True) @ (hessian[rest, own] / norm) / norm
            )
            moved = full[list(self._others)] - follow * (value - full[self._place])
            out[list(self._others)] = np.clip(moved, self._lower, self._upper)
        return out

    def _minimum(self, value: float, full: FloatArray) -> tuple[float, FloatArray]:
        full = full.copy()
        full[self._place] = value
        held = replace(self._objective, full=full, free=self._others)
        if not self._others:
            return held.cost(np.zeros(0))[0], full
        bracket = FreeParameters(self._names, full[list(self._others)], self._lower, self._upper)
        found = minimise(Task(held, self._options, bracket, self._moves))
        return found.chi2, held.expand(found.x)


def _crossing(
    above: Callable[[float], float], parameter: FittedParameter, side: float, bound: float
) -> float | None:
    """Return where the curve crosses zero on one side; None if it does not before the bound."""
    inside, step = parameter.value, parameter.uncertainty
    if not step > 0.0:
        step = _FIRST_STEP * (parameter.bounds.upper - parameter.bounds.lower)
    accuracy = _ACCURACY * step
    for _ in range(_DOUBLINGS):
        outside = inside + side * step
        if side * (outside - bound) >= 0.0:
            outside = bound
        if outside == inside:
            return None
        if above(outside) >= 0.0:
            return float(optimize.brentq(above, inside, outside, xtol=accuracy))
        if outside == bound:
            return None
        inside, step = outside, 2.0 * step
    return None
