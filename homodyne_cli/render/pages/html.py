"""Pieces of HTML: tables, lists, figures. What goes into them as text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

#: Characters of a cell from which its words may be broken; a verdict with its colour is shorter.
_LONG = 40


@dataclass(frozen=True)
class Markup:
    """HTML that is ready."""

    html: str


Cell = str | Markup


def html_of(cell: Cell) -> str:
    """Return a cell as HTML."""
    return cell.html if isinstance(cell, Markup) else escape(cell)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    label: str,
    numeric: Sequence[str] = (),
    differing: Iterable[bool] = (),
) -> str:
    """Return a table that scrolls by itself where it is too wide.

    Parameters
    ----------
    label
        What the table holds, for those who do not see it.
    numeric
        Columns aligned to the right.
    differing
        Whether each row is marked.
    """
    kinds = [" class='n'" if column in numeric else "" for column in head]
    top = "".join(f"<th scope='col'{k}>{escape(c)}</th>" for k, c in zip(kinds, head, strict=True))
    marks = iter(differing)
    body = "".join(
        f"<tr{_mark(next(marks, False))}>"
        + "".join(_cell(h, k, c) for h, k, c in zip(head, kinds, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(label)}'>"
        f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )


def _cell(head: str, kind: str, cell: Cell) -> str:
    """Return a cell that knows its column: narrow screens show cells below each other."""
    return f"<td{kind or _width(cell)} data-head='{escape(head)}'>{html_of(cell)}</td>"


def _width(cell: Cell) -> str:
    """Let long words be broken where a screen is narrow, and short ones not."""
    return " class='w'" if len(html_of(cell)) > _LONG else ""


def _mark(differs: bool) -> str:
    return " class='differs'" if differs else ""


def figure(
    plot: Literal[
        "curve", "curves", "correlation", "scaling", "map", "profile", "history", "points"
    ],
    text: str,
    *,
    run: int = 0,
    index: int = 0,
    kind: str = "",
    of_angle: bool = False,
    square: bool = False,
) -> str:
    """Return the place of a figure, with the sentence that says what it shows.

    Parameters
    ----------
    plot, run, index, kind
        Which figure it is; ``report.js`` draws it.
    of_angle
        Whether it follows the run's choice of an angle.
    """
    angle = " data-angle='0'" if of_angle else ""
    return (
        f"<figure><div class='plot{' square' if square else ''}' tabindex='0' role='img' "
        f"aria-label='{escape(text)}' data-plot='{plot}' data-run='{run}' data-index='{index}' "
        f"data-kind='{kind}'{angle}></div><figcaption>{escape(text)}</figcaption></figure>"
    )


def script_json(text: str) -> str:
    """Return JSON that ends no script element and is no markup, the same to whoever parses it."""
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
