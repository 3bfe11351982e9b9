"""Names of files in text: they may hold what ends a line, steers a terminal or is no Unicode."""

from __future__ import annotations

from pathlib import Path


def printable(text: str | Path) -> str:
    """Return text with control characters, and bytes of names that are no UTF-8, spelt out."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
