"""Imports point downwards only, and files and functions stay readable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "homodyne_cli"
#: Lower layers first; a module may import its own layer and the ones before it.
LAYERS = ("base", "core", "io", "render", "api", "cli")
BASE = {"errors", "parameters", "models", "results", "verdicts", "version", "__init__"}
API = {"gradient_diagnostics"}
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 350
MAX_FUNCTION_LINES = 65


def layer_of(parts: tuple[str, ...]) -> str:
    if len(parts) == 1:
        return "api" if parts[0] in API else "base"
    return parts[0]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("homodyne_cli.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = LAYERS.index(layer_of(path.relative_to(PACKAGE).with_suffix("").parts))
    for name in imported(path):
        other = LAYERS.index(layer_of(tuple(name.split(".")[1:])))
        assert other <= own, f"{path.name} (layer {LAYERS[own]}) imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno if body else 0
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length} lines"


def test_core_reads_no_files_and_prints_nothing() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"print", "open"}, path.name
