"""What a fit says: values, uncertainties, what is not determined, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.minimise.global_search import Search
from homodyne_cli.core.minimise.state import inside_bounds, is_converged, predicted_edm
from homodyne_cli.core.objective.free_parameters import has_moved
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.uncertainty.covariance import Covariance, covariance, describe_direction
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.core.uncertainty.degeneracies import find_combinations, shear_unseen
from homodyne_cli.core.uncertainty.noisy_fit import NoisyFit
from homodyne_cli.core.uncertainty.symmetries import equivalents
from homodyne_cli.dataset import Dataset
from homodyne_cli.parameters import BY_NAME, names_of
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult, FittedParameter


@dataclass(frozen=True)
class _Uncertainty:
    """Covariance with the noise as it is, and as if it were white, of parameters inside bounds.

    `unbounded` is the former with those at a bound let go, by parameter; empty if there are none.
    """

    names: tuple[str, ...]
    actual: Covariance
    hessian: Covariance
    unbounded: Mapping[str, float]

    def of(self, name: str, unknown: float) -> tuple[float, float]:
        """Return both standard deviations of a parameter, `unknown` if it is not one of them."""
        if name not in self.names:
            return unknown, unknown
        k = self.names.index(name)
        actual, hessian = (np.sqrt(c.parameters[k, k]) for c in (self.actual, self.hessian))
        return float(actual), float(hessian)


def summarise(
    dataset: Dataset, problem: FitProblem, fit: NoisyFit, search: Search | None
) -> FitResult:
    """Return the result of a fit that has come to its end.

    Parameters
    ----------
    search
        What led to its start, if a search did.
    """
    objective, state = fit.pairs, fit.state
    free, at = objective.free, state.at
    edm = predicted_edm(at, state.x, free)
    known = _uncertainty(fit)
    values = dict(zip(names_of(problem.mode), objective.expand(state.x).tolist(), strict=True))
    unknowns = [n for n in known.names if np.isnan(known.of(n, np.nan)[0])]
    freedom = fit.n_points - objective.n_unknown
    return FitResult(
        mode=problem.mode,
        convention=problem.convention,
        per_angle_mode=problem.per_angle_mode,
        parameters=_fitted(problem, objective, values, known, search),
        contrast=at.contrast,
        offset=at.offset,
        contrast_uncertainty=known.actual.contrast_uncertainty,
        offset_uncertainty=known.actual.offset_uncertainty,
        sigma=objective.sigma,
        chi2=at.chi2,
        reduced_chi2=at.chi2 / freedom,
        n_points=fit.n_points,
        degrees_of_freedom=freedom,
        edm=edm,
        status=int(state.stop),
        message=_message(fit, edm, known.names),
        # A corner of the bounds is where an optimiser ends whatever the data are.
        converged=is_converged(state.stop, edm) and bool(known.names),
        iterations=state.iterations,
        evaluations=state.evaluations,
        covariance=known.actual.parameters,
        covariance_names=known.names,
        curves=curves_with_bands(
            dataset.t,
            objective.expand(state.x),
            problem.convention,
            known.actual.within_bounds,
            known.names,
        ),
        undetermined=(
            *(describe_direction(d) for d in known.actual.directions),
            *shear_unseen(dataset, values, unknowns),
        ),
        combinations=find_combinations(dataset, free.names, values, at, fit.actual),
        equivalents=equivalents(state.x, free, dataset, problem.convention),
        x_scale=dict(zip(free.names, state.scaled.x_scale.tolist(), strict=True)),
        x_scale_mode=problem.solver.x_scale,
        history=state.history,
        loss=problem.solver.loss,
        search=None if search is None else search.report,
        noise=fit.report,
        plain_chi2=fit.plain_chi2,
    )


def _message(fit: NoisyFit, edm: float, inside: tuple[str, ...]) -> str:
    stop = fit.state.stop
    if not inside:
        return f"{stop.sentence}, but every free parameter is at a bound: no minimum inside"
    if not stop.is_success or is_converged(stop, edm):
        return stop.sentence
    return f"{stop.sentence}, but one more step would still lower chi2 by {edm:.3g}: stopped early"


def _uncertainty(fit: NoisyFit) -> _Uncertainty:
    """Return the covariance with parameters at a bound held there."""
    state, free = fit.state, fit.pairs.free
    at, p = state.at, len(free.names)
    inside = inside_bounds(state.at, state.x, free)
    names = tuple(np.array(free.names)[inside].tolist())
    keep = [*np.flatnonzero(inside).tolist(), *range(p, len(at.hessian.head))]
    held, width = at.restricted(np.flatnonzero(inside)), free.width[inside]
    actual, hessian = (
        covariance(held, names, width, noise.restricted(keep))
        for noise in (fit.actual, fit.independent)
    )
    unbounded: dict[str, float] = {}
    if not inside.all():
        let_go = covariance(at, free.names, free.width, fit.actual).parameters
        deviations = np.sqrt(np.diag(let_go)).tolist()
        unbounded = {n: s for n, s in zip(free.names, deviations, strict=True) if n in names}
    return _Uncertainty(names, actual, hessian, unbounded)


def _fitted(
    problem: FitProblem,
    objective: PairObjective,
    values: dict[str, float],
    known: _Uncertainty,
    search: Search | None,
) -> tuple[FittedParameter, ...]:
    free = objective.free
    start = free.start
    if search is not None and problem.initial.values is None:
        start = search.origin
    starts = dict(zip(free.names, start.tolist(), strict=True))
    out = []
    for name, value in values.items():
        is_free = name in starts
        sigma, plain = known.of(name, float("nan") if is_free else 0.0)
        out.append(
            FittedParameter(
                name=name,
                value=value,
                uncertainty=sigma,
                unit=BY_NAME[name].unit,
                initial=starts.get(name, value),
                bounds=problem.bounds[name],
                at_bound=is_free and name not in known.names,
                fixed=not is_free,
                unmoved=is_free and not has_moved(starts[name], value, sigma),
                uncertainty_hessian=plain,
                uncertainty_unbounded=known.unbounded.get(name, float("nan")),
            )
        )
    return tuple(out)
