"""``homodyne apply-scale``: enter a recommended x_scale_map into a config."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import fix_files
from homodyne_cli.cli.options.shared import ConfigFile, Force, refuse_needless_force
from homodyne_cli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from homodyne_cli.io.scale_fix.edit import ScaleEdit

_STYLES = (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_NO_FINAL_BREAK = "\\ No newline at end of file\n"


@dataclass(frozen=True)
class ApplyScaleRequest:
    """Enter a recommended x_scale_map into a config and leave every other byte as it was.

    Example: homodyne apply-scale config.yaml x_scale_fix.yaml --dry-run
    """

    config: ConfigFile
    fix: Annotated[
        Path,
        typer.Argument(
            help="What 'homodyne diagnose -o' wrote.", metavar="FIX", autocompletion=fix_files
        ),
    ]
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write; the config is left alone."),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, write nothing.")
    ] = False
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Keep no CONFIG.bak.")] = False
    force: Force = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")
        if self.no_backup and (self.dry_run or self.output is not None):
            raise UsageError("--no-backup: the config is not changed, and no backup is made")


def run_apply_scale(request: ApplyScaleRequest) -> int:
    """Merge the map of a fix into a config, show the difference, return the exit code.

    A config that is a symbolic link stays one, and its target is edited.

    Raises
    ------
    ConfigError
        If one of the files is wrong.
    OutputError
        If the result cannot be written; the config is then untouched.
    """
    from homodyne_cli.io.files.outputs import check_file, write_file
    from homodyne_cli.io.scale_fix.edit import edit_bytes
    from homodyne_cli.io.scale_fix.scale_fix import read_fix
    from homodyne_cli.io.yaml_text.load import read_bytes
    from homodyne_cli.render.console import make_console, print_next

    config, output = request.config, request.output
    scale = read_fix(request.fix)
    edit = edit_bytes(read_bytes(config), scale, path=config)
    if output is not None:
        check_file(output, force=request.force)
    target = output or config
    _show_diff(edit, config, target)
    if request.dry_run:
        done = "nothing written (--dry-run)"
    elif output is not None:
        write_file(output, edit.after, force=request.force)
        done = f"written to {output}"
    elif edit.before == edit.after:
        done = "nothing to change"
    else:
        done = _write_in_place(config, edit, backup=not request.no_backup)
    words = ("apply-scale", config, request.fix) if request.dry_run else ("fit", target)
    _report(edit, config, done)
    print_next(make_console(stderr=True), *words)
    return 0


def _write_in_place(config: Path, edit: ScaleEdit, *, backup: bool) -> str:
    from homodyne_cli.io.files.outputs import write_file

    if not backup:
        write_file(config, edit.after, force=True)
        return "written, no backup kept"
    kept = _keep(config, edit.before)
    try:
        write_file(config, edit.after, force=True)
    except OutputError:
        kept.unlink(missing_ok=True)
        raise
    return f"written, the old one is {kept}"


def _keep(config: Path, data: bytes) -> Path:
    """Copy the config to the first of ``.bak``, ``.bak.1``, ``.bak.2`` that is free."""
    from homodyne_cli.io.files.outputs import first_free, write_file

    endings = chain([".bak"], (f".bak.{number}" for number in count(1)))
    kept = first_free(config.with_name(config.name + ending) for ending in endings)
    write_file(kept, data, force=False, mode=config.stat().st_mode & 0o7777)
    return kept


def _show_diff(edit: ScaleEdit, config: Path, target: Path) -> None:
    from homodyne_cli.render.console import make_console, print_plain

    console = make_console()
    coloured = console.is_terminal and not console.no_color
    for line in _diff(edit, config, target):
        if coloured:
            style = next((style for start, style in _STYLES if line.startswith(start)), None)
            print_plain(console, line.rstrip("\r\n"), style=style)
        else:
            # As it is, line breaks included, so that `patch` can take it from a pipe.
            console.file.write(line)
    console.file.flush()


def _diff(edit: ScaleEdit, config: Path, target: Path) -> Iterator[str]:
    before, after = (_LINES.findall(text) for text in (edit.before_text, edit.after_text))
    for line in difflib.unified_diff(before, after, str(config), str(target)):
        yield line if line.endswith("\n") else f"{line}\n{_NO_FINAL_BREAK}"


def _report(edit: ScaleEdit, config: Path, done: str) -> None:
    from homodyne_cli.render.console import make_console, print_sentence

    console = make_console(stderr=True)
    if edit.before == edit.after:
        summary = "x_scale_map has these values already"
    else:
        summary = f"x_scale_map: {len(edit.added)} added, {len(edit.changed)} changed"
    print_sentence(console, f"{config}: {summary}; {done}")
    if edit.x_scale is not None:
        print_sentence(
            console,
            f"{edit.x_scale_at}: x_scale is {edit.x_scale}, so the map has no effect; "
            "set it to config, or to null",
            label=("warning: ", "bold yellow"),
        )
