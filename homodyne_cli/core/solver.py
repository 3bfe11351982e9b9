"""The fit: SciPy's trust region on the compressed residual.

Coordinates are u = x + shift with shift = (trust_region_scale - 1) x0: SciPy takes its first
trust radius from the length of the scaled start vector, so lengthening that vector by a
factor lengthens the radius by it, and nothing else changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.covariance import covariance, describe_direction
from homodyne_cli.core.losses import PairWeight
from homodyne_cli.core.noise import estimate_sigma
from homodyne_cli.core.objective import Objective, compressed_jacobian, compressed_residual
from homodyne_cli.core.projection import Projection, scaling_model
from homodyne_cli.core.residual import PassKind
from homodyne_cli.core.scaling import column_norm_scale, predicted_decrease
from homodyne_cli.core.tiles import pack, rms_sigma
from homodyne_cli.errors import ConfigError, FitError
from homodyne_cli.models import (
    Dataset,
    FitProblem,
    FitResult,
    FittedParameter,
    FloatArray,
    IterationRecord,
)
from homodyne_cli.parameters import BY_NAME, names_of

#: A fit whose next Gauss-Newton step would still gain this much chi2 has stopped early. One
#: parameter moved by 0.3 of its uncertainty costs 0.1.
EDM_CONVERGED = 0.1
#: SciPy counts trial steps, the config counts iterations; a stuck trust region ends here.
_TRIALS_PER_ITERATION = 20
_AT_BOUND = 1e-6
_MESSAGES = {
    -2: "stopped: max_iterations reached",
    0: "stopped: too many trial steps",
    1: "gradient below gtol",
    2: "chi2 no longer falls (ftol)",
    3: "parameters no longer move (xtol)",
    4: "chi2 no longer falls and parameters no longer move (ftol and xtol)",
}

OnIteration = Callable[[IterationRecord], None]


@dataclass(frozen=True)
class Bracket:
    """Start, bounds and scale of the free parameters; (p,) each."""

    start: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Descent:
    """What one run of the trust region found."""

    x: FloatArray
    x_scale: FloatArray
    status: int
    iterations: int
    evaluations: int
    history: tuple[IterationRecord, ...]


class _Trace:
    """Caches the last evaluation and records accepted steps for one descent."""

    def __init__(self, objective: Objective, bracket: Bracket, notify: OnIteration | None) -> None:
        self._objective = objective
        self._bracket = bracket
        self._notify = notify
        self._started = time.perf_counter()
        self._last: tuple[FloatArray, Projection] | None = None
        self.evaluations = 0
        self.history: list[IterationRecord] = []

    def cost(self, x: FloatArray) -> float:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1].chi2
        self.evaluations += 1
        return self._objective.cost(x)[0]

    def derivatives(self, x: FloatArray) -> Projection:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1]
        self.evaluations += 1
        found = self._objective.derivatives(x)
        step = 0.0 if self._last is None else float(np.linalg.norm(x - self._last[0]))
        self._last = (x.copy(), found)
        record = IterationRecord(
            iteration=len(self.history),
            chi2=found.chi2,
            edm=edm_at(found, x, self._bracket),
            step_norm=step,
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(record)
        if self._notify is not None:
            self._notify(record)
        return found


def edm_at(found: Projection, x: FloatArray, bracket: Bracket) -> float:
    """Return the chi2 decrease that the next Gauss-Newton step within bounds predicts."""
    return predicted_decrease(
        found.reduced_hessian(), found.gradient, x - bracket.lower, bracket.upper - x
    )


def _choose_scale(
    problem: FitProblem, names: tuple[str, ...], trace: _Trace, b: Bracket
) -> FloatArray:
    mode = problem.solver.x_scale
    if mode == "unit":
        return np.ones(len(names))
    if mode == "config":
        table = problem.solver.x_scale_map
        if table is None:
            raise ConfigError(
                "x_scale is 'config' but optimization.nlsq.x_scale_map is empty",
                hint="give a map (homodyne diagnose RUN -o fix.yaml) or use --x-scale auto",
            )
        return np.array([table.get(n, 1.0) for n in names])
    hessian = trace.derivatives(b.start).reduced_hessian()
    return column_norm_scale(hessian, b.start, b.upper - b.lower)


def descend(
    objective: Objective,
    problem: FitProblem,
    names: tuple[str, ...],
    bracket: Bracket,
    notify: OnIteration | None = None,
) -> Descent:
    """Run the trust region once from the bracket's start."""
    options = problem.solver
    trace = _Trace(objective, bracket, notify)
    scale = _choose_scale(problem, names, trace, bracket)
    p = len(names)
    shift = (options.trust_region_scale - 1.0) * bracket.start

    def residual(u: FloatArray) -> FloatArray:
        return compressed_residual(trace.cost(u - shift), p)

    def jacobian(u: FloatArray) -> FloatArray:
        found = trace.derivatives(u - shift)
        return compressed_jacobian(found.chi2, found.gradient, found.reduced_hessian())

    def stop(intermediate_result: optimize.OptimizeResult) -> None:
        if intermediate_result.nit >= options.max_iterations:
            raise StopIteration

    trace.derivatives(bracket.start)
    answer = optimize.least_squares(
        residual,
        bracket.start + shift,
        jac=jacobian,
        bounds=(bracket.lower + shift, bracket.upper + shift),
        method="trf",
        ftol=options.ftol,
        xtol=options.xtol,
        gtol=options.gtol,
        x_scale="jac" if options.x_scale == "jac" else scale,
        max_nfev=_TRIALS_PER_ITERATION * options.max_iterations,
        callback=stop,
    )
    return Descent(
        x=np.asarray(answer.x) - shift,
        x_scale=scale,
        status=int(answer.status),
        iterations=max(len(trace.history) - 1, 0),
        evaluations=trace.evaluations,
        history=tuple(trace.history),
    )


