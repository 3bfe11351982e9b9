"""Work done in threads: one per core, or a little ahead of what takes it."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psutil
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Made = TypeVar("Made")


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if sys.platform == "darwin":
        # It has no affinity: a process may run everywhere.
        return psutil.cpu_count() or 1
    else:
        return len(psutil.Process().cpu_affinity())


def core_threads(limit: int | None = None) -> ThreadPoolExecutor:
    """Return a pool with one thread per core, or fewer.

    With more threads, arrays that fit the cache are worked on more slowly than by one thread: they
    wait for the interpreter's lock.
    """
    cores = usable_cores()
    return ThreadPoolExecutor(max_workers=cores if limit is None else min(limit, cores))


@contextmanager
def serial_algebra() -> Iterator[None]:
    """Keep NumPy's and SciPy's linear algebra on the thread that calls it.

    Its own threads spin after every small system and take the cores from the pass: a fit of
    23 x 1000 takes a tenth longer with them.
    """
    with threadpool_limits(1, user_api="blas"):
        yield


def made_ahead(
    threads: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterable[Item], depth: int
) -> Iterator[Made]:
    """Yield make(item) in the order of the items, with at most `depth` more under way or waiting.

    `ThreadPoolExecutor.map` would begin them all, and hold what nobody has taken yet.
    """
    pending: deque[Future[Made]] = deque()
    for item in items:
        pending.append(threads.submit(make, item))
        if len(pending) > depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()
