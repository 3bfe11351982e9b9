"""Imports point downwards only, and files and functions stay readable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "homodyne_cli"
#: Lower rooms first; a module may import its own room and those of earlier rows. Rooms in one row
#: do not know each other.
ORDER: tuple[tuple[str, ...], ...] = (
    ("findings",),
    ("base",),
    ("core/numerics",),
    ("core/model", "core/maps"),
    ("core/gram_pass", "core/inputs"),
    ("core/objective",),
    ("core/minimise", "core/noise"),
    ("core/checks", "core/uncertainty"),
    ("core/assumptions",),
    ("core",),
    ("io/files", "io/yaml_text"),
    ("io/config", "io/formats"),
    ("io/scale_fix", "io/maps"),
    ("io/run",),
    ("render/pictures",),
    ("render",),
    ("render/screens", "render/pages", "render/exports"),
    ("flow",),
    ("batch",),
    ("library",),
    ("api",),
    ("cli/options",),
    ("cli/commands", "cli/runs"),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
#: Modules of the package itself that belong to a room other than the lowest.
TOP = {"flow": "flow", "__init__": "api", "gradient_diagnostics": "api", "__main__": "cli"}
MODULES = sorted(PACKAGE.rglob("*.py"))
#: Names of variables and parameters that say nothing of what they hold: anywhere, and in core.
# fmt: off
NO_NOUNS = {"data2", "found", "got", "looked_at", "moves", "res", "ret", "seen", "tmp"}
NO_NOUNS_OF_THE_FIELD = NO_NOUNS | {
    "again", "among", "asked", "begun", "beside", "by", "coming", "everywhere", "here", "instead",
    "looks", "meet", "mine", "off", "on", "onto", "otherwise", "over", "reaching", "said", "theirs",
    "there", "those", "together", "told", "tried", "turned", "under", "wanted", "well", "what",
    "when", "where",
}
# fmt: on
MAX_LINES = 350
MAX_FUNCTION_LINES = 65
MAX_MODULES_IN_FOLDER = 12
MAX_IMPORTED_MODULES = 15


def room_of(module: str) -> str:
    """Return the room of a dotted module name below the package."""
    *folders, name = module.split(".")
    if not folders:
        return TOP.get(name, "base")
    return "/".join(folders)


def dotted(path: Path) -> str:
    """Return the dotted name of a module below the package; a package is one of its own room."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            # A module may be imported from its room by name.
            room = PACKAGE.parent.joinpath(*node.module.split(".")).is_dir()
            names |= {f"{node.module}.{a.name}" for a in node.names} if room else {node.module}
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {
        name.removeprefix("homodyne_cli.") for name in names if name.startswith("homodyne_cli.")
    }


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_down(path: Path) -> None:
    own = room_of(dotted(path))
    for name in imported(path):
        other = room_of(name)
        assert other == own or RANK[other] < RANK[own], f"{dotted(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_modules_know_few_others(path: Path) -> None:
    assert len(imported(path)) <= MAX_IMPORTED_MODULES, sorted(imported(path))


def test_folders_hold_few_modules() -> None:
    for folder in {path.parent for path in MODULES}:
        modules = [p for p in folder.glob("*.py") if not p.name.startswith("__")]
        assert len(modules) <= MAX_MODULES_IN_FOLDER, folder


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno if body else 0
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_variables_are_nouns(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    names |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    in_core = room_of(dotted(path)).startswith("core")
    assert not names & (NO_NOUNS_OF_THE_FIELD if in_core else NO_NOUNS)


def test_tests_import_nothing_from_benchmarks() -> None:
    for path in Path(__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
        names |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        assert not any(name.split(".")[0] == "benchmarks" for name in names), path.name


def test_core_reads_no_files_and_prints_nothing() -> None:
    for path in (PACKAGE / "core").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {
            n.func.id
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not calls & {"print", "open"}, path.name
