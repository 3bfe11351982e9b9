r"""What can be minimised: a sum of squares whose linear coefficients have been eliminated.

The minimiser, profiles, EDM and gradient check know an objective by the members of `Objective`
alone, whatever its data are and however its residuals are weighted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray


class Objective(Protocol):
    """Chi2 over the free parameters.

    An implementer owes, at every `x` (p,) inside the bounds of `free`:

    - chi2 at the coefficients (contrast, offset) that minimise it there, finite or huge, and the
      same from `cost` as from `derivatives`;
    - `gradient` = J^T r, half the derivative of chi2 with those coefficients following x;
    - `hessian` = J^T J of parameters and coefficients side by side as an arrow, or another
      symmetric positive semidefinite curvature. With s^2 = chi2 the reduced one must exceed
      g g^T / s^2, as J^T J does: SciPy is given a residual and a Jacobian made from the three;
    - residuals in units of their standard deviation: thresholds in chi2 are ones of noise.
    """

    @property
    def free(self) -> FreeParameters:
        """Names, start and bounds of the free parameters."""

    def cost(self, x: FloatArray) -> float:
        """Return chi2; may save the work that derivatives take."""

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian."""

    def expand(self, x: FloatArray) -> FloatArray:
        """Return all parameters in table order, the free ones set to `x`."""


@dataclass(frozen=True)
class HeldObjective:
    """An objective with one of its free parameters, that at `place`, held at a value."""

    whole: Objective
    place: int
    value: float

    @property
    def free(self) -> FreeParameters:
        """The other parameters."""
        return self.whole.free.without(self.place)

    def cost(self, x: FloatArray) -> float:
        """Return chi2."""
        return self.whole.cost(self._inserted(x))

    def derivatives(self, x: FloatArray) -> Projection:
        """Return chi2, gradient and Hessian by the other parameters."""
        others = np.delete(np.arange(len(x) + 1), self.place)
        return self.whole.derivatives(self._inserted(x)).restricted(others)

    def expand(self, x: FloatArray) -> FloatArray:
        """Return all parameters in table order."""
        return self.whole.expand(self._inserted(x))

    def _inserted(self, x: FloatArray) -> FloatArray:
        return np.insert(x, self.place, self.value)
