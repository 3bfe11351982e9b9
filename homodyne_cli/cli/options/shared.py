"""Options and arguments that several commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import config_keys, configs, data_files, run_directories
from homodyne_cli.errors import UsageError

if TYPE_CHECKING:
    from homodyne_cli.io.maps.memory import MemoryBudget

ConfigFile = Annotated[
    Path, typer.Argument(help="YAML config.", metavar="CONFIG", autocompletion=configs)
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY.PATH=VALUE",
        help="Override one config key.",
        autocompletion=config_keys,
    ),
]
DataFile = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Data file to fit, instead of the config's.", autocompletion=data_files
    ),
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
NoPlots = Annotated[bool, typer.Option("--no-plots", help="Draw no pictures.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes.")]


def settings_of(override: list[str] | None, data: Path | None) -> tuple[str, ...]:
    """Return what ``--set`` and ``--data`` set, as keys of the config."""
    settings = list(override or ())
    if data is not None:
        # A JSON string is YAML whatever characters the path has.
        settings.append(f"experimental_data.file_path={json.dumps(str(data.absolute()))}")
    return tuple(settings)


def refuse_repeats(settings: Sequence[str]) -> None:
    """Refuse keys that are set more than once: only the last value would act."""
    keys = [setting.partition("=")[0] for setting in settings]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key}: set more than once", hint="keep one of them")


def refuse_needless_force(force: bool, output: Path | None, option: str) -> None:
    """Refuse ``--force`` where there is no output that it could replace."""
    if force and output is None:
        raise UsageError(f"--force: there is nothing to replace without {option}")


def configured_gap(config: Path | None, *runs: Path) -> float | None:
    """Return the gap of a config given for runs that do not record it.

    Raises
    ------
    UsageError
        If the config names no gap, or every run records its own.
    """
    if config is None:
        return None
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.run.read_run import records_gap

    if all(records_gap(run) for run in runs):
        raise UsageError(
            f"--config {config}: has no effect, {runs[0]} records what it was fitted with",
            hint="it gives the gap of homodyne 2.x runs, which do not",
        )
    gap = load_config(config).selection.gap
    if gap is None:
        raise UsageError(f"--config {config}: names no stator_rotor_gap to take")
    return gap


def refuse_missing_data(paths: Sequence[Path]) -> None:
    """Refuse data files that are not there before what reads them is imported."""
    from homodyne_cli.io.files.missing import refuse_missing

    for path in paths:
        refuse_missing(path)


def keep_compiled_in(folder: Path) -> None:
    """Keep compiled code in a folder that nobody else can write to."""
    from homodyne_cli.core.numerics.backend import keep_compiled
    from homodyne_cli.io.files.private_folder import private_folder

    keep_compiled(str(private_folder(folder)))


def comma_separated(names: str) -> tuple[str, ...]:
    """Return the names of a list like ``D0,alpha``."""
    return tuple(name.strip() for name in names.split(","))


def memory_budget(size: str | None) -> MemoryBudget:
    """Return what ``--memory`` asks for."""
    from homodyne_cli.io.maps.memory import MemoryBudget, budget_of

    return MemoryBudget(budget_of(size))
