"""Threads for work on whole maps: of maps on disk, few are in memory at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, MapSource

#: Maps that are read from disk at the same time.
MAPS_HELD = 2


def map_threads(dataset: Dataset, most: int = MAPS_HELD) -> ThreadPoolExecutor:
    """Return a pool with one thread per core, or at most so many for maps on disk.

    Those are on disk because memory is scarce, however many cores there are.
    """
    return core_threads(most if isinstance(dataset.c2, MapSource) else None)
