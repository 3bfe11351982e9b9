"""The fit: Dataset and FitProblem in, FitResult out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise.coordinates import coordinates
from homodyne_cli.core.minimise.global_search import Search, decimated_frames, search
from homodyne_cli.core.minimise.gradient_check import check_gradient, sample_frames
from homodyne_cli.core.minimise.minimise import go_down, is_converged, polish
from homodyne_cli.core.minimise.state import (
    FLAT,
    MinimiserState,
    OnIteration,
    Task,
    continued,
    predicted_edm,
)
from homodyne_cli.core.minimise.trust_region import stand
from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.core.objective.build import (
    build_objective,
    dataset_sigma,
    free_names,
    free_parameters_of,
)
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.angle_weights import Weighted, weigh_angles, with_noise
from homodyne_cli.core.uncertainty.covariance import Covariance, covariance, describe_direction
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.core.uncertainty.degeneracies import (
    canonical,
    equivalents,
    find_combinations,
    shear_unseen,
)
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import ConfigError, FitError
from homodyne_cli.parameters import BY_NAME, names_of
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult, FittedParameter, NoiseReport

_AT_BOUND = 1e-6
_MESSAGES = {
    -2: "stopped: max_iterations reached",
    0: "stopped: too many trial steps",
    1: "gradient below gtol",
    2: "chi2 no longer falls (ftol)",
    3: "parameters no longer move (xtol)",
    4: "chi2 no longer falls and parameters no longer move (ftol and xtol)",
    FLAT: "in a valley along which chi2 no longer falls by what noise would notice",
}


@serial_algebra()
def fit(dataset: Dataset, problem: FitProblem, notify: OnIteration | None = None) -> FitResult:
    """Fit the model to a dataset.

    Parameters
    ----------
    dataset
        Maps of one ring.
    problem
        Model, bounds, start and solver options. Unless ``global_search`` is off, a search on
        decimated pairs finds where to begin; start values are one of its starts.
    notify
        Called with the start and after every accepted step.

    Raises
    ------
    FitError
        If there is nothing to fit: no free parameter, or fewer pairs than unknowns.
    ConfigError
        If options contradict each other or the data.
    DerivativeError
        If ``diagnostics.check_gradients`` finds the gradient wrong.
    """
    names = free_names(problem)
    if not names:
        raise FitError("every parameter is fixed: nothing to fit", hint="free at least one")
    sigma = dataset_sigma(dataset)
    objective = build_objective(dataset, problem, sigma)
    n_unknown = len(names) + objective.scaling.size
    if objective.tiles.n_points <= n_unknown:
        raise FitError(
            f"{objective.tiles.n_points} pairs cannot determine {n_unknown} unknowns",
            hint="use more frames or angles, or fix parameters",
        )
    bracket = free_parameters_of(problem, objective)
    transforms, t_ref = problem.solver.shear_transforms, reference_time(dataset.t)
    moves = coordinates(bracket.names, transforms, dict(problem.bounds), t_ref)
    task = Task(objective, problem.solver, bracket, moves, notify)
    found = _search(dataset, problem, task)
    begin = task if found is None else task.at(found.x)
    _check(dataset, problem, sigma, bracket, begin.bracket.start, "at the start")
    reached = go_down(begin, near=False) if found is None else stand(begin)
    reached = canonical(reached, bracket, dataset, problem.convention)
    shares = weigh_angles(dataset, objective, reached)
    descent = _go_on(task, shares.objective, reached)
    descent = canonical(descent, bracket, dataset, problem.convention)
    weighted = with_noise(dataset, shares, descent)
    _check(dataset, problem, sigma, bracket, descent.x, "at the end")
    if found is not None and problem.initial.values is None:
        bracket = replace(bracket, start=found.origin)
    result = _result(dataset, problem, bracket, weighted)
    return result if found is None else replace(result, search=found.report)


def _go_on(task: Task, objective: Objective, reached: MinimiserState) -> MinimiserState:
    """Go on to the minimum of an objective that differs from the task's in its sigma at most."""
    other = objective is not task.objective
    rest = replace(task, objective=objective)
    if not reached.stopped and (other or reached.iterations == 0):
        known: Projection | None = reached.at
        if other:
            # A pass does not depend on sigma.
            grams = reached.at.grams
            known = None if grams is None else objective.project(grams)
        here = replace(rest.at(reached.x), notify=continued(task.notify, reached))
        reached = go_down(here, near=True, known=known).after(reached)
    return polish(rest, reached)


def _search(dataset: Dataset, problem: FitProblem, task: Task) -> Search | None:
    given = problem.initial.values is not None
    if not problem.solver.global_search:
        if not given:
            raise ConfigError(
                "the global search is off and there are no initial_parameters.values to start from",
                hint="give start values, or leave the search on",
            )
        return None

    def decimate(count: int) -> Objective:
        frames = decimated_frames(dataset.n_frames, count)
        whole = task.objective
        return build_objective(dataset, problem, whole.sigma, frames, like=whole)

    return search(dataset, decimate, task, task.bracket.start if given else None)


def _check(
    dataset: Dataset,
    problem: FitProblem,
    sigma: FloatArray,
    bracket: FreeParameters,
    x: FloatArray,
    where: str,
) -> None:
    options = problem.solver.diagnostics
    if not (options.enabled and options.check_gradients):
        return
    frames = sample_frames(dataset.n_frames, dataset.n_phi, options.sample_size)
    check_gradient(build_objective(dataset, problem, sigma, frames), bracket, x, where)


