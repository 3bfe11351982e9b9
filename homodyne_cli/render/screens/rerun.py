"""What ``rerun`` shows: what of a run is different today, and whether its answer is the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from homodyne_cli.io.files.printable import printable
from homodyne_cli.render.comparison import sigmas_text, value_and_error
from homodyne_cli.render.console import print_plain, print_sentence
from homodyne_cli.render.numbers import MISSING, format_number
from homodyne_cli.render.reproduction import AGREES, Refitted, Reproduction
from homodyne_cli.render.table_shapes import plain_table


def show_rerun(console: Console, compared: Reproduction) -> None:
    """Print the parameters beside each other, the files, and versions that differ."""
    console.print(_parameters(compared))
    console.print(_files(compared))
    if compared.versions:
        console.print(_versions(compared))
    else:
        print_plain(console, "Versions: those of the run")
    print_sentence(console, verdict(compared), style="bold")


def verdict(compared: Reproduction) -> str:
    """Say in one sentence whether the run was reproduced."""
    if not compared.same_data:
        changed = [
            file.path.name for file in compared.files if file.fitted and file.state != "same"
        ]
        return f"Not reproduced: the data are others ({printable(', '.join(changed))})."
    if compared.identical:
        return "Reproduced to the bit."
    worst = max(compared.parameters, key=lambda p: abs(p.apart))
    name, apart = worst.before.name, _apart(worst.apart)
    if compared.reproduced:
        return f"Reproduced: no parameter is further off than {name}, {apart} (limit {AGREES})."
    return f"Not reproduced: {name} is off by {apart} (limit {AGREES})."


def rerun_answer(compared: Reproduction) -> dict[str, object]:
    """Return what ``--json`` says."""
    kept = compared.kept_in
    return {
        "run_dir": printable(str(compared.run)),
        "kept_in": None if kept is None else printable(str(kept)),
        "reproduced": compared.reproduced,
        "identical": compared.identical,
        "same_data": compared.same_data,
        "files": [
            {"path": printable(str(file.path)), "state": file.state, "fitted": file.fitted}
            for file in compared.files
        ],
        "versions": {n: {"run": a, "now": b} for n, (a, b) in compared.versions.items()},
        "chi2": dict(zip(("run", "again"), compared.chi2, strict=True)),
        "parameters": dict(map(_entry, compared.parameters)),
    }


def _entry(p: Refitted) -> tuple[str, dict[str, object]]:
    apart = p.apart if math.isfinite(p.apart) else None
    return p.before.name, {"run": p.before.value, "again": p.after.value, "apart": apart}


def _apart(sigmas: float) -> str:
    """Write a distance that may be far below a sigma."""
    if 0.0 < abs(sigmas) < 0.1:
        return f"{sigmas:+.1e} sigma"
    return "0" if sigmas == 0.0 else sigmas_text(sigmas)


def _parameters(compared: Reproduction) -> Table:
    columns = ("", "run", "again", "again - run")
    table = plain_table("Parameters", *columns, words=columns)
    for cells in _rows(compared):
        table.add_row(*map(escape, cells))
    return table


def _rows(compared: Reproduction) -> Iterator[tuple[str, str, str, str]]:
    for p in compared.parameters:
        what = f"{p.before.name} ({p.before.unit})" if p.before.unit else p.before.name
        yield what, value_and_error(p.before), value_and_error(p.after), _apart(p.apart)
    run, again = compared.chi2
    yield "chi2", format_number(run, 8), format_number(again, 8), f"{again - run:+.2g}"


def _files(compared: Reproduction) -> Table:
    table = plain_table("Files", "file", "today", words=("file", "today"))
    for file in compared.files:
        today: str = file.state
        if file.state != "same" and not file.fitted:
            today = f"{today}; the run's own copy was fitted"
        table.add_row(escape(printable(str(file.path))), today)
    return table


def _versions(compared: Reproduction) -> Table:
    table = plain_table("Versions that differ", "", "run", "today", words=("", "run", "today"))
    for name, (then, now) in compared.versions.items():
        table.add_row(escape(name), escape(then) or MISSING, now or MISSING)
    return table
