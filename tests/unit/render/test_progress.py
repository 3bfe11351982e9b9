from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from homodyne_cli.dataset import Dataset
from homodyne_cli.render import progress as progress_module
from homodyne_cli.render.console import make_console
from homodyne_cli.render.progress import FitProgress, StepsProgress
from homodyne_cli.results import IterationRecord, Phase
from tests.support.datasets import make_dataset
from tests.support.render_samples import Terminal

DATA = make_dataset(5, 3)


def run(stream: Terminal, *, enabled: bool = True, fails: bool = False) -> str:
    console = make_console(file=stream, width=100)

    def show(dataset: Dataset) -> None:
        stream.write(f"{dataset.n_phi} angles\n")

    with FitProgress(console, enabled=enabled, show_input=show) as progress:
        for done in range(4):
            progress.on_load(done, 3)
        progress.on_input(DATA)
        for k in range(3):
            progress.on_iteration(IterationRecord(k, 1234567.0 - k, 0.5, 1.0, 0.1))
        if fails:
            raise KeyboardInterrupt
    return stream.getvalue()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_silent_off_a_terminal_and_when_told() -> None:
    assert run(Terminal(tty=False)) == "3 angles\n"
    assert run(Terminal(), enabled=False) == "3 angles\n"


def test_last_step_is_shown_and_then_erased() -> None:
    text = run(Terminal())
    assert "iteration 2, chi2 1234565, EDM 0.5" in text
    assert "0:00:0" in text
    erase_line, show_cursor = "\x1b[2K", "\x1b[?25h"
    assert text.rstrip().endswith(erase_line)
    assert show_cursor in text


def test_the_search_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first descent has the compiler in it; the rest go by those after it."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    shown: list[str] = []
    console = make_console(file=Terminal(tty=False), width=100)
    progress = FitProgress(console, enabled=False, show_input=lambda _: None)
    monkeypatch.setattr(progress, "_show", lambda words, *_: shown.append(words))
    for done in (1, 2, 3, 8):
        progress.on_phase("search", done, 8)
        clock[0] += 10.0
    assert shown[0] == "fit: starts tried 1 of 8"
    # One descent in 10 s: six are left; two in 20 s: five are.
    assert shown[1] == "fit: starts tried 2 of 8, about 60 s left"
    assert shown[2] == "fit: starts tried 3 of 8, about 50 s left"
    assert shown[3] == "fit: 8 starts tried, going on from the best"


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (("saving", 0, 0), "writing the run directory"),
        (("pictures", 3, 12), "writing pictures: drawn 3 of 12"),
    ],
)
def test_saving_is_shown(phase: tuple[Phase, int, int], words: str) -> None:
    stream = Terminal()
    console = make_console(file=stream, width=100)
    with FitProgress(console, enabled=True, show_input=lambda _: None) as progress:
        progress.on_load(3, 3)
        progress.on_phase(*phase)
    assert words in stream.getvalue()


def test_time_left_goes_by_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four profiles one took 20 s; the second is not yet done."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console, shown = make_console(file=Terminal(tty=False), width=100), list[str]()
    progress = FitProgress(console, enabled=False, show_input=lambda _: None)
    monkeypatch.setattr(progress, "_show", lambda words, *_: shown.append(words))
    for done in range(2):
        progress.on_phase("profile", done, 4)
        clock[0] += 20.0
    progress.on_phase("noise", 0, 0)
    assert shown == [
        "profiles followed 0 of 4",
        "profiles followed 1 of 4, about 60 s left",
        "fit: looking at the noise that it leaves",
    ]


