"""Lines of code of the package, without blanks, comments and docstrings, room by room.

python -m benchmarks.code_lines [REVISION]     beside those of a revision
python -m benchmarks.code_lines --log REVISION  what each commit since then added
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tokenize
from collections import Counter
from functools import cache

PACKAGE = "homodyne_cli/"
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_lines(source: str) -> int:
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return len(lines)


def git(*words: str) -> str:
    return subprocess.run(
        ("git", *words), capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout


@cache
def lines_of_blob(blob: str) -> int:
    return code_lines(git("cat-file", "blob", blob))


def rooms(revision: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in git("ls-tree", "-r", revision, PACKAGE).splitlines():
        entry, path = row.split("\t")
        if path.endswith(".py"):
            folder = path.removeprefix(PACKAGE).rpartition("/")[0]
            counts[folder or "base"] += lines_of_blob(entry.split()[2])
    return counts


def print_rooms(revision: str | None) -> None:
    after, before = rooms("HEAD"), rooms(revision) if revision else Counter[str]()
    for room in sorted(after | before):
        print(f"{after[room]:6} {before[room]:6}  {room}")
    print(f"{after.total():6} {before.total():6}  in all")


def print_log(revision: str) -> None:
    total = rooms(revision).total()
    for line in git("log", "--reverse", "--format=%h %s", f"{revision}..HEAD").splitlines():
        former, total = total, rooms(line.partition(" ")[0]).total()
        print(f"{total - former:+6} {total:6}  {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision", nargs="?")
    parser.add_argument("--log", action="store_true")
    chosen = parser.parse_args()
    if chosen.log and chosen.revision:
        print_log(chosen.revision)
    else:
        print_rooms(chosen.revision)


if __name__ == "__main__":
    main()
