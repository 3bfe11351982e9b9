"""Tables that change their shape before they would cut a figure.

rich squeezes columns until a table fits, digits and all. A table here is laid out as such only
where every figure fits. In a narrower place each row becomes an entry: its first cell, and below it
the others with the names of their columns, as many to a line as fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column, Table
from rich.text import Text

#: A rule under the head and nothing else, the same on streams that know only ASCII.
_HEAD_RULE: Final = box.Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
#: Columns in which words can still be read.
_LEAST_WORDS: Final = 16
_INDENT: Final = "  "


class ByWidth:
    """One renderable where the console is wide enough for it, another one where it is not."""

    def __init__(self, wide: RenderableType, narrow: RenderableType, least: int) -> None:
        self._wide = wide
        self._narrow = narrow
        self._least = least

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._wide if options.max_width >= self._least else self._narrow


class PlainTable(Table):
    """A table, or a list of entries where its figures do not fit beside each other."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._least_width(console) > options.max_width:
            yield from self._entries(console, options.max_width)
            return
        # rich wraps both to the width of the columns, however much room there is beside them.
        title, caption = self.title, self.caption
        self.title = self.caption = None
        try:
            yield from self._title(console, title)
            yield from super().__rich_console__(console, options)
            yield from self._caption(console, caption)
        finally:
            self.title, self.caption = title, caption

    @staticmethod
    def _title(console: Console, title: RenderableType | None) -> Iterator[Text]:
        if title is not None:
            yield _text(console, title, style="bold")

    @staticmethod
    def _caption(console: Console, caption: RenderableType | None) -> Iterator[Text]:
        if caption is not None:
            yield _text(console, caption, style="dim")

    def _least_width(self, console: Console) -> int:
        """Return the width that all figures take, and words where they may be wrapped."""
        widths = []
        for column in self.columns:
            cells = (column.header, *column.cells) if self.show_header else tuple(column.cells)
            lines = [line for cell in cells for line in _text(console, cell).split("\n")]
            longest = max((line.cell_len for line in lines), default=0)
            widths.append(longest if column.no_wrap else min(longest, _LEAST_WORDS))
        return sum(widths) + 2 * (len(widths) - 1)

    def _entries(self, console: Console, width: int) -> Iterator[Text]:
        yield from self._title(console, self.title)
        first = self.columns[0]
        for number, row in enumerate(self.rows):
            parts = [_part(console, column, number) for column in self.columns]
            # A figure alone does not say what it counts.
            head = parts[0] if first.justify == "right" else _text(console, _cell(first, number))
            lines = [
                *([head] if head else []),
                *_packed([part for part in parts[1:] if part], width, console),
            ]
            for line in lines:
                line.stylize(row.style or "")
                yield line
        yield from self._caption(console, self.caption)


def _cell(column: Column, number: int) -> RenderableType:
    return list(column.cells)[number]


def _part(console: Console, column: Column, number: int) -> Text:
    """Return a cell with the name of its column before it; empty if the cell is."""
    shown = _text(console, _cell(column, number))
    name = " ".join(_text(console, column.header).plain.split())
    return Text(f"{name} " if name else "") + shown if shown.plain else shown


def _packed(parts: list[Text], width: int, console: Console) -> list[Text]:
    """Put as many parts on a line as fit, two blanks apart; only words are wrapped."""
    lines: list[Text] = []
    for part in parts:
        if lines and len(_INDENT) + lines[-1].cell_len + 2 + part.cell_len <= width:
            lines[-1] += Text("  ") + part
        else:
            lines.extend(part.wrap(console, width - len(_INDENT)))
    return [Text(_INDENT) + line for line in lines]


def _text(console: Console, cell: RenderableType, *, style: str = "") -> Text:
    text = console.render_str(cell) if isinstance(cell, str) else Text(str(cell))
    text.stylize(style)
    return text


def plain_table(
    title: str,
    *columns: str,
    right: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
    caption: str | None = None,
) -> Table:
    """Return an empty table in the house style.

    Parameters
    ----------
    title
        Markup; "" for none. A blank line goes before it.
    right
        Columns aligned to the right.
    words
        Columns that may be wrapped; where there is room none is.
    caption
        Markup below the table: what its words mean.
    """
    table = PlainTable(
        title=f"\n{title}" if title else None,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        caption_style="dim",
        box=_HEAD_RULE,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column not in words,
        )
    return table
