"""Change one thing in a line of `core`, and see whether the tests near it notice.

    python -m benchmarks.mutants [--count 120] [--seed 0] [--rooms NAME,...] [--skip NAME,...]
                                 [--at FILE:LINE] [--seconds 60]

A mutant is a module with one node of its syntax tree replaced: a sign, a comparison, ``and``,
``any`` for ``all``, a number. It is imported in place of the module by a process of its own, which
runs tests until one fails. A mutant is caught if a test fails or does not end; the test is told, so
that one which fails without any mutant can be seen and left out (by
``PYTEST_ADDOPTS="--deselect PATH"``). The sample is drawn over all nodes of the rooms, so that
long modules get more; it is the same for a seed as long as the source is.

**Which tests.** `make coverage` leaves behind which tests ran which line and how long they took
(`build/tests.coverage`, `build/tests.xml`). First come the tests that are newer than that in the
files near the module, then those that ran the line, then those that ran any line of the module
(what is compiled runs its lines in the first test alone), then those near it (constants run at
import); quick ones first, those of the module's room before others and whole commands last, until
`--seconds` of computing, of all processes, are used up. Without these files it is the test files
that name the module, then those of its room (``tests/unit/ROOM``).
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from random import Random
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from coverage import CoverageData

if TYPE_CHECKING:
    import pytest

ROOT: Final = Path(__file__).parents[1]
CORE: Final = ROOT / "homodyne_cli" / "core"
UNIT: Final = ROOT / "tests" / "unit"
TRACE: Final = ROOT / "build" / "tests.coverage"
TIMES: Final = ROOT / "build" / "tests.xml"
#: Tests that ran a module but not the line, at most; and computing after which one is hung.
_OF_MODULE: Final = 150
_HUNG: Final = 100
#: How many times as long as it took a test counts that is a whole command, and over how many one
#: near the module.
_FAR: Final = 5.0
#: What stands before the name of the test that failed, in what a process prints.
_CAUGHT: Final = "mutant caught by"
#: Test files that import a module, at most, beside those of its room.
_IMPORTERS: Final = 4
_OTHER: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_NAMES: Final = {"any": "all", "all": "any", "min": "max", "max": "min", "minimum": "maximum",
                 "maximum": "minimum", "argmin": "argmax", "argmax": "argmin", "cos": "sin",
                 "sin": "cos", "lower": "upper", "upper": "lower"}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the module, the position of its node in `ast.walk`, and what is changed there."""

    path: Path
    place: int
    line: int
    change: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} {self.change}"


def _ignored(tree: ast.AST) -> set[int]:
    """Return nodes that no test could notice: docstrings, annotations, texts, slots of a class."""
    ignored: set[int] = set()
    for node in ast.walk(tree):
        hidden: list[ast.AST] = []
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
            hidden.append(node.annotation)
        if isinstance(node, ast.FunctionDef):
            hidden += [node.returns] if node.returns is not None else []
            hidden += node.decorator_list
        if isinstance(node, ast.ClassDef):
            hidden += node.decorator_list
        if isinstance(node, ast.JoinedStr | ast.Raise):
            # Words of messages; that something is raised is changed by its condition.
            hidden.append(node)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            hidden.append(node)
        ignored.update(id(inner) for outer in hidden for inner in ast.walk(outer))
    return ignored