def test_a_descent_says_how_long_its_edm_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 1000 to 10 in 2 s: to 0.1 it takes as long again; of one that does not fall, nothing."""
    console, shown = make_console(file=Terminal(tty=False), width=100), list[str]()
    progress = FitProgress(console, enabled=False, show_input=lambda _: None)
    monkeypatch.setattr(progress, "_show", lambda words, *_: shown.append(words))
    for k, edm in enumerate((1000.0, 10.0, 9.0, 0.01)):
        progress.on_iteration(IterationRecord(k, 5.0, edm, 1.0, 2.0 * k))
    assert ["left" in text for text in shown] == [False, True, False, False]
    assert shown[1].endswith("EDM 10, about 2 s left")


def test_how_often_the_covariance_was_taken_is_told_with_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No time left: it is taken until the answer stands still. Maps are counted, with theirs."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    console, shown = make_console(file=Terminal(tty=False), width=100), list[str]()
    progress = FitProgress(console, enabled=False, show_input=lambda _: None)
    monkeypatch.setattr(progress, "_show", lambda words, *_: shown.append(words))
    progress.on_phase("weights", 1, 8)
    clock[0] += 10.0
    progress.on_phase("weights", 2, 8)
    progress.on_iteration(IterationRecord(3, 5.0, 0.5, 1.0, 2.0))
    progress.on_phase("assumptions", 0, 0)
    for done in (1, 2):
        clock[0] += 10.0
        progress.on_phase("assumptions", done, 4)
    progress.on_iteration(IterationRecord(4, 5.0, 0.4, 1.0, 2.0))
    assert shown == [
        "fit: covariance of the noise taken, 1 of at most 8 times",
        "fit: covariance of the noise taken, 2 of at most 8 times",
        "fit: iteration 3, chi2 5, EDM 0.5, covariance 2 of at most 8",
        "asking whether the model's assumptions hold",
        "asking whether the model's assumptions hold: maps 1 of 4, about 30 s left",
        "asking whether the model's assumptions hold: maps 2 of 4, about 20 s left",
        "fit: iteration 4, chi2 5, EDM 0.4",
    ]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_line_that_is_too_long_is_not_cut(width: int) -> None:
    """Its end is how long the rest takes; on a wide terminal a bar shows the same."""
    stream = Terminal()
    console = make_console(file=stream, width=width)
    with FitProgress(console, enabled=True, show_input=lambda _: None) as progress:
        progress.on_load(3, 3)
        progress.on_phase("weights", 2, 8)
        for k, edm in enumerate((2e4, 2e2)):
            progress.on_iteration(IterationRecord(12 + k, 1234567.8, edm, 1.0, 30.0 * k))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    words = " ".join(re.sub(r"\d+:\d+:\d+|[|/\\━╺-]", " ", shown).split())
    assert "EDM 200, covariance 2 of at most 8, about 60 s left" in words
    assert ("━" in shown) == (width >= 100)


def test_an_interruption_gives_the_terminal_back() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt):
        run(stream, fails=True)
    assert "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize("tty", [True, False])
def test_what_has_nothing_to_show_yet_says_what_it_does(
    tty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "_EVERY", 0.01)
    stream = Terminal(tty=tty)
    with StepsProgress(make_console(file=stream, width=100), "reading the run") as steps:
        for words, count in (("reading the run", ()), ("maps 3 of 7", (3, 7))):
            if count:
                steps.show("maps", *count)
            for _ in range(500):
                if words in stream.getvalue():
                    break
                time.sleep(0.01)
            assert words in stream.getvalue()
    assert ("\x1b" in stream.getvalue()) == tty


def test_ascii_terminal() -> None:
    assert run(Terminal("ascii")).isascii()


def test_off_a_terminal_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_EVERY", 0.01)
    stream = Terminal(tty=False)
    console = make_console(file=stream, width=100)
    with FitProgress(console, enabled=True, show_input=lambda _: None) as progress:
        phases: tuple[tuple[Callable[[], None], str], ...] = (
            (lambda: progress.on_load(1, 3), "reading maps 1/3, about"),
            (lambda: progress.on_load(3, 3), "fit: looking for a start"),
            (lambda: progress.on_phase("noise", 0, 0), "looking at the noise"),
            (lambda: progress.on_phase("profile", 1, 2), "profiles followed 1 of 2"),
            (lambda: progress.on_phase("saving", 0, 0), "writing the run directory"),
        )
        for show, words in phases:
            show()
            for _ in range(500):
                if words in stream.getvalue():
                    break
                time.sleep(0.01)
            assert words in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