def _result(
    dataset: Dataset, problem: FitProblem, bracket: FreeParameters, weighted: Weighted
) -> FitResult:
    objective, descent = weighted.objective, weighted.descent
    found = descent.at
    edm = predicted_edm(found, descent.x, bracket)
    at_bound = _at_bound(descent.x, bracket)
    inside = tuple(n for n, stuck in zip(bracket.names, at_bound, strict=True) if not stuck)
    known = _uncertainty(bracket, weighted, at_bound)
    spread = known.spread
    sigmas = {
        name: (float(np.sqrt(spread.parameters[k, k])), float(np.sqrt(plain)))
        for k, (name, plain) in enumerate(
            zip(inside, np.diag(known.hessian.parameters), strict=True)
        )
    }
    values = dict(zip(names_of(problem.mode), objective.expand(descent.x).tolist(), strict=True))
    lost = [n for n, (sigma, _) in sigmas.items() if np.isnan(sigma)]
    n_points = objective.tiles.n_points
    freedom = n_points - len(bracket.names) - objective.scaling.size
    finished = descent.status > 0
    message = _MESSAGES[descent.status]
    at_minimum = is_converged(descent.status, edm)
    if finished and not at_minimum:
        message += f", but one more step would still lower chi2 by {edm:.3g}: stopped early"
    return FitResult(
        mode=problem.mode,
        convention=problem.convention,
        per_angle_mode=problem.per_angle_mode,
        parameters=_fitted(problem, objective, bracket, descent.x, sigmas, at_bound),
        contrast=found.contrast,
        offset=found.offset,
        contrast_uncertainty=spread.contrast_uncertainty,
        offset_uncertainty=spread.offset_uncertainty,
        sigma=objective.sigma,
        chi2=found.chi2,
        reduced_chi2=found.chi2 / freedom,
        n_points=n_points,
        degrees_of_freedom=freedom,
        edm=edm,
        status=descent.status,
        message=message,
        converged=at_minimum,
        iterations=descent.iterations,
        evaluations=descent.evaluations,
        covariance=spread.parameters,
        covariance_names=inside,
        curves=curves_with_bands(
            dataset.t,
            objective.expand(descent.x),
            problem.convention,
            spread.within_bounds,
            inside,
        ),
        undetermined=(
            *(describe_direction(d) for d in spread.directions),
            *shear_unseen(dataset, values, lost),
        ),
        combinations=find_combinations(dataset, bracket.names, values, found, weighted.noise),
        equivalents=equivalents(descent.x, bracket, dataset, problem.convention),
        x_scale=dict(zip(bracket.names, descent.seen.x_scale.tolist(), strict=True)),
        x_scale_mode=problem.solver.x_scale,
        history=descent.history,
        loss=problem.solver.loss,
        noise=NoiseReport(
            weighted.noise.n_speckles, weighted.noise.white_share, weighted.white is not None
        ),
    )


def _at_bound(x: FloatArray, bracket: FreeParameters) -> np.ndarray:
    margin = _AT_BOUND * (bracket.upper - bracket.lower)
    return np.asarray((x - bracket.lower <= margin) | (bracket.upper - x <= margin))


@dataclass(frozen=True)
class _Uncertainty:
    """Covariance with the noise as it is, and as if it were white."""

    spread: Covariance
    hessian: Covariance


def _uncertainty(bracket: FreeParameters, weighted: Weighted, at_bound: np.ndarray) -> _Uncertainty:
    """Return the covariance with parameters at a bound held there."""
    descent, noise = weighted.descent, weighted.noise
    found, p = descent.at, len(at_bound)
    keep = [*np.flatnonzero(~at_bound), *range(p, found.hessian.shape[0])]
    inner = np.ix_(keep, keep)
    held = replace(found, hessian=found.hessian[inner], gradient=found.gradient[~at_bound])
    inside = tuple(n for n, stuck in zip(bracket.names, at_bound, strict=True) if not stuck)
    widths = (bracket.upper - bracket.lower)[~at_bound]
    seen = replace(noise, scores=noise.scores[:, keep][:, :, keep])
    parts = None
    if weighted.objective.robust:
        curvature, score = weighted.objective.sandwich_parts(descent.x, found)
        parts = (curvature[inner], score[inner])
    white = parts if weighted.white is None else (held.hessian, weighted.white[inner])
    return _Uncertainty(
        covariance(held, inside, widths, white, seen),
        covariance(held, inside, widths, parts),
    )


def _fitted(
    problem: FitProblem,
    objective: Objective,
    bracket: FreeParameters,
    x: FloatArray,
    sigmas: dict[str, tuple[float, float]],
    at_bound: np.ndarray,
) -> tuple[FittedParameter, ...]:
    values = dict(zip(names_of(problem.mode), objective.expand(x).tolist(), strict=True))
    starts = dict(zip(bracket.names, bracket.start.tolist(), strict=True))
    stuck = dict(zip(bracket.names, at_bound.tolist(), strict=True))
    out = []
    for name, value in values.items():
        free = name in starts
        unknown = float("nan") if free else 0.0
        sigma, plain = sigmas.get(name, (unknown, unknown))
        out.append(
            FittedParameter(
                name=name,
                value=value,
                uncertainty=sigma,
                unit=BY_NAME[name].unit,
                initial=starts.get(name, value),
                bounds=problem.bounds[name],
                at_bound=stuck.get(name, False),
                fixed=not free,
                unmoved=free and _unmoved(starts[name], value, sigma),
                uncertainty_hessian=plain,
            )
        )
    return tuple(out)


def _unmoved(start: float, value: float, sigma: float) -> bool:
    """Whether a parameter stayed at its start, to rounding and to its uncertainty."""
    moved = abs(value - start)
    rounding = 1e-9 * max(abs(start), abs(value), 1e-12)
    return bool(moved <= rounding or (np.isfinite(sigma) and moved < 1e-6 * sigma))
