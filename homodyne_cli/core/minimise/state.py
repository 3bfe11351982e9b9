"""Where a minimisation stands: the point, why it ended there, and the Gauss-Newton step from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import ScaledCoordinates
from homodyne_cli.core.numerics.gram import column_norms, gauss_newton_step
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions
from homodyne_cli.results import INTERRUPTED, IterationRecord


class StopReason(IntEnum):
    """Why a minimisation, or one of its phases, ended.

    The values up to 4 are SciPy's status codes, which run directories record; those above zero are
    ends at a minimum as far as their criterion can tell.
    """

    sentence: str

    def __new__(cls, code: int, sentence: str = "") -> StopReason:
        """Make a member from its code and what it means."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    INTERRUPTED = INTERRUPTED, "stopped: interrupted, and this is the best point so far"
    UNDER_WAY = -6, "stopped: before anything was minimised"
    AT_HAND = -5, "stopped: as near to a minimum as was asked for"
    LEFT_COORDINATES = -4, "stopped: a step left the optimiser's coordinates"
    UNBALANCED = -3, "stopped: the scale no longer balances the parameters"
    MAX_ITERATIONS = -2, "stopped: max_iterations reached"
    MAX_TRIALS = 0, "stopped: too many trial steps"
    GTOL = 1, "gradient below gtol"
    FTOL = 2, "chi2 no longer falls (ftol)"
    XTOL = 3, "parameters no longer move (xtol)"
    FTOL_AND_XTOL = 4, "chi2 no longer falls and parameters no longer move (ftol and xtol)"
    FLAT_VALLEY = 5, "in a valley along which chi2 no longer falls by what noise would notice"

    @property
    def is_success(self) -> bool:
        """Whether a criterion of convergence was met."""
        return self > 0


@dataclass(frozen=True)
class MinimiserState:
    """Where a minimisation has come to, and how.

    Attributes
    ----------
    x, at
        (p,) free parameters, and the pass there.
    scaled
        Coordinates and scale of the trust region.
    stop
        Why it ended.
    evaluations
        Passes made.
    history
        The start and every accepted step.
    """

    x: FloatArray
    at: Projection
    scaled: ScaledCoordinates
    stop: StopReason
    evaluations: int
    history: tuple[IterationRecord, ...]

    @property
    def chi2(self) -> float:
        """Cost at the end."""
        return self.at.chi2

    @property
    def iterations(self) -> int:
        """Accepted steps."""
        return len(self.history) - 1

    @property
    def stopped(self) -> bool:
        """Whether it left its start and ended before a minimum."""
        return not self.stop.is_success and self.iterations > 0


def linear_step(at: Projection, x: FloatArray, free: FreeParameters) -> tuple[FloatArray, float]:
    """Return the next Gauss-Newton step within bounds and the chi2 decrease it predicts."""
    return gauss_newton_step(at.reduced_hessian, at.gradient, x - free.lower, free.upper - x)


def predicted_edm(at: Projection, x: FloatArray, free: FreeParameters) -> float:
    """Return the chi2 decrease that the next Gauss-Newton step within bounds predicts."""
    return linear_step(at, x, free)[1]


def inside_bounds(at: Projection, x: FloatArray, free: FreeParameters) -> NDArray[np.bool_]:
    """Return (p,) which parameters are not at a bound, so that their uncertainties mean something.

    One is at a bound if it is there within a trace of its own uncertainty, or if the gradient
    pushes it out: the next Gauss-Newton step within bounds, no longer than one that a minimum is
    converged with, ends there.
    """
    norm, width = column_norms(at.reduced_hessian), free.width
    # What the data do not see has no uncertainty but the width of its bounds.
    sigma = 1.0 / np.maximum(norm, 1.0 / width)
    room = np.minimum(x - free.lower, free.upper - x)
    after = x + linear_step(at, x, free)[0]
    rest = np.minimum(after - free.lower, free.upper - after)
    trace = policy.BESIDE_BOUND * sigma
    pushed = (rest <= trace) & (room <= np.sqrt(policy.EDM_CONVERGED) * sigma)
    return np.asarray((room > trace) & ~pushed)


def is_converged(stop: StopReason, edm: float) -> bool:
    """Whether a minimisation that ended so is at a minimum, as far as noise would notice."""
    limit = policy.EDM_FLAT if stop is StopReason.FLAT_VALLEY else policy.EDM_CONVERGED
    return stop.is_success and edm < limit


def in_flat_valley(steps: Sequence[IterationRecord], options: SolverOptions) -> bool:
    """Whether the last steps gained nothing that noise would notice.

    Where data do not tell parameters apart, the minimum is a long, curved valley, along which a
    minimisation can go on for hundreds of steps. A poor scale that makes steps short does not pass
    for one, because the expected gain is then large. A tighter ftol than the default asks for the
    last digit, and gets it.
    """
    if options.ftol < SolverOptions.ftol or len(steps) <= policy.FLAT_STEPS:
        return False
    gain = steps[-1 - policy.FLAT_STEPS].chi2 - steps[-1].chi2
    return gain < policy.FLAT_GAIN and steps[-1].edm < policy.EDM_FLAT
