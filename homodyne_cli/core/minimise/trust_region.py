"""One descent: SciPy's trust region on the compressed residual.

The optimiser works on v = u + shift, where u are the coordinates and
shift = (trust_region_scale - 1) u0: SciPy takes its first trust radius from the length of the
scaled start vector, so lengthening that vector by a factor lengthens the radius by it, and nothing
else changes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.minimise.coordinates import Seen, Shifted
from homodyne_cli.core.minimise.state import (
    FLAT,
    MAX_ITERATIONS,
    NEAR,
    OUTSIDE,
    STALE,
    MinimiserState,
    Task,
    describe_point,
    in_flat_valley,
)
from homodyne_cli.core.minimise.x_scale import column_norm_scale
from homodyne_cli.core.numerics.gram import without_effect
from homodyne_cli.core.objective.objective import compressed_jacobian, compressed_residual
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import ConfigError
from homodyne_cli.results import IterationRecord

#: SciPy counts trial steps, the config counts iterations; a stuck trust region ends here.
_TRIALS_PER_ITERATION = 20


@dataclass(frozen=True)
class Limits:
    """Where a descent stops besides SciPy's tolerances: effective ratio above, EDM below these."""

    ratio: float = np.inf
    edm: float = 0.0


class _Trace:
    """Remembers the last derivatives and records accepted steps of one descent."""

    def __init__(self, task: Task, known: Projection | None, *, eager: bool = True) -> None:
        self._task = task
        self._eager = eager
        self._started = time.perf_counter()
        self._last = None if known is None else (task.bracket.start.copy(), known)
        self.evaluations = 0
        self.history: list[IterationRecord] = []

    def why_stopped(self, limits: Limits) -> int:
        """Return NEAR, FLAT or STALE where there is reason to stop here, else MAX_ITERATIONS."""
        here = self.history[-1]
        if here.edm < limits.edm:
            return NEAR
        if in_flat_valley(self.history, self._task.options):
            return FLAT
        return STALE if here.effective_ratio > limits.ratio else MAX_ITERATIONS

    def cost(self, x: FloatArray) -> float:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1].chi2
        if self._eager:
            return self.derivatives(x).chi2
        self.evaluations += 1
        return self._task.objective.cost(x)[0]

    def derivatives(self, x: FloatArray) -> Projection:
        if self._last is not None and np.array_equal(self._last[0], x):
            return self._last[1]
        self.evaluations += 1
        found = self._task.objective.derivatives(x)
        self._last = (x.copy(), found)
        return found

    def record(self, x: FloatArray, seen: Seen, step_norm: float) -> IterationRecord:
        """Describe the accepted point `x`."""
        found = self.derivatives(x)
        point = describe_point(
            found,
            x,
            self._task.bracket,
            seen,
            log_norms=self._task.options.diagnostics.log_jacobian_norms,
        )
        entry = replace(
            point,
            iteration=len(self.history),
            step_norm=step_norm,
            seconds=time.perf_counter() - self._started,
        )
        self.history.append(entry)
        return entry


def _choose_scale(task: Task, trace: _Trace) -> Seen:
    """Return the scale; for ``jac`` what SciPy starts from.

    A given scale is one of physical parameters, so that of u_k is x_scale_k / (dx_k/du_k): a unit
    step along u_k moves parameter k by x_scale_k.
    """
    options, bracket, coordinates = task.options, task.bracket, task.coordinates
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


def stand(task: Task, known: Projection | None = None) -> MinimiserState:
    """Look at the start without leaving it; see `descend`."""
    trace = _Trace(task, known)
    x = task.bracket.start
    seen = _choose_scale(task, trace)
    entry = trace.record(x, seen, 0.0)
    task.tell(entry)
    return MinimiserState(
        x, trace.derivatives(x), seen, MAX_ITERATIONS, trace.evaluations, (entry,)
    )


def descend(
    task: Task,
    *,
    eager: bool = False,
    limits: Limits | None = None,
    known: Projection | None = None,
) -> MinimiserState:
    """Run the trust region once from the bracket's start.

    A step across the bounds of a power law's amplitude ends the stay in coordinates with rates
    (see `coordinates`); the descent goes on without them.

    Parameters
    ----------
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
    found = _descend(task, _Trace(task, known, eager=eager), limits)
    if found.status != OUTSIDE:
        return found
    if task.left(found) < 1:
        return replace(found, status=MAX_ITERATIONS)
    rest = task.onward(found)
    rest = replace(
        rest,
        options=replace(rest.options, trust_region_scale=1.0),
        coordinates=task.coordinates.without_rates(),
    )
    return _descend(rest, _Trace(rest, found.at, eager=eager), limits).after(found)


def _descend(task: Task, trace: _Trace, limits: Limits) -> MinimiserState:
    options, bracket, coordinates = task.options, task.bracket, task.coordinates
    seen = _choose_scale(task, trace)
    u0 = coordinates.to_u(bracket.start)
    shift = (options.trust_region_scale - 1.0) * u0
    shifted = Shifted(coordinates, shift, bracket.lower, bracket.upper)
    p = len(bracket.names)
    previous = [bracket.start]

    def tell(x: FloatArray) -> None:
        entry = trace.record(x, seen, seen.distance(x, previous[0]))
        previous[0] = x
        task.tell(entry)

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
    return MinimiserState(
        x=x,
        at=trace.derivatives(x),
        seen=seen,
        status=status,
        evaluations=trace.evaluations,
        history=tuple(trace.history),
    )
