"""Every command and every block of Python in the how-tos runs, in order, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import chdir
from pathlib import Path

import pytest

from docs.generate import ROOT
from docs.notebook import NOTEBOOK, PAGE, cells_of, run_cell
from tests.cli.conftest import homodyne

BLOCK = re.compile(r"^```(python)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ homodyne (.*?)(?:\s+# exits (\d+))?$", re.MULTILINE)
PAGES = sorted((ROOT / "docs/howto").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_howto_runs(page: Path, tmp_path: Path) -> None:
    text, names, count = page.read_text(encoding="utf-8"), dict[str, object](), 0
    for language, block in BLOCK.findall(text):
        if language:
            with chdir(tmp_path):
                run_cell(block, names)
            continue
        for line, code in COMMAND.findall(block):
            done = homodyne(*shlex.split(line), cwd=tmp_path)
            assert done.returncode == int(code or 0), f"{line}\n{done.stdout}{done.stderr}"
            count += 1
    assert count == text.count("\n$ ") > 2


def test_the_notebook_is_that_of_its_page_and_runs(tmp_path: Path) -> None:
    cells = cells_of(PAGE.read_text(encoding="utf-8"))
    kept = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in kept if cell["cell_type"] == "code"]
    assert [cell["source"] for cell in code] == cells, "run python -m docs.notebook"
    names: dict[str, object] = {}
    with chdir(tmp_path):
        values = [run_cell(cell, names)[1] for cell in cells]
    # Cells that show something did so when the notebook was made.
    for value, cell in zip(values, code, strict=True):
        kinds = [output["output_type"] for output in cell["outputs"]]
        assert ("execute_result" in kinds) == (value is not None)
    assert (tmp_path / "run1" / "parameters.json").is_file()
