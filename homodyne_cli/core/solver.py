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

from homodyne_cli.core.coordinates import Coordinates, Seen, Shifted
from homodyne_cli.core.objective import Objective, compressed_jacobian, compressed_residual
from homodyne_cli.core.points import (
    FLAT,
    MAX_ITERATIONS,
    NEAR,
    OUTSIDE,
    STALE,
    Bracket,
    Descent,
    creeps,
    describe_point,
)
from homodyne_cli.core.projection import Projection
from homodyne_cli.core.scaling import column_norm_scale, without_effect
from homodyne_cli.errors import ConfigError
from homodyne_cli.models import FloatArray, SolverOptions
from homodyne_cli.results import IterationRecord

#: SciPy counts trial steps, the config counts iterations; a stuck trust region ends here.
_TRIALS_PER_ITERATION = 20

OnIteration = Callable[[IterationRecord], None]


@dataclass(frozen=True)
class Limits:
    """Where a descent stops besides SciPy's tolerances: effective ratio above, EDM below these."""

    ratio: float = np.inf
    edm: float = 0.0


class _Trace:
    """Remembers the last derivatives and records accepted steps of one descent."""

    def __init__(
        self,
        objective: Objective,
        options: SolverOptions,
        bracket: Bracket,
        known: Projection | None,
        *,
        eager: bool = True,
    ) -> None:
        self._objective = objective
        self._bracket = bracket
        self._options = options
        self._eager = eager
        self._started = time.perf_counter()
        self._last = None if known is None else (bracket.start.copy(), known)
        self.evaluations = 0
        self.history: list[IterationRecord] = []

    def why_stopped(self, limits: Limits) -> int:
        """Return NEAR, FLAT or STALE where there is reason to stop here, else MAX_ITERATIONS."""
        here = self.history[-1]
        if here.edm < limits.edm:
            return NEAR
        if creeps(self.history, self._options):
            return FLAT
        return STALE if here.effective_ratio > limits.ratio else MAX_ITERATIONS

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

    def record(self, x: FloatArray, seen: Seen, step_norm: float) -> IterationRecord:
        """Describe the accepted point `x`."""
        found = self.derivatives(x)
        point = describe_point(
            found, x, self._bracket, seen, log_norms=self._options.diagnostics.log_jacobian_norms
        )
        entry = replace(
            point,
            iteration=len(self.history),
            step_norm=step_norm,
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(entry)
        return entry


def _choose_scale(
    options: SolverOptions, trace: _Trace, bracket: Bracket, coordinates: Coordinates
) -> Seen:
    """Return the scale; for ``jac`` what SciPy starts from.

    A given scale is one of physical parameters, so that of u_k is x_scale_k / (dx_k/du_k): a unit
    step along u_k moves parameter k by x_scale_k.
    """
    x, width = bracket.start, bracket.upper - bracket.lower
    slope = coordinates.jacobian(x)
    own = np.diag(slope)
    if options.x_scale == "unit":
        return Seen(coordinates, 1.0 / own, np.ones(len(x)))
    if options.x_scale == "config":
        table = options.x_scale_map
        if not table:
            raise ConfigError(
                "x_scale is 'config' but optimization.nlsq.x_scale_map is empty",
                hint="give a map (homodyne diagnose RUN -o fix.yaml) or use --x-scale auto",
            )
        given = np.array([table.get(n, 1.0) for n in bracket.names])
        return Seen(coordinates, given / own, given)
    hessian = trace.derivatives(x).reduced_hessian
    scale = column_norm_scale(slope.T @ hessian @ slope, x / own, width / own)
    return Seen(coordinates, scale, column_norm_scale(hessian, x, width))


def stand(
    objective: Objective,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    notify: OnIteration | None = None,
    *,
    known: Projection | None = None,
) -> Descent:
    """Look at the bracket's start without leaving it; see `descend`."""
    trace = _Trace(objective, options, bracket, known)
    seen = _choose_scale(options, trace, bracket, coordinates)
    entry = trace.record(bracket.start, seen, 0.0)
    if notify is not None:
        notify(entry)
    at = trace.derivatives(bracket.start)
    return Descent(bracket.start, at, seen, MAX_ITERATIONS, trace.evaluations, (entry,))


def descend(
    objective: Objective,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    notify: OnIteration | None = None,
    *,
    eager: bool = False,
    limits: Limits | None = None,
    known: Projection | None = None,
) -> Descent:
    """Run the trust region once from the bracket's start.

    A step across the bounds of a power law's amplitude ends the stay in coordinates with rates
    (see `coordinates`); the descent goes on without them.

    Parameters
    ----------
    notify
        Called with the start and after every accepted step.
    eager
        Take derivatives with every trial step. Near the minimum nearly every step is accepted,
        and the cost-only pass before it would be wasted.
    limits
        Stop beyond these, with status ``STALE`` or ``NEAR``.
    known
        The pass at the start, if it has been made.

    Raises
    ------
    ConfigError
        If ``x_scale: config`` is asked for without a map.
    """
    limits = limits or Limits()
    trace = _Trace(objective, options, bracket, known, eager=eager)
    found = _descend(trace, options, bracket, coordinates, notify, limits)
    if found.status != OUTSIDE:
        return found
    left = options.max_iterations - found.iterations
    if left < 1:
        return replace(found, status=MAX_ITERATIONS)
    rest = replace(options, max_iterations=left, trust_region_scale=1.0)
    onward, box = replace(bracket, start=found.x), coordinates.without_rates()
    trace = _Trace(objective, rest, onward, found.at, eager=eager)
    return _descend(trace, rest, onward, box, notify, limits).after(found)


def _descend(
    trace: _Trace,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    notify: OnIteration | None,
    limits: Limits,
) -> Descent:
    seen = _choose_scale(options, trace, bracket, coordinates)
    u0 = coordinates.to_u(bracket.start)
    shift = (options.trust_region_scale - 1.0) * u0
    shifted = Shifted(coordinates, shift, bracket.lower, bracket.upper)
    p = len(bracket.names)
    previous = [bracket.start]

    def tell(x: FloatArray) -> None:
        entry = trace.record(x, seen, seen.distance(x, previous[0]))
        previous[0] = x
        if notify is not None:
            notify(entry)

    def residual(v: FloatArray) -> FloatArray:
        return compressed_residual(trace.cost(shifted.physical(v)), p)

    def jacobian(v: FloatArray) -> FloatArray:
        x = shifted.physical(v)
        found, slope = trace.derivatives(x), coordinates.jacobian(x)
        hessian = found.reduced_hessian
        # Rounding must not send a parameter without effect to its bound.
        slope[without_effect(hessian, bracket.upper - bracket.lower)] = 0.0
        return compressed_jacobian(found.chi2, slope.T @ found.gradient, slope.T @ hessian @ slope)

    def each_iteration(intermediate_result: optimize.OptimizeResult) -> None:
        v = intermediate_result.x
        x = shifted.physical(v)
        if not np.array_equal(x, previous[0]):
            tell(x)
        ended = intermediate_result.nit >= options.max_iterations or shifted.left(v)
        if ended or trace.why_stopped(limits) != MAX_ITERATIONS:
            raise StopIteration

    tell(bracket.start)
    answer = optimize.least_squares(
        residual,
        u0 + shift,
        jac=jacobian,
        bounds=shifted.box(),
        method="trf",
        ftol=options.ftol,
        xtol=options.xtol,
        gtol=options.gtol,
        x_scale="jac" if options.x_scale == "jac" else seen.scale,
        max_nfev=_TRIALS_PER_ITERATION * options.max_iterations,
        callback=each_iteration,
    )
    x, status = shifted.physical(np.asarray(answer.x)), int(answer.status)
    if shifted.left(np.asarray(answer.x)):
        status = OUTSIDE
    elif status == MAX_ITERATIONS:
        status = trace.why_stopped(limits)
    return Descent(
        x=x,
        at=trace.derivatives(x),
        seen=seen,
        status=status,
        evaluations=trace.evaluations,
        history=tuple(trace.history),
    )
