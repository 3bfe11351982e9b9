"""Signals that end the process, where something would be left half done.

The command line ends in the handler of the signal itself (`cli.process`): an exception raised
there can be swallowed on its way, by a destructor, a callback of the garbage collector or the
import of a compiled module. What has to happen before is put in front of that handler, for as long
as it applies. Only the main thread can do so; elsewhere the blocks here do nothing.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

_Handler: TypeAlias = Callable[[int, FrameType | None], object]

#: Ctrl-C, a batch system's request to stop, and the end of the terminal; not all exist on Windows.
ENDING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


@contextmanager
def on_interrupt(clean: Callable[[], None]) -> Iterator[None]:
    """Call `clean` before a signal ends the block."""

    def handle(number: int, frame: FrameType | None) -> None:
        clean()
        before[number](number, frame)

    with _handled(handle) as before:
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold signals back until the block is left."""
    arrived: list[int] = []
    try:
        with _handled(lambda number, _frame: arrived.append(number)):
            yield
    finally:
        if arrived:
            signal.raise_signal(arrived[0])


@contextmanager
def _handled(handler: _Handler) -> Iterator[dict[int, _Handler]]:
    """Give signals another handler and yield their former ones; those left alone stay so."""
    before: dict[int, _Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            former = signal.getsignal(number)
            if callable(former):
                before[number] = former
    try:
        for number in before:
            signal.signal(number, handler)
        yield before
    finally:
        for number, former in before.items():
            signal.signal(number, former)
