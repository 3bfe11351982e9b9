"""Signals: what is done before them, and what they wait for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from homodyne_cli.io.files.interrupts import ENDING, on_interrupt, uninterrupted

END = signal.SIGINT


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What happened, with signals that say so instead of ending the process."""
    told: list[str] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append("end")

    before = {number: signal.signal(number, end) for number in ENDING}
    yield told
    assert all(signal.getsignal(number) is end for number in ENDING)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_was_made_last_is_removed_first(log: list[str]) -> None:
    with on_interrupt(lambda: log.append("outer")), on_interrupt(lambda: log.append("inner")):
        signal.raise_signal(END)
    assert log == ["inner", "outer", "end"]


def test_only_inside_the_block(log: list[str]) -> None:
    with on_interrupt(lambda: log.append("clean")):
        pass
    signal.raise_signal(END)
    assert log == ["end"]


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_waits_for_the_end_of_the_block(log: list[str], number: int) -> None:
    with on_interrupt(lambda: log.append("clean")):
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            log.append("done")
        log.append("after")
    assert log == ["done", "clean", "end", "after"]


def test_it_comes_after_an_error_too(log: list[str]) -> None:
    def fail() -> None:
        signal.raise_signal(END)
        raise KeyError

    with pytest.raises(KeyError), uninterrupted():
        fail()
    assert log == ["end"]


def test_ignored_signals_stay_ignored(log: list[str]) -> None:
    before = signal.signal(END, signal.SIG_IGN)
    with on_interrupt(lambda: log.append("clean")), uninterrupted():
        signal.raise_signal(END)
    assert signal.signal(END, before) is signal.SIG_IGN
    assert log == []


def test_other_threads_have_no_say(log: list[str]) -> None:
    def work() -> None:
        with on_interrupt(lambda: log.append("clean")), uninterrupted():
            log.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert log == ["worked"]
