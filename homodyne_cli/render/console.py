"""Where text goes: terminals wide and narrow, pipes, NO_COLOR, streams that know only ASCII."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
import unicodedata
from typing import IO, Any, cast

from rich.console import Console
from rich.text import Text

from homodyne_cli.errors import HomodyneError

#: Width in a pipe: wide enough that no table is cut, unless COLUMNS says otherwise.
PIPE_WIDTH = 120
_HEIGHT = 25
#: What begins with it is to be typed.
_COMMAND, _OPTION = "homodyne ", "--set "
_NO_BREAK = "\N{NO-BREAK SPACE}"

_SPELLINGS = {
    "Å": "A", "α": "alpha", "β": "beta", "γ": "gamma", "κ": "kappa", "λ": "lambda", "μ": "u",
    "µ": "u", "π": "pi", "σ": "sigma", "φ": "phi", "χ": "chi", "Δ": "Delta", "Σ": "Sum",
    "²": "2", "³": "3", "⁴": "4", "⁻": "-", "⁺": "+", "₀": "0", "°": "deg", "±": "+/-", "×": "x",
    "·": "*", "−": "-", "—": "-", "–": "-", "…": "...", "→": "->", "←": "<-", "≤": "<=",
    "≥": ">=", "≈": "~", "≠": "!=", "√": "sqrt", "∞": "inf", "•": "*", "●": "o", "✓": "ok",
    "✗": "x", "⚠": "!", "█": "#", "▇": "#", "▆": "#", "▅": "#", "▄": "#", "▃": "=", "▂": "=",
    "▁": "-", "━": "-", "─": "-", "│": "|", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+",
    "┤": "+", "┬": "+", "┴": "+", "┼": "+", "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip
_TABLE = str.maketrans(_SPELLINGS)
#: Pairs of signs that mean something together.
_PAIRS = (("γ̇", "gamma_dot"),)


def ascii_text(text: str) -> str:
    """Spell `text` in ASCII; what has no spelling becomes its base letter, or '?'."""
    if text.isascii():
        return text
    for signs, spelling in _PAIRS:
        text = text.replace(signs, spelling)
    text = text.translate(_TABLE)
    return "".join(sign if sign.isascii() else _base(sign) for sign in text)


def _base(sign: str) -> str:
    letters = "".join(c for c in unicodedata.normalize("NFKD", sign) if c.isascii())
    return letters or ("" if unicodedata.combining(sign) else "?")


class AsciiStream:
    """A text stream that spells what its target cannot encode: nothing written to it raises."""

    def __init__(self, target: IO[str]) -> None:
        self._target = target

    @property
    def encoding(self) -> str:
        """Encoding that decides on rich's box characters."""
        return "ascii"

    def write(self, text: str) -> int:
        """Write `text` in ASCII."""
        return self._target.write(ascii_text(text))

    def flush(self) -> None:
        """Flush the target."""
        self._target.flush()

    def isatty(self) -> bool:
        """Tell whether the target is a terminal."""
        return self._target.isatty()

    def fileno(self) -> int:
        """Return the target's file descriptor."""
        return self._target.fileno()


def knows_unicode(stream: IO[str]) -> bool:
    """Tell whether a stream can encode what tables contain."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")


class _AsciiConsole(Console):
    """A console that spells text before it is laid out, so that columns stay aligned."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(ascii_text(text), **options)


def make_console(
    *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None
) -> Console:
    """Return a console on stdout, stderr or `file`.

    COLUMNS decides on the width where it is set. Without it a terminal gets its own width, a pipe
    120 columns so that nothing is cut. An ASCII stream gets everything spelt out. NO_COLOR and
    TERM=dumb are heeded.
    """
    target = file or (sys.stderr if stderr else sys.stdout)
    if width is None:
        width = _width_wanted(target)
    # rich takes a width on a dumb terminal only with a height.
    height = None if width is None else _HEIGHT
    if knows_unicode(target):
        return Console(file=target, width=width, height=height, highlight=False, emoji=False)
    stream = cast(IO[str], AsciiStream(target))
    return _AsciiConsole(file=stream, width=width, height=height, highlight=False, emoji=False)


def is_ascii(console: Console) -> bool:
    """Tell whether the console's stream knows ASCII only."""
    return console.options.ascii_only


def _width_wanted(target: IO[str]) -> int | None:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    return None if target.isatty() else PIPE_WIDTH


def print_plain(console: Console, text: str, style: str | None = None) -> None:
    """Print user text as it is: no markup, and no wrapping, which would break paths."""
    console.print(text, markup=False, highlight=False, soft_wrap=True, style=style)


def print_sentence(
    console: Console, text: str, style: str = "", *, label: tuple[str, str] = ("", "")
) -> None:
    """Print a sentence: a terminal breaks it between words, a pipe not at all.

    A word that is longer than a line, like a path, is not broken; what is to be typed goes to
    `print_plain` (W8).

    Parameters
    ----------
    label
        What stands before it, and its style.
    """
    whole = f"{label[0]}{text}"
    if is_ascii(console):
        whole = ascii_text(whole)
    if console.is_terminal:
        whole = "\n".join(_filled(line, console.width) for line in whole.split("\n"))
    shown = Text(whole, style=style)
    shown.stylize(label[1], 0, len(label[0]))
    console.print(shown, soft_wrap=True)


def _filled(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    # An option and its value are typed together.
    kept = line.replace(_OPTION, _OPTION.replace(" ", _NO_BREAK))
    filled = textwrap.fill(
        kept, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace(_NO_BREAK, " ")


def print_json(answer: object) -> None:
    """Print one JSON object to stdout."""
    from homodyne_cli.io.files.json_text import to_json

    sys.stdout.write(to_json(answer) + "\n")


def error_answer(error: HomodyneError) -> dict[str, object]:
    """Return what ``--json`` says of an error."""
    return {
        "code": error.code,
        "message": str(error),
        "hint": error.hint,
        "exit_code": int(error.exit_code),
    }


def print_note(console: Console, text: str) -> None:
    """Print one note, marked as such."""
    print_sentence(console, text, label=("note: ", "cyan"))


def print_next(console: Console, *words: object) -> None:
    """Print the command to type next."""
    print_plain(console, f"Next: {command_line(*words)}", style="bold")


def command_line(*words: object) -> str:
    """Return a command as it is typed."""
    return shlex.join(["homodyne", *(str(word) for word in words)])


def print_error(error: HomodyneError) -> None:
    """Print an error and what would be accepted to stderr."""
    console = make_console(stderr=True)
    print_sentence(console, f"{error} [{error.code}]", label=("error: ", "bold red"))
    if error.hint:
        if error.hint.startswith(_COMMAND):
            console.print("hint: ", style="bold", end="", highlight=False)
            print_plain(console, error.hint)
        else:
            print_sentence(console, error.hint, label=("hint: ", "bold"))
