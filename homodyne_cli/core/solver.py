"""One descent: SciPy's trust region on the compressed residual.

The optimiser works on v = u + shift, where u are the coordinates and
shift = (trust_region_scale - 1) u0: SciPy takes its first trust radius from the length of the
scaled start vector, so lengthening that vector by a factor lengthens the radius by it, and nothing
else changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import optimize

from homodyne_cli.core.coordinates import Coordinates, Seen, Shifted
from homodyne_cli.core.objective import Objective, compressed_jacobian, compressed_residual
from homodyne_cli.core.projection import Projection
from homodyne_cli.core.scaling import (
    column_norm_scale,
    condition_number,
    effective_ratio,
    gauss_newton_step,
    without_effect,
)
from homodyne_cli.errors import ConfigError
from homodyne_cli.models import FloatArray, SolverOptions
from homodyne_cli.results import IterationRecord

#: SciPy counts trial steps, the config counts iterations; a stuck trust region ends here.
_TRIALS_PER_ITERATION = 20

#: What `scipy.optimize.least_squares` returns when its callback stops it; what a descent returns
#: whose scale no longer balances the columns, or which left its coordinates.
MAX_ITERATIONS, STALE, OUTSIDE = -2, -3, -4
#: What a descent returns that creeps along the floor of a valley.
FLAT = 5
#: A descent creeps if so many steps lower chi2 by no more than this together, and the next
#: Gauss-Newton step promises no more than `EDM_FLAT`.
_FLAT_STEPS, _FLAT_GAIN = 10, 0.01
EDM_FLAT = 1.0

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

    `at` is the pass at `x`, `seen` the coordinates and scale at the end.
    """

    x: FloatArray
    at: Projection
    seen: Seen
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
        found.reduced_hessian, found.gradient, x - bracket.lower, bracket.upper - x
    )


def describe_point(
    found: Projection, x: FloatArray, bracket: Bracket, seen: Seen, *, log_norms: bool
) -> IterationRecord:
    """Record the pass at `x`; the caller numbers and times it."""
    hessian = found.reduced_hessian
    norms = _column_norms(hessian)
    slope = seen.coordinates.jacobian(x)
    inner = slope.T @ hessian @ slope
    live = ~without_effect(hessian, bracket.upper - bracket.lower)
    return IterationRecord(
        iteration=0,
        chi2=found.chi2,
        edm=edm_at(found, x, bracket),
        step_norm=0.0,
        seconds=0.0,
        column_norms=dict(zip(bracket.names, norms.tolist(), strict=True)) if log_norms else {},
        condition=condition_number(inner, seen.scale),
        condition_raw=condition_number(hessian),
        effective_ratio=effective_ratio(_column_norms(inner)[live], seen.scale[live]),
    )


def _column_norms(hessian: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(np.diag(hessian), 0.0))


def creeps(history: Sequence[IterationRecord], options: SolverOptions) -> bool:
    """Whether the last steps gained nothing that noise would notice.

    Where data do not tell parameters apart, the minimum is a long, curved valley: a descent can go
    on along it for hundreds of steps. A poor scale that makes steps short does not pass for one,
    because the expected gain is then large. A tighter ftol than the default asks for the last
    digit, and gets it.
    """
    if options.ftol < SolverOptions.ftol or len(history) <= _FLAT_STEPS:
        return False
    gain = history[-1 - _FLAT_STEPS].chi2 - history[-1].chi2
    return gain < _FLAT_GAIN and history[-1].edm < EDM_FLAT


class _Trace:
    """Remembers the last derivatives and records accepted steps of one descent."""

    def __init__(
        self, objective: Objective, options: SolverOptions, bracket: Bracket, *, eager: bool
    ) -> None:
        self._objective = objective
        self._bracket = bracket
        self._options = options
        self._eager = eager
        self._started = time.perf_counter()
        self._last: tuple[FloatArray, Projection] | None = None
        self.evaluations = 0
        self.history: list[IterationRecord] = []

    def why_stopped(self, stale: float) -> int:
        """Return FLAT or STALE where there is reason to stop here, else MAX_ITERATIONS."""
        if creeps(self.history, self._options):
            return FLAT
        return STALE if self.history[-1].effective_ratio > stale else MAX_ITERATIONS

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

    A step across the bounds of a power law's amplitude ends the stay in coordinates with rates
    (see `coordinates`); the descent goes on without them.

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
    found = _descend(objective, options, bracket, coordinates, notify, eager=eager, stale=stale)
    if found.status != OUTSIDE:
        return found
    left = options.max_iterations - found.iterations
    if left < 1:
        return replace(found, status=MAX_ITERATIONS)
    rest = replace(options, max_iterations=left, trust_region_scale=1.0)
    onward, box = replace(bracket, start=found.x), coordinates.without_rates()
    more = _descend(objective, rest, onward, box, notify, eager=eager, stale=stale)
    return more.after(found)


def _descend(
    objective: Objective,
    options: SolverOptions,
    bracket: Bracket,
    coordinates: Coordinates,
    notify: OnIteration | None,
    *,
    eager: bool,
    stale: float,
) -> Descent:
    trace = _Trace(objective, options, bracket, eager=eager)
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
        if ended or trace.why_stopped(stale) != MAX_ITERATIONS:
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
        status = trace.why_stopped(stale)
    return Descent(
        x=x,
        at=trace.derivatives(x),
        seen=seen,
        status=status,
        evaluations=trace.evaluations,
        history=tuple(trace.history),
    )
