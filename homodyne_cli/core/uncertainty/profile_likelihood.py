"""Profile likelihood: how far one parameter can go while all others follow it.

Near the minimum chi2 rises by 1 at one inverse-Hessian uncertainty; where noise is correlated the
stated uncertainty is larger, and chi2 rises by the square of the ratio. The interval is where the
profile, minimised over everything else, has risen by that much: the stated uncertainty again if the
problem is linear over its width, lopsided where it is not. At a degeneracy it is the interval to
report: it needs no uncertainty to start from, and ends at the bound where the data set no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise.coordinates import coordinates_of
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.noise.best_objective import best_objective
from homodyne_cli.core.numerics.gram import solve_gram
from homodyne_cli.core.objective.build import build_objective, free_names
from homodyne_cli.core.objective.objective import HeldObjective, Objective
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import UsageError
from homodyne_cli.problem import FitProblem, ShearTransforms, SolverOptions
from homodyne_cli.results import FitResult, FittedParameter, OnCount, ProfileInterval, unfollowed

#: Accuracy of the ends, in uncertainties: a fifth of what two digits of an uncertainty show.
_ACCURACY = 0.02
#: An end further out than 2^16 uncertainties is that of a degeneracy, which ends at a bound.
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
    dataset: Dataset,
    problem: FitProblem,
    result: FitResult,
    names: Sequence[str],
    on_done: OnCount = unfollowed,
) -> tuple[ProfileInterval, ...]:
    """Find the profile interval of each named parameter.

    Parameters
    ----------
    on_done
        Told before each of them how many are done, and of how many.

    Raises
    ------
    UsageError
        If a name is not a fitted parameter.
    """
    check_profiled(problem, names)
    pairs = build_objective(dataset, problem, result.sigma)
    weights = result.noise.weights
    objective = pairs if weights is None else best_objective(dataset, pairs, weights)
    table = {p.name: p for p in result.parameters}
    options = replace(problem.solver, x_scale="auto", trust_region_scale=1.0)
    intervals = []
    for k, name in enumerate(names):
        on_done(k, len(names))
        intervals.append(profile_interval(objective, options, result, table[name]))
    return tuple(intervals)


def profile_interval(
    objective: Objective, options: SolverOptions, result: FitResult, parameter: FittedParameter
) -> ProfileInterval:
    """Find the profile interval of one parameter, on any objective whose minimum is `result`."""
    rise = _rise(result, parameter)
    values = {p.name: p.value for p in result.parameters}
    above = ProfileCurve(objective, options, values, result.chi2, parameter.name, rise)
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
    for group in ((parameter,), result.parameters):
        ratios = [
            (p.uncertainty / p.uncertainty_hessian) ** 2
            for p in group
            if p.uncertainty > 0.0 and p.uncertainty_hessian > 0.0
        ]
        if ratios:
            return float(np.median(ratios))
    return 1.0


class ProfileCurve:
    """Chi2 minimised over the other parameters, minus a level above that of the minimum.

    Minimisations start at the nearest point below the level, moved along with the parameter as the
    Hessian there says: without that the floor of a long valley is out of reach.
    """

    def __init__(
        self,
        objective: Objective,
        options: SolverOptions,
        values: Mapping[str, float],
        chi2: float,
        name: str,
        rise: float,
    ) -> None:
        self._objective, self._options = objective, options
        self._place = objective.free.names.index(name)
        self._others = objective.free.without(self._place)
        self._coordinates = coordinates_of(self._others.names, ShearTransforms(), {})
        self._level = chi2 + rise
        best = np.array([values[n] for n in self._others.names])
        self._solved = {values[name]: (chi2, best)}

    def __call__(self, value: float) -> float:
        """Return the height above the level with the parameter at `value`."""
        if value not in self._solved:
            below = [v for v, (chi2, _) in self._solved.items() if chi2 < self._level]
            nearest = min(below, key=lambda other: abs(other - value))
            x = self._solved[nearest][1]
            minimum = self._minimum(value, self._led(nearest, x, value))
            if minimum[0] >= self._level:
                minimum = min(minimum, self._minimum(value, x), key=lambda pair: pair[0])
            self._solved[value] = minimum
        return self._solved[value][0] - self._level

    def _led(self, nearest: float, x: FloatArray, value: float) -> FloatArray:
        """Return the others at a solved point, led along with the parameter."""
        k = self._place
        hessian = self._objective.derivatives(np.insert(x, k, nearest)).reduced_hessian
        cross = np.delete(hessian[k], k)
        inner = np.delete(np.delete(hessian, k, axis=0), k, axis=1)
        return self._others.clip(x - solve_gram(inner, cross) * (value - nearest))

    def _minimum(self, value: float, x: FloatArray) -> tuple[float, FloatArray]:
        held = HeldObjective(self._objective, self._place, value)
        if len(x) == 0:
            return held.cost(x), x
        state = minimise(Minimisation(held, self._options, self._coordinates, x), near=True)
        return state.chi2, state.x


def _crossing(
    above: Callable[[float], float], parameter: FittedParameter, side: float, bound: float
) -> float | None:
    """Return where the curve crosses zero on one side; None if it does not before the bound."""
    from scipy import optimize

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
