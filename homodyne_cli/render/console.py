"""Where text goes: terminals wide and narrow, pipes, NO_COLOR, streams that know only ASCII."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import IO

from rich.console import Console

#: Width in a pipe: wide enough that no table is cut, unless COLUMNS says otherwise.
PIPE_WIDTH = 120

_PLAIN = {
    "α": "alpha", "β": "beta", "γ̇": "gamma_dot", "γ": "gamma", "φ": "phi", "χ²": "chi2",
    "χ": "chi", "κ": "kappa", "σ": "sigma", "±": "+/-", "×": "x", "·": "*", "—": "-", "–": "-",
    "…": "...", "→": "->", "≤": "<=", "≥": ">=", "≈": "~", "✓": "ok", "✗": "x", "⚠": "!",
    "█": "#", "▇": "#", "▆": "#", "▅": "#", "▄": "#", "▃": "=", "▂": "=", "▁": "-", "Å": "A",
    "µ": "u", "μ": "u", "⁻": "-", "⁺": "+", "−": "-", "°": "deg", "₀": "0", "²": "2", "⁴": "4",
}  # fmt: skip


def ascii_text(text: str) -> str:
    """Spell `text` in ASCII; what has no spelling becomes its base letter, or '?'."""
    for sign, spelling in _PLAIN.items():
        text = text.replace(sign, spelling)
    if text.isascii():
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "replace").decode("ascii")


class AsciiStream:
    """A text stream that spells what its target cannot encode."""

    def __init__(self, target: IO[str]) -> None:
        self._target = target

    @property
    def encoding(self) -> str:
        """Encoding of the target, which decides on rich's box characters."""
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


def make_console(
    *, stderr: bool = False, file: IO[str] | None = None, width: int | None = None
) -> Console:
    """Return a console on stdout, stderr or `file`.

    A pipe gets no colour and a width of 120 so that nothing is cut; an ASCII stream gets
    everything spelt out.
    """
    target = file or (sys.stderr if stderr else sys.stdout)
    stream: IO[str] = target if knows_unicode(target) else AsciiStream(target)  # type: ignore[assignment]
    if width is None and not target.isatty() and "COLUMNS" not in os.environ:
        width = PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, emoji=False, soft_wrap=False)


def print_plain(console: Console, text: str, style: str | None = None) -> None:
    """Print user text as it is: no markup, and no wrapping, which would break paths."""
    console.print(text, markup=False, highlight=False, soft_wrap=True, style=style)


def print_error(message: str, hint: str | None) -> None:
    """Print an error and what would be accepted to stderr."""
    console = make_console(stderr=True)
    console.print("error: ", style="bold red", end="", highlight=False)
    print_plain(console, message)
    if hint:
        console.print("hint: ", style="bold", end="", highlight=False)
        print_plain(console, hint)
