from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from rich.text import Text

from homodyne_cli.errors import DataError, UsageError
from homodyne_cli.parameters import PARAMETERS
from homodyne_cli.render.console import (
    PIPE_WIDTH,
    ascii_text,
    is_ascii,
    make_console,
    print_error,
    print_note,
    print_plain,
    print_sentence,
)
from homodyne_cli.render.table_shapes import plain_table
from tests.support.render_samples import Terminal

PATH = "/data/" + "a-long-folder/" * 20 + "[run]/file.h5"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("χ² ± 1", "chi2 +/- 1"),
        ("Å²/s^(1+α)", "A2/s^(1+alpha)"),
        ("γ̇₀ φ₀ D₀", "gamma_dot0 phi0 D0"),
        ("3 × 4 µm … — █│é", "3 x 4 um ... - #|e"),
        ("日", "?"),
        ("plain", "plain"),
    ],
)
def test_ascii_text(text: str, expected: str) -> None:
    assert ascii_text(text) == expected


def test_every_symbol_and_unit_has_a_spelling() -> None:
    for p in PARAMETERS:
        assert "?" not in ascii_text(p.symbol + p.unit)


@pytest.mark.parametrize("columns", [None, "", "0", "many"])
def test_a_pipe_is_wide_unless_columns_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, columns: str | None
) -> None:
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert make_console(file=Terminal(tty=False)).width == PIPE_WIDTH


@pytest.mark.parametrize("term", ["xterm", "dumb"])
@pytest.mark.parametrize("tty", [True, False])
def test_columns_decides(monkeypatch: pytest.MonkeyPatch, term: str, tty: bool) -> None:
    monkeypatch.setenv("COLUMNS", "57")
    monkeypatch.setenv("TERM", term)
    assert make_console(file=Terminal(tty=tty)).width == 57


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_on_request(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    coloured, plain = Terminal(), Terminal()
    make_console(file=coloured, width=40).print("[red]x[/]")
    monkeypatch.setenv(name, value)
    make_console(file=plain, width=40).print("[red]x[/]")
    assert "\x1b[31m" in coloured.getvalue()
    assert "\x1b[31m" not in plain.getvalue()


def test_a_pipe_gets_no_escape_codes() -> None:
    stream = Terminal(tty=False)
    make_console(file=stream).print("[bold red]x[/]")
    assert stream.getvalue() == "x\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "iso8859-15", "US-ASCII"])
def test_streams_without_unicode_get_ascii(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = make_console(file=stream)
    console.print("χ² ± Å 日")
    console.print(Text("γ̇₀"))
    print_plain(console, "—")
    assert is_ascii(console)
    assert raw.getvalue() == b"chi2 +/- A ?\ngamma_dot0\n-\n"


def test_user_text_is_neither_wrapped_nor_read_as_markup() -> None:
    stream = Terminal(tty=False)
    console = make_console(file=stream, width=40)
    print_plain(console, PATH)
    print_note(console, PATH)
    assert stream.getvalue() == f"{PATH}\nnote: {PATH}\n"


def test_print_error_writes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(UsageError(f"{PATH}: not found [/red]", hint="look [bold]there"))
    print_error(DataError("alone"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"error: {PATH}: not found [/red] [H101]\nhint: look [bold]there\nerror: alone [H201]\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_nothing_raises_on_a_real_ascii_stderr(encoding: str) -> None:
    code = (
        "from homodyne_cli.errors import UsageError\n"
        "from homodyne_cli.render.console import make_console, print_error\n"
        "make_console().print('χ² γ̇ 日 █')\n"
        "print_error(UsageError('10 Å ≤ x', hint='φ₀'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        env={"PYTHONIOENCODING": f"{encoding}:strict", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == b"chi2 gamma_dot ? #\n"
    assert done.stderr == b"error: 10 A <= x [H101]\nhint: phi0\n"


def test_sentences_are_broken_between_words_on_a_terminal_alone() -> None:
    sentence = "below the noise floor: gradients of D0, alpha and D_offset"
    for stream, lines in ((Terminal(), 2), (Terminal(tty=False), 1)):
        print_sentence(make_console(file=stream, width=40), sentence)
        text = stream.getvalue().rstrip("\n").splitlines()
        assert len(text) == lines
        assert " ".join(line.strip() for line in text) == sentence


def test_a_terminal_breaks_sentences_between_words_and_no_path() -> None:
    stream = Terminal()
    words = "the maps of " + " ".join(["this ring"] * 12)
    text = f"{words} {PATH}\n       and more of it, with an indent, " + "that is kept " * 3
    print_sentence(make_console(file=stream, width=40), text, label=("error: ", "bold red"))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert lines[0].startswith("error: the maps of this ring")
    assert all(len(line) <= 40 for line in lines if line != PATH)
    assert PATH in lines
    assert " ".join(" ".join(lines).split()) == " ".join(f"error: {text}".split())
    indented = lines[lines.index(PATH) + 1 :]
    assert len(indented) > 1
    assert all(line.startswith(" " * 7) for line in indented)


def test_an_option_and_its_value_are_not_parted() -> None:
    stream, option = Terminal(), "--set analyzer_parameters.scattering.wavevector_q=0.0054"
    print_sentence(make_console(file=stream, width=60), f"in the other unit it is: {option}")
    assert option in stream.getvalue().splitlines()


def test_what_is_to_be_typed_is_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    command, sentence = (
        "homodyne fit config.yaml --data data.h5 -o run1",
        "keys are " + "key, " * 12,
    )
    for hint in (command, sentence):
        print_error(UsageError("no", hint=hint))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert f"hint: {command}\n" in shown
    assert f"hint: {sentence.strip()}" not in shown


def test_a_title_may_be_wider_than_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    title = "4 fits: 3 with a check that fails, 1 that passes"
    table = plain_table(title, "fit", caption=title.upper())
    table.add_row("s1")
    make_console(width=80).print(table)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == title
    assert lines[-1] == title.upper()
