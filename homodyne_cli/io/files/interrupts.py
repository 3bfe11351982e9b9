"""Signals that end the process, where something would be left half done.

The command line ends in the handler of the signal itself (`cli.process`): an exception raised
there can be swallowed on its way, by a destructor, a callback of the garbage collector or the
import of a compiled module. What has to happen before is put in front of that handler, for as long
as it applies. Only the main thread can do so; elsewhere the blocks here do nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

from homodyne_cli.errors import FitInterruptedError

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


class Interruption:
    """Whether a signal has asked for an end of what can end in order.

    Attributes
    ----------
    awaited
        Whether there is something that such an end would save; signals end the process otherwise.
    asked
        Whether one has come. The next one ends the process.
    """

    def __init__(self) -> None:
        self.awaited = self.asked = False

    def step(self) -> None:
        """Say that there is something to save, and end here if that was asked for.

        Raises
        ------
        FitInterruptedError
            It was.
        """
        self.awaited = True
        if self.asked:
            raise FitInterruptedError("interrupted before there was anything to save")


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Yield what tells of the first signal instead of ending the block."""
    told = Interruption()

    def handle(number: int, frame: FrameType | None) -> None:
        if told.asked or not told.awaited:
            before[number](number, frame)
        told.asked = True
        # Buffered streams cannot be written to from a handler that may have interrupted them.
        os.write(2, b"interrupted: the best point so far will be saved; again ends at once\n")

    with _handled(handle) as before:
        yield told


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
