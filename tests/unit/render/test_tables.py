"""Tables as they look; to accept a change of looks, run with ``UPDATE_GOLDEN=1``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from homodyne_cli.dataset import Rows
from homodyne_cli.render.console import make_console
from homodyne_cli.render.tables import (
    combination_table,
    fit_summary,
    parameter_table,
    provenance_table,
    scaling_table,
)
from homodyne_cli.render.tables_checks import checks_table, diagnosis_table
from homodyne_cli.results import SearchReport
from tests.support.loop import comparison_table
from tests.support.render_samples import (
    PROVENANCE,
    SECONDS,
    TRUTH,
    Terminal,
    checks,
    diagnosis,
    fit_result,
)

GOLDEN = Path(__file__).parents[2] / "golden"


def _scaling(n_phi: int) -> RenderableType:
    r = fit_result(n_phi)
    rows = Rows(np.linspace(-25.5, 205.5, n_phi), np.full(n_phi, 0.0054))
    return scaling_table(
        rows, r.contrast, r.contrast_uncertainty, r.offset, r.offset_uncertainty, r.sigma
    )


SHOWN: dict[str, Callable[[], list[RenderableType]]] = {
    "fit": lambda: [
        provenance_table(PROVENANCE),
        parameter_table(fit_result(), TRUTH),
        combination_table(fit_result().combinations),
        _scaling(3),
        fit_summary(fit_result(), SECONDS),
    ],
    "failed_fit": lambda: [
        parameter_table(fit_result(), None),
        fit_summary(fit_result(converged=False), SECONDS),
    ],
    "diagnosis": lambda: [diagnosis_table(diagnosis(), "D0, D_offset, phi0 [geometric mean]")],
    "checks": lambda: [
        checks_table(checks()),
        comparison_table([("reduced χ²", "1.42", "1.0003"), ("lobes [in the map]", "no", "yes")]),
    ],
}
#: Stream: encoding, terminal or not, width (None: what the stream itself gives), environment.
STREAMS: dict[str, tuple[str, bool, int | None, dict[str, str]]] = {
    "40": ("utf-8", True, 40, {}),
    "80": ("utf-8", True, 80, {}),
    "200": ("utf-8", True, 200, {}),
    "pipe": ("utf-8", False, None, {}),
    "nocolor": ("utf-8", True, 80, {"NO_COLOR": "1"}),
    "ascii": ("ascii", False, 80, {}),
}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def console_on(stream: str) -> tuple[Console, Terminal]:
    encoding, tty, width, _ = STREAMS[stream]
    target = Terminal(encoding, tty)
    return make_console(file=target, width=width), target


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("name", SHOWN)
def test_golden(name: str, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in STREAMS[stream][3].items():
        monkeypatch.setenv(key, value)
    console, target = console_on(stream)
    for renderable in SHOWN[name]():
        console.print(renderable)
    text = tidy(target.getvalue())
    path = GOLDEN / f"{name}_{stream}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 137, 200])
@pytest.mark.parametrize("name", SHOWN)
def test_lines_fit_and_nothing_is_cut(name: str, width: int, encoding: str) -> None:
    target = Terminal(encoding, tty=False)
    console = make_console(file=target, width=width)
    for renderable in SHOWN[name]():
        console.print(renderable)
    text = target.getvalue()
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert "…" not in text
    assert encoding != "ascii" or text.isascii()
    if name != "checks":
        assert "gamma_dot_t_offset" in text


NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d.,]*(?:e[-+]\d+)?(?![\w])")


@pytest.mark.parametrize("width", range(30, 140, 7))
@pytest.mark.parametrize("name", SHOWN)
def test_figures_are_whole_at_every_width(name: str, width: int) -> None:
    """Narrow places change a table's shape, never a figure."""
    shown = []
    for columns in (200, width):
        target = Terminal("utf-8", tty=False)
        console = make_console(file=target, width=columns)
        for renderable in SHOWN[name]():
            console.print(renderable)
        shown.append(set(NUMBER.findall(target.getvalue())))
    assert shown[0] <= shown[1]


def test_flags_and_pulls() -> None:
    console, target = console_on("200")
    console.print(parameter_table(fit_result(), TRUTH))
    text = target.getvalue()
    for flag in ("at bound", "not determined", "did not move from its start", "fixed"):
        assert flag in text
    (first,) = (line for line in text.splitlines() if line.startswith("D0 "))
    assert "+0.1" in first
    assert "Å²/s^(1+α)" in first


def test_a_broad_ring_stays_compact() -> None:
    console, target = console_on("pipe")
    console.print(_scaling(23))
    assert len(target.getvalue().splitlines()) <= 23 + 4


def test_advice_only_where_something_is_open() -> None:
    console, target = console_on("pipe")
    console.print(checks_table([c for c in checks() if c.status == "pass"]))
    assert "What to do" not in target.getvalue()
    console.print(checks_table(checks()))
    assert "apply-scale" in target.getvalue().partition("What to do")[2]


def test_verdicts_are_words_and_colours() -> None:
    console, target = console_on("200")
    console.print(checks_table(checks()))
    text = target.getvalue()
    for coloured in ("\x1b[1;31mFAIL", "\x1b[33mWARN", "\x1b[32mpass"):
        assert coloured in text


@pytest.mark.parametrize(
    ("runner_up", "said"),
    [
        (None, "no other minimum found"),
        (120.5, "the next best has χ² 120.5 against 100 on 640 pairs"),
        (99.5, "the other has χ² 99.5 against 100 on 640 pairs, and a higher one on more pairs"),
    ],
)
def test_a_minimum_that_is_lower_on_few_pairs_alone_is_not_called_next_best(
    runner_up: float | None, said: str
) -> None:
    search = SearchReport(256, 9, 7, 100.0, runner_up, 640)
    console = make_console(file=Terminal(tty=False), width=300)
    with console.capture() as shown:
        console.print(fit_summary(replace(fit_result(), search=search), SECONDS))
    (row,) = [line for line in shown.get().splitlines() if line.startswith("search")]
    assert row.rstrip().endswith(f"reached this minimum; {said}")
