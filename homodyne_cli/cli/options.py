"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.completers import configs, run_directories

ConfigFile = Annotated[
    Path, typer.Argument(help="YAML config.", metavar="CONFIG", autocompletion=configs)
]
RunDirectory = Annotated[
    Path, typer.Argument(help="Run directory.", metavar="RUN_DIR", autocompletion=run_directories)
]
GapConfig = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Config to take the gap from, for homodyne 2.x runs.",
        autocompletion=configs,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
MemorySize = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Memory to stay within, like 2GB; larger data are streamed from disk. "
        "Default: a quarter of the machine's.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]
