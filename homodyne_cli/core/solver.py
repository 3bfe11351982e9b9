"""One descent: SciPy's trust region on the compressed residual.

The optimiser works on v = u + shift, where u are the coordinates and
shift = (trust_region_scale - 1) u0: SciPy takes its first trust radius from the length of the
scaled start vector, so lengthening that vector by a factor lengthens the radius by it, and nothing
else changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.coordinates import Coordinates
from homodyne_cli.core.objective import Objective, compressed_jacobian, compressed_residual
from homodyne_cli.core.projection import Projection
from homodyne_cli.core.scaling import (
    column_norm_scale,
    condition_number,
    effective_ratio,
    gauss_newton_step,
)
from homodyne_cli.errors import ConfigError
from homodyne_cli.models import FloatArray, SolverOptions
from homodyne_cli.results import IterationRecord

#: SciPy counts trial steps, the config counts iterations; a stuck trust region ends here.
_TRIALS_PER_ITERATION = 20

#: What `scipy.optimize.least_squares` returns when its callback stops it, and what a descent
#: returns whose scale no longer balances the columns.
MAX_ITERATIONS, STALE = -2, -3

OnIteration = Callable[[IterationRecord], None]


@dataclass(frozen=True)
class Bracket:
    """Names, start and bounds of the free parameters, in physical units."""

    names: tuple[str, ...]
    start: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Descent:
    """What one run of the trust region found; `status` is SciPy's, -2 is max_iterations.

    `at` is the pass at `x`.
    """

    x: FloatArray
    at: Projection
    x_scale: FloatArray
    status: int
    evaluations: int
    history: tuple[IterationRecord, ...]

    @property
    def chi2(self) -> float:
        """Cost at the end."""
        return self.at.chi2

    @property
    def iterations(self) -> int:
        """Accepted steps."""
        return max(len(self.history) - 1, 0)

    def after(self, earlier: Descent) -> Descent:
        """Return this descent as the continuation of an earlier one."""
        steps = [
            replace(step, iteration=step.iteration + earlier.iterations)
            for step in self.history[1:]
        ]
        return replace(
            self,
            evaluations=self.evaluations + earlier.evaluations,
            history=(*earlier.history, *steps),
        )


def edm_at(found: Projection, x: FloatArray, bracket: Bracket) -> float:
    """Return the chi2 decrease that the next Gauss-Newton step within bounds predicts."""
    return step_at(found, x, bracket)[1]


def step_at(found: Projection, x: FloatArray, bracket: Bracket) -> tuple[FloatArray, float]:
    """Return the next Gauss-Newton step within bounds and the chi2 decrease it predicts."""
    return gauss_newton_step(
        found.reduced_hessian(), found.gradient, x - bracket.lower, bracket.upper - x
    )


def describe_point(
    found: Projection, x: FloatArray, bracket: Bracket, x_scale: FloatArray, *, log_norms: bool
) -> IterationRecord:
    """Record the pass at `x`; the caller numbers and times it."""
    hessian = found.reduced_hessian()
    norms = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    return IterationRecord(
        iteration=0,
        chi2=found.chi2,
        edm=edm_at(found, x, bracket),
        step_norm=0.0,
        seconds=0.0,
        column_norms=dict(zip(bracket.names, norms.tolist(), strict=True)) if log_norms else {},
        condition=condition_number(hessian, x_scale),
        effective_ratio=effective_ratio(norms, x_scale),
    )


class _Trace:
    """Remembers the last derivatives and records accepted steps of one descent."""

    def __init__(
        self, objective: Objective, bracket: Bracket, *, log_norms: bool, eager: bool
    ) -> None:
        self._objective = objective
        self._bracket = bracket
        self._log_norms = log_norms
        self._eager = eager
        self._started = time.perf_counter()
        self._last: tuple[FloatArray, Projection] | None = None
        self.evaluations = 0
        self.history: list[IterationRecord] = []
        self.x_scale = np.ones(len(bracket.names))

    @property
    def ratio(self) -> float:
        """Effective ratio at the last accepted point."""
        return self.history[-1].effective_ratio

    def cost(self, x: FloatArray) -> float:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1].chi2
        if self._eager:
            return self.derivatives(x).chi2
        self.evaluations += 1
        return self._objective.cost(x)[0]

    def derivatives(self, x: FloatArray) -> Projection:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1]
        self.evaluations += 1
        found = self._objective.derivatives(x)
        self._last = (x.copy(), found)
        return found

    def record(self, x: FloatArray, step_norm: float) -> IterationRecord:
        """Describe the accepted point `x`."""
        found = self.derivatives(x)
        point = describe_point(found, x, self._bracket, self.x_scale, log_norms=self._log_norms)
        entry = replace(
            point,
            iteration=len(self.history),
            step_norm=step_norm,
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(entry)
        return entry


def _choose_scale(options: SolverOptions, trace: _Trace, bracket: Bracket) -> FloatArray:
    """Return the x_scale in physical units; for ``jac`` what SciPy starts from."""
    if options.x_scale == "unit":
        return np.ones(len(bracket.names))
    if options.x_scale == "config":
        table = options.x_scale_map
        if not table:
            raise ConfigError(
                "x_scale is 'config' but optimization.nlsq.x_scale_map is empty",
                hint="give a map (homodyne diagnose RUN -o fix.yaml) or use --x-scale auto",
            )
        return np.array([table.get(n, 1.0) for n in bracket.names])
    hessian = trace.derivatives(bracket.start).reduced_hessian()
    return column_norm_scale(hessian, bracket.start, bracket.upper - bracket.lower)


def descend(
    objective: Objective,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    notify: OnIteration | None = None,
    *,
    eager: bool = False,
    stale: float = np.inf,
) -> Descent:
    """Run the trust region once from the bracket's start.

    Parameters
    ----------
    notify
        Called with the start and after every accepted step.
    eager
        Take derivatives with every trial step. Near the minimum nearly every step is accepted,
        and the cost-only pass before it would be wasted.
    stale
        Stop (status ``STALE``) at a point where the effective ratio exceeds this.

    Raises
    ------
    ConfigError
        If ``x_scale: config`` is asked for without a map.
    """
    log_norms = options.diagnostics.log_jacobian_norms
    trace = _Trace(objective, bracket, log_norms=log_norms, eager=eager)
    scale = trace.x_scale = _choose_scale(options, trace, bracket)
    u0 = coordinates.to_u(bracket.start)
    shift = (options.trust_region_scale - 1.0) * u0
    p = len(bracket.names)
    previous = [bracket.start]

    def physical(v: FloatArray) -> FloatArray:
        # Going to u and back may leave the bounds by a rounding error.
        return np.clip(coordinates.to_x(v - shift), bracket.lower, bracket.upper)

    def tell(x: FloatArray) -> None:
        entry = trace.record(x, float(np.linalg.norm((x - previous[0]) / scale)))
        previous[0] = x
        if notify is not None:
            notify(entry)

    def residual(v: FloatArray) -> FloatArray:
        return compressed_residual(trace.cost(physical(v)), p)

    def jacobian(v: FloatArray) -> FloatArray:
        x = physical(v)
        found, slope = trace.derivatives(x), coordinates.slope(x)
        hessian = found.reduced_hessian() * np.outer(slope, slope)
        return compressed_jacobian(found.chi2, found.gradient * slope, hessian)

    def each_iteration(intermediate_result: optimize.OptimizeResult) -> None:
        x = physical(intermediate_result.x)
        if not np.array_equal(x, previous[0]):
            tell(x)
        if intermediate_result.nit >= options.max_iterations or trace.ratio > stale:
            raise StopIteration

    tell(bracket.start)
    answer = optimize.least_squares(
        residual,
        u0 + shift,
        jac=jacobian,
        bounds=(coordinates.to_u(bracket.lower) + shift, coordinates.to_u(bracket.upper) + shift),
        method="trf",
        ftol=options.ftol,
        xtol=options.xtol,
        gtol=options.gtol,
        x_scale="jac" if options.x_scale == "jac" else scale / coordinates.slope(bracket.start),
        max_nfev=_TRIALS_PER_ITERATION * options.max_iterations,
        callback=each_iteration,
    )
    x = physical(np.asarray(answer.x))
    interrupted = int(answer.status) == MAX_ITERATIONS and trace.ratio > stale
    return Descent(
        x=x,
        at=trace.derivatives(x),
        x_scale=scale,
        status=STALE if interrupted else int(answer.status),
        evaluations=trace.evaluations,
        history=tuple(trace.history),
    )
