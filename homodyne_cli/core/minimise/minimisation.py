"""The log of one minimisation: where it stands, what it has cost, whom it tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise.coordinates import Coordinates
from homodyne_cli.core.minimise.state import (
    MinimiserState,
    StopReason,
    predicted_edm,
)
from homodyne_cli.core.minimise.x_scale import choose_scale, effective_ratio
from homodyne_cli.core.numerics.gram import column_norms, condition_number, without_effect
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import FitInterruptedError
from homodyne_cli.problem import SolverOptions
from homodyne_cli.results import IterationRecord

OnIteration = Callable[[IterationRecord], None]


class Minimisation:
    """One minimisation from its start to its end.

    Its phases look at points through it and append the steps that they accept; passes are counted,
    steps numbered and timed, and whoever wants to know is told, here and nowhere else.

    Attributes
    ----------
    objective, free, options
        What is minimised, over what, and how.
    coordinates
        In which a trust region moves.
    x, at, here
        The point it stands at, the pass there, and its description; `here` is made again where the
        scale or the objective changes, and need not be the last of `history`.
    scaled
        Coordinates and scale of the last trust region.
    stop
        Why the last phase ended.
    evaluations, history
        Passes made; the start and every accepted step.
    """

    def __init__(
        self,
        objective: Objective,
        options: SolverOptions,
        coordinates: Coordinates,
        start: FloatArray | None = None,
        notify: OnIteration | None = None,
    ) -> None:
        """Look at the start, that of the free parameters if none is given."""
        self.objective, self.free, self.options = objective, objective.free, options
        self.coordinates = coordinates
        self.stop = StopReason.UNDER_WAY
        self.history: list[IterationRecord] = []
        self._notify = notify
        self._started = time.perf_counter()
        self.x = self.free.start if start is None else start
        self.at, self.evaluations = objective.derivatives(self.x), 1
        self._last = self.x, self.at
        self.rescale(options, coordinates)
        self._tell()

    @property
    def iterations(self) -> int:
        """Accepted steps."""
        return len(self.history) - 1

    @property
    def interrupted(self) -> bool:
        """Whether somebody has ended it."""
        return self.stop is StopReason.INTERRUPTED

    @property
    def iterations_left(self) -> int:
        """How many more steps may be taken."""
        return self.options.max_iterations - self.iterations

    def cost(self, x: FloatArray) -> float:
        """Return chi2 at `x`."""
        at = self._known(x)
        if at is not None:
            return at.chi2
        self.evaluations += 1
        return self.objective.cost(x)

    def derivatives(self, x: FloatArray) -> Projection:
        """Return the pass at `x`, made once for a point that is looked at several times."""
        at = self._known(x)
        if at is None:
            self.evaluations += 1
            at = self.objective.derivatives(x)
            self._last = (x.copy(), at)
        return at

    def describe(self, x: FloatArray) -> IterationRecord:
        """Return what the next entry of the history would be at `x`."""
        at, scale = self.derivatives(x), self.scaled.scale
        hessian = at.reduced_hessian
        slope = self.scaled.coordinates.jacobian(x)
        inner = slope.T @ hessian @ slope
        live = ~without_effect(hessian, self.free.width)
        norms: dict[str, float] = {}
        diagnostics = self.options.diagnostics
        if diagnostics.enabled and diagnostics.log_jacobian_norms:
            norms = dict(zip(self.free.names, column_norms(hessian).tolist(), strict=True))
        return IterationRecord(
            iteration=len(self.history),
            chi2=at.chi2,
            edm=predicted_edm(at, x, self.free),
            step_norm=self.scaled.distance(x, self.x),
            seconds=time.perf_counter() - self._started,
            column_norms=norms,
            condition=condition_number(inner, scale),
            condition_raw=condition_number(hessian),
            effective_ratio=effective_ratio(column_norms(inner)[live], scale[live]),
        )

    def accept(self, x: FloatArray, entry: IterationRecord | None = None) -> None:
        """Take the step to `x`, whose description may be known."""
        self.here = self.describe(x) if entry is None else entry
        self.x, self.at = x, self.derivatives(x)
        self._tell()

    def rescale(self, options: SolverOptions, coordinates: Coordinates) -> None:
        """Choose the scale anew, from the point where it stands."""
        self.scaled = choose_scale(options, coordinates, self.free, self.x, self.at)
        self.here = replace(self.describe(self.x), iteration=max(self.iterations, 0))

    def relocate(self, state: MinimiserState) -> None:
        """Stand at the point of another state, to which no step leads."""
        self.x, self.at = state.x, state.at
        self._last = self.x, self.at

    def change_objective(self, objective: Objective, at: Projection | None = None) -> None:
        """Go on with another objective of the same parameters.

        Parameters
        ----------
        at
            The pass there, if there is a way to it without making one.
        """
        self.objective, self.stop = objective, StopReason.UNDER_WAY
        if at is None:
            self.evaluations += 1
            at = objective.derivatives(self.x)
        self.at, self._last = at, (self.x, at)
        self.rescale(self.options, self.coordinates)

    @contextmanager
    def until_interrupted(self) -> Iterator[None]:
        """Let who is told of the steps end the block; it then stands at the last of them."""
        try:
            yield
        except FitInterruptedError:
            self.stop = StopReason.INTERRUPTED

    def since(self, first: IterationRecord) -> list[IterationRecord]:
        """Return what `here` was at some point, and the steps accepted since."""
        return [first, *self.history[first.iteration + 1 :]]

    def state(self) -> MinimiserState:
        """Return where it has come to."""
        return MinimiserState(
            self.x, self.at, self.scaled, self.stop, self.evaluations, tuple(self.history)
        )

    def _known(self, x: FloatArray) -> Projection | None:
        if np.array_equal(self._last[0], x):
            return self._last[1]
        return self.at if np.array_equal(self.x, x) else None

    def _tell(self) -> None:
        self.history.append(self.here)
        if self._notify is not None:
            self._notify(self.here)
