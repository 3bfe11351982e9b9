"""What ``compare`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from homodyne_cli.render.comparison import NOT_COMPARED, ComparedRow, Comparison, sigmas_text
from homodyne_cli.render.console import make_console, print_next, print_sentence
from homodyne_cli.render.table_shapes import ByWidth, plain_table

#: Columns that a quantity and each run take beside each other.
_FIRST, _EACH, _DISTANCE = 28, 24, 12


def show_comparison(compared: Comparison, runs: Sequence[Path]) -> None:
    """Print runs beside each other, rows that differ marked, and what to do next."""
    console = make_console()
    _show(console, "Parameters", compared, compared.parameters)
    _show(console, "Quality", compared, compared.quality)
    if not compared.same_data:
        print_sentence(console, NOT_COMPARED)
    _show(console, "Data", compared, compared.data)
    if compared.config:
        _show(console, "Config keys that differ", compared, compared.config)
    print_sentence(console, "* differs (parameters: by more than 2 sigma of both together)")
    print_next(console, "report", *runs, "-o", "report.html")


def _show(console: Console, title: str, compared: Comparison, rows: Sequence[ComparedRow]) -> None:
    needed = _FIRST + _EACH * len(compared.names) + _DISTANCE * len(rows[0].apart)
    console.print(ByWidth(_beside(title, compared, rows), _below(title, compared, rows), needed))


def _beside(title: str, compared: Comparison, rows: Sequence[ComparedRow]) -> Table:
    """Return one column per run."""
    columns = ["", *(escape(name) for name in compared.names)]
    if rows[0].apart:
        columns += [f"{escape(name)} - first" for name in compared.names[1:]]
    table = plain_table(title, *columns, words=tuple(columns))
    for row in rows:
        cells = (_marked(row), *row.cells, *map(sigmas_text, row.apart))
        table.add_row(*map(escape, cells), style=_style(row))
    return table


def _below(title: str, compared: Comparison, rows: Sequence[ComparedRow]) -> Table:
    """Return one line per run below the name of a quantity, for narrow screens."""
    table = plain_table(title, "", "run", "value", words=("", "run", "value"))
    for row in rows:
        for name, (what, cell) in zip(compared.names, _lines(row), strict=True):
            table.add_row(escape(what), escape(name), escape(cell), style=_style(row))
    return table


def _lines(row: ComparedRow) -> Iterator[tuple[str, str]]:
    yield _marked(row), row.cells[0]
    for k, cell in enumerate(row.cells[1:]):
        yield "", f"{cell} ({sigmas_text(row.apart[k])})" if row.apart else cell


def _marked(row: ComparedRow) -> str:
    return f"{'*' if row.differs else ' '} {row.what}"


def _style(row: ComparedRow) -> str | None:
    return "yellow" if row.differs else None
