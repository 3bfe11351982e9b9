"""Write what is derived from the program: references, schemas of a run, shell completion scripts.

    python -m docs.generate docs          # docs/cli.md, docs/config.md, docs/schema/
    python -m docs.generate completions   # completions/

A test fails if any of these files is stale.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from homodyne_cli.io.config.reference import config_reference
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.run.arrays import fitted_data_schema
from homodyne_cli.io.run.schema import RUN_FILES

ROOT: Final = Path(__file__).parents[1]
COMMANDS: Final = ("", "init", "simulate", "fit", "diagnose", "apply-scale", "verify")
#: Typer's name of a shell and where its script goes.
SHELLS: Final = {
    "bash": "homodyne.bash",
    "zsh": "_homodyne",
    "fish": "homodyne.fish",
    "powershell": "homodyne.ps1",
}
_RUN: Final = "import sys; sys.argv[0] = 'homodyne'; from homodyne_cli.cli.app import main; main()"


def run_homodyne(*arguments: str, **environment: str) -> str:
    """Run the command line in a fresh process and return what it prints."""
    plain = {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb", "TYPER_USE_RICH": "0"}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        env={**os.environ, **plain, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def cli_reference() -> str:
    """Return the help of every command."""
    parts = ["# Command line\n\nGenerated from `--help` by `make docs`.\n"]
    for command in COMMANDS:
        words = ("homodyne", command) if command else ("homodyne",)
        shown = run_homodyne(*words[1:], "--help")
        text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## {' '.join(words)}\n\n```\n{text}\n```\n")
    return "\n".join(parts)


def config_page() -> str:
    """Return the table of config keys."""
    head = (
        "# Config keys\n\nGenerated from the schema by `make docs`. Every key acts; a key that is "
        "left out or null takes its default. homodyne 2.x configs are read as they are: its keys "
        "that have no effect here are counted when the config is read, and listed with `-v`.\n\n"
        "| key | accepted | default | what it does |\n|---|---|---|---|\n"
    )
    rows = [
        f"| `{row.key}` | {_cell(row.type)} | {_cell(row.default)} | {_cell(row.description)} |\n"
        for row in config_reference()
    ]
    return head + "".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def completion_script(shell: str) -> str:
    """Return Typer's completion script for a shell."""
    shown = run_homodyne(_HOMODYNE_COMPLETE=f"source_{shell}")
    return shown.strip() + "\n"


def json_schema(schema: Mapping[str, object]) -> str:
    """Return the text of a JSON Schema."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return to_json({**dialect, **schema}) + "\n"


def run_schemas() -> Mapping[str, Mapping[str, object]]:
    """Return the schema of every file of a run directory, by its name."""
    files = {name: model.model_json_schema() for name, model in RUN_FILES.items()}
    return {**files, "fitted_data.h5.json": fitted_data_schema()}


def generated(kind: str) -> Mapping[Path, Callable[[], str]]:
    """Return what writes each file of a kind, ``docs`` or ``completions``."""
    if kind == "docs":
        pages: dict[str, Callable[[], str]] = {"cli.md": cli_reference, "config.md": config_page}
        for name, schema in run_schemas().items():
            pages[f"schema/{name}"] = partial(json_schema, schema)
        return {ROOT / "docs" / name: make for name, make in pages.items()}
    return {
        ROOT / "completions" / name: partial(completion_script, shell)
        for shell, name in SHELLS.items()
    }


def main() -> None:
    """Write the files of the kinds named on the command line."""
    for kind in sys.argv[1:]:
        for path, make in generated(kind).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
