"""What all pages share: one offline HTML document, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files


def asset(name: str) -> str:
    """Return a file that pages embed."""
    return files("homodyne_cli.render").joinpath("assets", name).read_text(encoding="utf-8")


def html_page(title: str, parts: Sequence[str], *, policy: str = "") -> str:
    """Return a whole document.

    Parameters
    ----------
    title
        Plain text.
    parts
        HTML, every text in it escaped.
    policy
        Content security policy.
    """
    guard = "<meta http-equiv='Content-Security-Policy' content=\"" + escape(policy) + '">\n'
    return (
        "<!doctype html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        + (guard if policy else "")
        + "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{escape(title)}</title>\n<style>{asset('report.css')}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )
