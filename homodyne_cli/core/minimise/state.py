"""What is known at a point of a descent: its bounds, its record, the Gauss-Newton step from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise.coordinates import Coordinates, Seen
from homodyne_cli.core.minimise.x_scale import effective_ratio
from homodyne_cli.core.numerics.gram import condition_number, gauss_newton_step, without_effect
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions
from homodyne_cli.results import IterationRecord

#: Of SciPy's reasons to end a descent: chi2 no longer falls, and a callback stopped it.
FTOL, MAX_ITERATIONS = 2, -2
#: Ours: the scale no longer balances the columns, the descent left its coordinates, or came as near
#: to a minimum as it was asked to.
STALE, OUTSIDE, NEAR = -3, -4, -5
#: Ours, and an end: it in_flat_valley along the floor of a valley.
FLAT = 5
#: A descent in_flat_valley if so many steps lower chi2 by no more than this together, and the next
#: Gauss-Newton step promises no more than `EDM_FLAT`.
_FLAT_STEPS, _FLAT_GAIN = 10, 0.01
EDM_FLAT = 1.0


@dataclass(frozen=True)
class MinimiserState:
    """Where a descent has come to, and how; `status` is SciPy's or one of those above.

    `at` is the pass at `x`, `seen` the coordinates and scale there.
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

    @property
    def stopped(self) -> bool:
        """Whether it left its start and ended before a minimum."""
        return self.status <= 0 and self.iterations > 0

    def after(self, earlier: MinimiserState) -> MinimiserState:
        """Return this descent as the continuation of an earlier one."""
        steps = (_shifted(step, earlier) for step in self.history[1:])
        return replace(
            self,
            evaluations=self.evaluations + earlier.evaluations,
            history=(*earlier.history, *steps),
        )


OnIteration = Callable[[IterationRecord], None]


def _shifted(step: IterationRecord, earlier: MinimiserState) -> IterationRecord:
    seconds = step.seconds + earlier.history[-1].seconds
    return replace(step, iteration=step.iteration + earlier.iterations, seconds=seconds)


def continued(notify: OnIteration | None, earlier: MinimiserState) -> OnIteration | None:
    """Return what to call in the continuation of a descent: its start has been told already."""
    if notify is None:
        return None

    def tell(step: IterationRecord) -> None:
        if step.iteration > 0:
            notify(_shifted(step, earlier))

    return tell


def predicted_edm(found: Projection, x: FloatArray, bracket: FreeParameters) -> float:
    """Return the chi2 decrease that the next Gauss-Newton step within bounds predicts."""
    return linear_step(found, x, bracket)[1]


def linear_step(
    found: Projection, x: FloatArray, bracket: FreeParameters
) -> tuple[FloatArray, float]:
    """Return the next Gauss-Newton step within bounds and the chi2 decrease it predicts."""
    return gauss_newton_step(
        found.reduced_hessian, found.gradient, x - bracket.lower, bracket.upper - x
    )


def describe_point(
    found: Projection, x: FloatArray, bracket: FreeParameters, seen: Seen, *, log_norms: bool
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
        edm=predicted_edm(found, x, bracket),
        step_norm=0.0,
        seconds=0.0,
        column_norms=dict(zip(bracket.names, norms.tolist(), strict=True)) if log_norms else {},
        condition=condition_number(inner, seen.scale),
        condition_raw=condition_number(hessian),
        effective_ratio=effective_ratio(_column_norms(inner)[live], seen.scale[live]),
    )


def _column_norms(hessian: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(np.diag(hessian), 0.0))


def in_flat_valley(history: Sequence[IterationRecord], options: SolverOptions) -> bool:
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


@dataclass(frozen=True)
class Task:
    """What a descent works on, and whom it tells.

    Attributes
    ----------
    bracket
        Where it starts, and within which bounds it stays.
    coordinates
        In which the trust region moves.
    notify
        Called with the start and after every accepted step.
    """

    objective: Objective
    options: SolverOptions
    bracket: FreeParameters
    coordinates: Coordinates
    notify: OnIteration | None = None

    def tell(self, step: IterationRecord) -> None:
        """Notify whoever wants to know."""
        if self.notify is not None:
            self.notify(step)

    def left(self, found: MinimiserState) -> int:
        """Return how many iterations a descent may still take."""
        return self.options.max_iterations - found.iterations

    def at(self, x: FloatArray) -> Task:
        """Return the same from another start."""
        return replace(self, bracket=replace(self.bracket, start=x))

    def onward(self, found: MinimiserState) -> Task:
        """Return the rest of the task for a descent that has come so far."""
        options = replace(self.options, max_iterations=self.left(found))
        return replace(self.at(found.x), options=options, notify=continued(self.notify, found))
