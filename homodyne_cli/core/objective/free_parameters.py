"""The parameters that a fit may move."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.dataset import FloatArray

#: Relative change, and change in uncertainties, that count as none: rounding, and what polishing
#: leaves.
_UNMOVED, _UNMOVED_SIGMAS = 1e-9, 1e-6


def has_moved(start: float, value: float, sigma: float) -> bool:
    """Whether a parameter left its start, beyond rounding and a trace of its uncertainty."""
    moved = abs(value - start)
    rounding = _UNMOVED * max(abs(start), abs(value), 1e-12)
    return moved > rounding and not (math.isfinite(sigma) and moved < _UNMOVED_SIGMAS * sigma)


@dataclass(frozen=True)
class FreeParameters:
    """Names, start and bounds of the free parameters, (p,) each, in physical units."""

    names: tuple[str, ...]
    start: FloatArray
    lower: FloatArray
    upper: FloatArray

    @property
    def width(self) -> FloatArray:
        """(p,) widths of the bounds."""
        return self.upper - self.lower

    def clip(self, x: FloatArray) -> FloatArray:
        """Return `x` moved into the bounds."""
        return np.clip(x, self.lower, self.upper)

    def started(self, x: FloatArray) -> FreeParameters:
        """Return the same parameters with another start."""
        return replace(self, start=x)

    def without(self, place: int) -> FreeParameters:
        """Return the other parameters."""
        names = self.names[:place] + self.names[place + 1 :]
        values = (np.delete(v, place) for v in (self.start, self.lower, self.upper))
        return FreeParameters(names, *values)
