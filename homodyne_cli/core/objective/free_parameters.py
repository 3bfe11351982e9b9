"""The parameters that a fit may move."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.dataset import FloatArray


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
