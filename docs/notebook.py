"""Make the executed notebook of ``docs/library.md``: its text and cells, with what they show.

    python -m docs.notebook

Run it when the page changes; a test runs the cells, and holds the notebook against the page.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import re
import tempfile
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

DOCS: Final = Path(__file__).parent
PAGE, NOTEBOOK, PICTURE = DOCS / "library.md", DOCS / "library.ipynb", DOCS / "library.png"
_CELL: Final = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def cells_of(text: str) -> list[str]:
    """Return the Python blocks of a page."""
    return [cell.rstrip() for cell in _CELL.findall(text)]


def run_cell(source: str, names: dict[str, object]) -> tuple[str, object]:
    """Run a cell in a namespace; return what it prints and the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        value = None
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    return printed.getvalue(), value


def shown(value: object) -> dict[str, object]:
    """Return how a notebook shows a value."""
    views: dict[str, object] = {"text/plain": repr(value)}
    if isinstance(value, Figure):
        views["image/png"] = base64.b64encode(picture(value)).decode()
    elif hasattr(value, "_repr_html_"):
        views["text/html"] = value._repr_html_()
    return views


def picture(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=90)
    return out.getvalue()


def _code_cell(number: int, source: str, names: dict[str, object]) -> Mapping[str, object]:
    printed, value = run_cell(source, names)
    outputs: list[Mapping[str, object]] = []
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed})
    if value is not None:
        outputs.append({
            "output_type": "execute_result", "execution_count": number,
            "data": shown(value), "metadata": {},
        })  # fmt: skip
    if isinstance(value, Figure):
        PICTURE.write_bytes(picture(value))
    return {
        "cell_type": "code", "execution_count": number, "metadata": {},
        "outputs": outputs, "source": source,
    }  # fmt: skip


def notebook(text: str) -> Mapping[str, object]:
    """Return a page as a notebook, its cells run in a folder of their own."""
    parts, names, cells = _CELL.split(text), dict[str, object](), list[Mapping[str, object]]()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for index, part in enumerate(parts):
            if index % 2:
                cells.append(_code_cell(index // 2 + 1, part.rstrip(), names))
            elif part.strip():
                cells.append({"cell_type": "markdown", "metadata": {}, "source": part.strip()})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}


def main() -> None:
    """Write the notebook and its picture."""
    made = notebook(PAGE.read_text(encoding="utf-8"))
    NOTEBOOK.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
