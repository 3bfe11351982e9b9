"""What a fit has used: seconds of each phase, seconds of compiling.

Nothing here imports JAX: many fits need none.
"""

from __future__ import annotations

import time
from typing import Final

from homodyne_cli.results import Seconds

#: What JAX has compiled in this process, from when to when by `time.perf_counter`; like the code
#: itself it is the process's.
COMPILED: Final[list[tuple[float, float]]] = []


def compiling_seconds(begin: float, end: float) -> float:
    """Return the seconds between two moments in which something was compiled, side by side once."""
    seconds, reached = 0.0, begin
    for first, last in sorted(COMPILED):
        last = min(last, end)
        seconds += max(last - max(first, reached), 0.0)
        reached = max(reached, last)
    return seconds


class FitClock:
    """Tells where the time of a fit goes, that in which code is compiled apart from the rest."""

    def __init__(self, started: float) -> None:
        self._started = self._loaded = self._fitted = started

    def has_loaded(self) -> None:
        """End loading."""
        self._loaded = time.perf_counter()

    def has_fitted(self) -> None:
        """End fitting."""
        self._fitted = time.perf_counter()

    def seconds(self) -> Seconds:
        """Return the time of each phase; what follows the fit is saving."""
        now = time.perf_counter()
        compiling = compiling_seconds(self._loaded, self._fitted)
        fit = self._fitted - self._loaded - compiling
        load = self._loaded - self._started
        return Seconds(load, compiling, fit, now - self._fitted, now - self._started)