def _start_values(problem: FitProblem) -> dict[str, float]:
    given = problem.initial.values or {}
    start = {n: given.get(n, BY_NAME[n].start) for n in names_of(problem.mode)}
    start.update(problem.initial.fixed)
    for name, value in start.items():
        bounds = problem.bounds[name]
        if name not in problem.initial.fixed:
            start[name] = float(np.clip(value, bounds.lower, bounds.upper))
    return start


def free_names(problem: FitProblem) -> tuple[str, ...]:
    """Return the parameters that the fit may move, in table order."""
    active = problem.initial.active
    return tuple(
        n
        for n in names_of(problem.mode)
        if n not in problem.initial.fixed and (active is None or n in active)
    )


def build_objective(dataset: Dataset, problem: FitProblem, sigma: FloatArray) -> Objective:
    """Pack the data and set up the reduced problem."""
    initial = problem.initial
    if problem.per_angle_mode == "fixed" and (initial.contrast is None or initial.offset is None):
        raise ConfigError(
            "per_angle_mode 'fixed' needs initial_parameters.per_angle_scaling "
            "with contrast and offset",
            hint="give one value or one per angle for each, or use per_angle_mode: individual",
        )
    names = names_of(problem.mode)
    start = _start_values(problem)
    return Objective(
        tiles=pack(dataset),
        kind=PassKind(problem.mode, problem.convention, weight=PairWeight(problem.solver.loss)),
        scaling=scaling_model(
            problem.per_angle_mode,
            dataset.phi,
            order=problem.fourier_order,
            contrast=_per_angle(initial.contrast, dataset.n_phi, "contrast"),
            offset=_per_angle(initial.offset, dataset.n_phi, "offset"),
            contrast_bounds=problem.contrast_bounds,
            offset_bounds=problem.offset_bounds,
        ),
        sigma=sigma,
        full=np.array([start[n] for n in names]),
        free=tuple(names.index(n) for n in free_names(problem)),
    )


def _per_angle(values: tuple[float, ...] | None, n_phi: int, what: str) -> FloatArray:
    if values is None:
        return np.zeros(n_phi)
    if len(values) not in (1, n_phi):
        raise ConfigError(
            f"initial_parameters.per_angle_scaling.{what} has {len(values)} values for "
            f"{n_phi} angles",
            hint=f"give one value, or {n_phi}",
        )
    return np.broadcast_to(np.asarray(values, dtype=float), (n_phi,)).copy()


def dataset_sigma(dataset: Dataset) -> FloatArray:
    """Return (n_phi,) sigma: the dataset's own, or estimated from its maps."""
    if dataset.sigma is None:
        return estimate_sigma(dataset)
    return dataset.sigma if dataset.sigma.ndim == 1 else rms_sigma(dataset.sigma)


def bracket_of(problem: FitProblem, objective: Objective) -> Bracket:
    """Return start and bounds of the free parameters, the start strictly inside."""
    names = free_names(problem)
    lower = np.array([problem.bounds[n].lower for n in names])
    upper = np.array([problem.bounds[n].upper for n in names])
    start = objective.full[list(objective.free)]
    return Bracket(np.clip(start, lower, upper), lower, upper)