def _change(node: ast.AST) -> str:
    """Change a node in place; return what was done, or nothing if there is nothing to change."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        return _swap(node.ops, 0)
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _OTHER:
        old, new = type(node.op), _OTHER[type(node.op)]
        node.op = new()  # type: ignore[assignment]
        return f"{old.__name__} -> {new.__name__}"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        old_sign = type(node.op).__name__
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else _Twice()
        return f"{old_sign} -> nothing"
    if isinstance(node, ast.Attribute) and node.attr in _NAMES:
        old_name, node.attr = node.attr, _NAMES[node.attr]
        return f"{old_name} -> {node.attr}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMES:
        old_name, node.func.id = node.func.id, _NAMES[node.func.id]
        return f"{old_name} -> {node.func.id}"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        return _other_number(node)
    return ""


class _Twice(ast.Not):
    """Marks a ``not`` that is taken away."""


def _swap(ops: list[ast.cmpop], k: int) -> str:
    old, new = type(ops[k]), _OTHER[type(ops[k])]
    ops[k] = new()  # type: ignore[call-overload]
    return f"{old.__name__} -> {new.__name__}"


def _other_number(node: ast.Constant) -> str:
    old, new = node.value, node.value
    if isinstance(old, bool):
        new = not old
    elif isinstance(old, int):
        new = old + 1
    elif isinstance(old, float):
        new = 2.0 * old if old else 1.0
    node.value = new
    return f"{old!r} -> {new!r}"


class _WithoutNots(ast.NodeTransformer):
    """Takes marked ``not`` away."""

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, _Twice) else node


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ignored = _ignored(tree)
    for place, node in enumerate(ast.walk(tree)):
        if id(node) not in ignored:
            line, change = getattr(node, "lineno", 0), _change(copy.deepcopy(node))
            if change:
                yield Mutant(path, place, line, change)


def mutated(mutant: Mutant) -> CodeType:
    """Return the code of the module with the change."""
    tree = ast.parse(mutant.path.read_text(encoding="utf-8"))
    node = next(n for place, n in enumerate(ast.walk(tree)) if place == mutant.place)
    _change(node)
    changed = ast.fix_missing_locations(_WithoutNots().visit(tree))
    code: CodeType = compile(changed, str(mutant.path), "exec")
    return code


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(dotted(mutant.path), str(mutant.path))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        """Return the code with the change."""
        del fullname
        return mutated(self._mutant)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, the mutant."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for one module alone."""
        if name != self._loader.name:
            return None
        return importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader)


def dotted(path: Path) -> str:
    """Return the name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def _durations() -> dict[str, float]:
    """Return the seconds that each test took when it was traced."""
    if not (TRACE.exists() and TIMES.exists()):
        return {}
    cases = ElementTree.parse(TIMES).iter("testcase")
    return {
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}":
            float(case.get("time", 0.0))
        for case in cases
    }  # fmt: skip


@cache
def _tests_by_line(path: Path) -> dict[int, set[str]]:
    """Return the tests that ran each line of a module."""
    if not _durations():
        return {}
    data = CoverageData(str(TRACE))
    data.read()
    lines = data.contexts_by_lineno(str(path))
    return {k: {c.split("|")[0] for c in contexts if c} for k, contexts in lines.items()}


def traced_tests(path: Path, line: int) -> list[str]:
    """Return tests that ran a line, others that ran its module and those near it, by their cost."""
    lines, seconds, near = _tests_by_line(path), _durations(), f"tests/unit/{path.parent.name}/"

    def cost(test: str) -> float:
        # Commands in processes of their own run no mutant.
        apart = _FAR if test.startswith("tests/cli/") else 1.0
        return seconds[test] * (1.0 / _FAR if test.startswith(near) else apart)

    of_line = lines.get(line, set()) & seconds.keys()
    others = set().union(*lines.values()) & seconds.keys() - of_line
    rest = {test for test in seconds if test.split("::")[0] in tests_of(path)} - of_line - others
    ordered = (sorted(of_line, key=cost), sorted(others, key=cost)[:_OF_MODULE])
    return [*ordered[0], *ordered[1], *sorted(rest, key=cost)]


def _within(tests: Sequence[str], seconds: float) -> list[str]:
    """Return the first tests, as many as took this long together: the others' files stay shut."""
    spent = accumulate(_durations()[test] for test in tests)
    return [test for test, at in zip(tests, spent, strict=True) if at <= seconds]


