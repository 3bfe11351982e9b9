"""How much memory maps may take, and where they go when they need more."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import psutil

from homodyne_cli.errors import UsageError

#: Of the program itself: Python, JAX and what it compiles. Measured.
_BASE: Final = 500_000_000
#: Of maps held in memory: the maps, their tiles, and what saving needs, in sizes of the maps.
_COPIES: Final = 2.0
#: Of loading a map that then goes to disk: the map, its transpose and masks, in sizes of the map.
_ONE_MAP: Final = 3.0
_UNITS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_SIZE: Final = re.compile(r"\s*([0-9]+\.?[0-9]*|\.[0-9]+)\s*([KMGT]?)(I?)B?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class MemoryBudget:
    """A budget in bytes, and the folder for maps that do not fit (None: the system's)."""

    budget: int
    scratch: Path | None = None

    def holds(self, shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> bool:
        """Return whether maps of a shape can be fitted in memory within the budget."""
        return _BASE + _COPIES * _size(shape, dtype) <= self.budget

    def check_streaming(
        self, shape: tuple[int, int, int], dtype: np.dtype[np.generic], *, per_pair: bool
    ) -> None:
        """Refuse what cannot be done from disk either.

        Raises
        ------
        UsageError
            A single map exceeds the budget, or the noise is given per pair.
        """
        least = _BASE + _ONE_MAP * _size(shape, dtype) / shape[0]
        whole = _BASE + _COPIES * _size(shape, dtype)
        if least > self.budget:
            raise UsageError(
                f"a memory budget of {_shown(self.budget)} cannot hold one map of "
                f"{shape[1]} x {shape[2]} frames: it takes {_shown(least)}",
                hint=f"--memory {_shown(least)} or more, or fewer frames",
            )
        if per_pair:
            raise UsageError(
                f"noise per pair needs the maps in memory: {_shown(whole)} of a budget of "
                f"{_shown(self.budget)}",
                hint=f"--memory {_shown(whole)}, or give one noise.sigma in the config",
            )


def _shown(size: float) -> str:
    """Return a size that holds it, in a form that ``--memory`` takes."""
    return f"{math.ceil(size / 1e6)}MB"


def _size(shape: tuple[int, int, int], dtype: np.dtype[np.generic]) -> int:
    return shape[0] * shape[1] * shape[2] * dtype.itemsize


def budget_of(text: str | None) -> int:
    """Return the budget asked for in bytes; None asks for a quarter of the machine's memory."""
    if text is None:
        return psutil.virtual_memory().total // 4
    return parse_size(text)


def parse_size(text: str) -> int:
    """Read ``2GB``, ``1.5 GiB``, ``800M`` as bytes.

    Raises
    ------
    UsageError
        It is not a size.
    """
    match = _SIZE.fullmatch(text)
    size = 0.0
    if match:
        base = 1024 if match[3] else 1000
        size = float(match[1]) * base ** _UNITS[match[2].upper()]
    if not 1.0 <= size <= sys.maxsize:
        raise UsageError(f"--memory {text!r}: not a size", hint="for example 2GB, 1.5GiB or 800M")
    return int(size)