def fit(dataset: Dataset, problem: FitProblem, notify: OnIteration | None = None) -> FitResult:
    """Fit the model to a dataset.

    Parameters
    ----------
    notify
        Called after every accepted step.

    Raises
    ------
    FitError
        If there is nothing to fit: no free parameter, or fewer pairs than unknowns.
    ConfigError
        If ``fixed`` scaling is asked for without values.
    """
    sigma = dataset_sigma(dataset)
    objective = build_objective(dataset, problem, sigma)
    names = free_names(problem)
    n_unknown = len(names) + objective.scaling.size
    if not names:
        raise FitError("every parameter is fixed: nothing to fit", hint="free at least one")
    if objective.tiles.n_points <= n_unknown:
        raise FitError(
            f"{objective.tiles.n_points} pairs cannot determine {n_unknown} unknowns",
            hint="use more frames or angles, or fix parameters",
        )
    bracket = bracket_of(problem, objective)
    descent = descend(objective, problem, names, bracket, notify)
    return _result(dataset, problem, objective, bracket, descent)


def _result(
    dataset: Dataset,
    problem: FitProblem,
    objective: Objective,
    bracket: Bracket,
    descent: Descent,
) -> FitResult:
    names = free_names(problem)
    found = objective.derivatives(descent.x)
    edm = edm_at(found, descent.x, bracket)
    at_bound = _at_bound(descent.x, bracket)
    inside = tuple(n for n, stuck in zip(names, at_bound, strict=True) if not stuck)
    held = _without(found, at_bound)
    sandwich = None
    if objective.robust:
        keep = [*np.flatnonzero(~at_bound), *range(len(names), found.hessian.shape[0])]
        parts = objective.sandwich_parts(descent.x, found)
        sandwich = (parts[0][np.ix_(keep, keep)], parts[1][np.ix_(keep, keep)])
    spread = covariance(held, inside, sandwich)
    sigmas = dict(zip(inside, np.sqrt(np.diag(spread.parameters)), strict=True))
    n_points = objective.tiles.n_points
    freedom = n_points - len(names) - objective.scaling.size
    stopped = descent.status <= 0
    message = _MESSAGES[descent.status]
    if not stopped and edm >= EDM_CONVERGED:
        message += f", but one more step would still lower chi2 by {edm:.3g}: stopped early"
    return FitResult(
        mode=problem.mode,
        convention=problem.convention,
        per_angle_mode=problem.per_angle_mode,
        parameters=_fitted(problem, objective, descent.x, sigmas, at_bound),
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
        converged=not stopped and edm < EDM_CONVERGED,
        iterations=descent.iterations,
        evaluations=descent.evaluations,
        covariance=spread.parameters,
        covariance_names=inside,
        undetermined=tuple(describe_direction(d) for d in spread.directions),
        x_scale=dict(zip(names, descent.x_scale.tolist(), strict=True)),
        x_scale_mode=problem.solver.x_scale,
        history=descent.history,
        loss=problem.solver.loss,
    )


def _at_bound(x: FloatArray, bracket: Bracket) -> np.ndarray:
    margin = _AT_BOUND * (bracket.upper - bracket.lower)
    return np.asarray((x - bracket.lower <= margin) | (bracket.upper - x <= margin))


def _without(found: Projection, at_bound: np.ndarray) -> Projection:
    """Hold the parameters that sit at a bound."""
    p = len(found.gradient)
    free = np.flatnonzero(~at_bound)
    keep = [*free, *range(p, found.hessian.shape[0])]
    return replace(found, hessian=found.hessian[np.ix_(keep, keep)], gradient=found.gradient[free])


def _fitted(
    problem: FitProblem,
    objective: Objective,
    x: FloatArray,
    sigmas: dict[str, float],
    at_bound: np.ndarray,
) -> tuple[FittedParameter, ...]:
    values = objective.expand(x)
    free = free_names(problem)
    stuck = dict(zip(free, at_bound.tolist(), strict=True))
    out = []
    for k, name in enumerate(names_of(problem.mode)):
        fixed = name not in free
        start = float(objective.full[k])
        out.append(
            FittedParameter(
                name=name,
                value=float(values[k]),
                uncertainty=0.0 if fixed else float(sigmas.get(name, np.nan)),
                unit=BY_NAME[name].unit,
                initial=start,
                bounds=problem.bounds[name],
                at_bound=stuck.get(name, False),
                fixed=fixed,
                unmoved=not fixed and _unmoved(start, float(values[k]), sigmas.get(name, np.nan)),
            )
        )
    return tuple(out)


def _unmoved(start: float, value: float, sigma: float) -> bool:
    """Whether a parameter stayed at its start to within rounding and its uncertainty."""
    moved = abs(value - start)
    tiny = 1e-9 * max(abs(start), abs(value), 1e-12)
    return moved <= tiny or (np.isfinite(sigma) and moved < 1e-6 * sigma)