class _Ordered:
    """Plugin of pytest: new tests, then traced ones in their order, until the time is used up."""

    def __init__(self, tests: Sequence[str], seconds: float) -> None:
        self._place = {test: k for k, test in enumerate(tests)}
        self._seconds = seconds
        self.out_of_time = False
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the first test that failed."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep the first file that could not be imported."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and order tests."""
        known = _durations()
        if known:
            chosen = [i for i in items if i.nodeid in self._place or i.nodeid not in known]
            items[:] = sorted(chosen, key=lambda item: self._place.get(item.nodeid, -1))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Stop when the time is used up."""
        if sum(os.times()[:4]) > self._seconds:
            self.out_of_time = True
            item.session.shouldstop = "the time of a mutant is used up"


@cache
def _texts() -> dict[Path, str]:
    """Return the test files that run in one process."""
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    return {path: path.read_text(encoding="utf-8") for path in paths if "cli" not in path.parts}


@cache
def tests_of(path: Path) -> list[str]:
    """Return the test files near a module, those that name it first."""
    room = path.parent.name if path.parent != CORE else ""
    importers = [test for test, text in _texts().items() if dotted(path) in text]
    near = sorted((UNIT / room).glob("test_*.py")) if room else []
    ordered = dict.fromkeys([*[t for t in near if t in importers], *importers[:_IMPORTERS], *near])
    return [str(test.relative_to(ROOT)) for test in ordered]


def ending(mutant: Mutant, seconds: int) -> tuple[str, str]:
    """Run the tests near a mutant in a process of their own; say what became of it, and by whom."""
    place = f"{mutant.path.relative_to(ROOT)}:{mutant.place}:{mutant.line}"
    command = [sys.executable, "-m", "benchmarks.mutants", "--run", place, "--seconds"]
    done = subprocess.run(
        [*command, str(seconds)], cwd=ROOT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    if done.returncode == 0:
        return "SURVIVES", ""
    words = done.stdout.rsplit(_CAUGHT, 1)[1:]
    return "no end" if done.returncode < 0 else "caught", "".join(words).strip()


def _run(place: str, seconds: int) -> int:
    """Import one mutant in this process and run the tests near it."""
    import resource

    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (seconds + _HUNG, seconds + _HUNG))
    file, node, line = place.rsplit(":", 2)
    mutant = Mutant(ROOT / file, int(node), int(line), "")
    sys.meta_path.insert(0, _Finder(_Loader(mutant)))
    tests = _within(traced_tests(mutant.path, mutant.line), 2.0 * seconds)
    files = dict.fromkeys([*tests_of(mutant.path), *(test.split("::")[0] for test in tests)])
    ordered = _Ordered(tests, seconds)
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *files], plugins=[ordered])
    passed = status in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if passed or (ordered.out_of_time and not ordered.failed):
        return 0
    print(_CAUGHT, ordered.failed)
    return 1


def _all_mutants(rooms: Sequence[str], skip: Sequence[str]) -> list[Mutant]:
    paths = [
        path
        for path in sorted(CORE.rglob("*.py"))
        if (not rooms or path.parent.name in rooms or path.stem in rooms)
        and path.parent.name not in skip
        and path.stem not in skip
    ]
    return [mutant for path in paths for mutant in mutants_of(path)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", default="", help="rooms or modules of core; all by default")
    parser.add_argument("--skip", default="", help="rooms or modules that are left out")
    parser.add_argument("--at", help="every mutant of one line, as FILE:LINE")
    parser.add_argument(
        "--seconds", type=int, default=60, help="of computing for the tests of a mutant"
    )
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return _run(options.run, options.seconds)
    rooms, skip = ([w for w in text.split(",") if w] for text in (options.rooms, options.skip))
    every = _all_mutants(rooms, skip)
    if options.at:
        file, line = options.at.rsplit(":", 1)
        chosen = [m for m in mutants_of(ROOT / file) if m.line == int(line)]
    else:
        chosen = Random(options.seed).sample(every, min(options.count, len(every)))
    survivors = 0
    for mutant in chosen:
        end, test = ending(mutant, options.seconds)
        survivors += end == "SURVIVES"
        print(f"{end:8s} {mutant} {test}".rstrip(), flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} caught ({len(every)} possible)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
