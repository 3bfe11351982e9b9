"""Which half of a square map a file stores, told by its content."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import MapArray

BoolArray = NDArray[np.bool_]

#: Where a stored map holds its values, seen from the diagonal (row = t1, column = t2).
Half = Literal["upper", "lower", "full", "empty"]

#: Rows looked at together, so that large maps need no second of their size.
_BAND: Final = 256


def upper_pairs(size: int) -> BoolArray:
    """Return the (size, size) mask of pairs i < j."""
    return np.triu(np.ones((size, size), dtype=np.bool_), 1)


def stored_half(block: MapArray, upper: BoolArray) -> Half:
    """Return which half of a square block holds values other than zero and NaN."""
    filled = (block != 0) & np.isfinite(block)
    above = bool((filled & upper).any())
    below = bool((filled & upper.T).any())
    if above:
        return "full" if below else "upper"
    return "lower" if below else "empty"


def asymmetry(block: MapArray) -> float:
    """Return the largest |c(i, j) - c(j, i)| relative to the largest value; 0 if none is finite."""
    difference = largest = 0.0
    for first in range(0, len(block), _BAND):
        band, mirrored = (half[first : first + _BAND] for half in (block, block.T))
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(band - mirrored)
        difference = max(difference, float(np.max(apart, initial=0.0, where=np.isfinite(apart))))
        size = np.abs(band)
        largest = max(largest, float(np.max(size, initial=0.0, where=np.isfinite(size))))
    return 0.0 if largest == 0.0 else difference / largest
