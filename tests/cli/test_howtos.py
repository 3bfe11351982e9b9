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
#: Figures that a page quotes: where they stand in it, and on the screen.
FIGURES = {
    "speckle_verdicts": (
        (r"([\d.]+) ± [\d.]+ speckles per", r"([\d.]+) ± [\d.]+ speckles per"),
        (r"([\d.]+) ± [\d.]+ photons", r"([\d.]+) ± [\d.]+ photons"),
        (r"D0 is known to ([\d.]+)%", r"D0 = \S+ ± \S+ is known to ([\d.]+)%"),
        (r"phi0 to ([\d.]+)%", r"phi0 = \S+ ± \S+ is known to ([\d.]+)%"),
    ),
    "from_homodyne_2": (
        (r"returns ([\d.]+) ±", r"gamma_dot_t0 \S+ +([\d.]+) ±"),
        (r"`homodyne-2`\s([\d.]+) ±", r"gamma_dot_t0 \S+ +[\d.]+ ± [\d.]+ +([\d.]+) ±"),
        (r"chi2 of ([\d.]+) and", r"reduced chi2 +([\d.]+)"),
        (r"chi2 of [\d.]+ and ([\d.]+\d)", r"reduced chi2 +[\d.]+ +([\d.]+)"),
    ),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_howto_runs(page: Path, tmp_path: Path) -> None:
    text, names, count, screens = page.read_text(encoding="utf-8"), dict[str, object](), 0, ""
    for language, block in BLOCK.findall(text):
        if language:
            with chdir(tmp_path):
                run_cell(block, names)
            continue
        for line, code in COMMAND.findall(block):
            done = homodyne(*shlex.split(line), cwd=tmp_path, COLUMNS="300")
            assert done.returncode == int(code or 0), f"{line}\n{done.stdout}{done.stderr}"
            count += 1
            screens += done.stdout
    assert count == text.count("\n$ ") > 2
    for quoted, shown in FIGURES.get(page.stem, ()):
        said, seen = re.search(quoted, text), re.search(shown, screens)
        assert said is not None, quoted
        assert seen is not None, shown
        # A page rounds to three digits.
        assert float(said[1]) == pytest.approx(float(seen[1]), rel=0.011), quoted


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
