from __future__ import annotations

import pytest

from homodyne_cli.dataset import Dataset
from homodyne_cli.render.console import make_console
from homodyne_cli.render.progress import FitProgress
from homodyne_cli.results import IterationRecord
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


def test_saving_is_shown() -> None:
    stream = Terminal()
    console = make_console(file=stream, width=100)
    with FitProgress(console, enabled=True, show_input=lambda _: None) as progress:
        progress.on_load(3, 3)
        progress.on_save()
    assert "writing the run directory" in stream.getvalue()


def test_an_interruption_gives_the_terminal_back() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt):
        run(stream, fails=True)
    assert "\x1b[?25h" in stream.getvalue()


def test_ascii_terminal() -> None:
    assert run(Terminal("ascii")).isascii()
