"""Work done in threads a little ahead of what takes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def made_ahead(
    threads: ThreadPoolExecutor, make: Callable[[Item], Made], items: Iterable[Item], ahead: int
) -> Iterator[Made]:
    """Yield make(item) in the order of the items, with at most `ahead` more under way or waiting.

    `ThreadPoolExecutor.map` would begin them all, and hold what nobody has taken yet.
    """
    coming: deque[Future[Made]] = deque()
    for item in items:
        coming.append(threads.submit(make, item))
        if len(coming) > ahead:
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()
