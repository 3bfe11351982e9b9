"""``homodyne check``: what a fit would be made of, without fitting."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated

import typer

from homodyne_cli.cli.options.shared import (
    AsJson,
    ConfigFile,
    DataFile,
    MemorySize,
    Overrides,
    memory_budget,
    refuse_repeats,
    settings_of,
)
from homodyne_cli.errors import ExitCode


@dataclass(frozen=True)
class CheckRequest:
    """Show what a fit would be made of, and what is doubtful in it, without fitting.

    Example: homodyne check config.yaml && homodyne fit config.yaml
    """

    config: ConfigFile
    override: Overrides = None
    data: DataFile = None
    memory: MemorySize = None
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails as well.")] = False
    as_json: AsJson = False

    def __post_init__(self) -> None:
        """Refuse settings of which only one could act."""
        refuse_repeats(settings_of(self.override, self.data))


def run_check(request: CheckRequest) -> int:
    """Show an input; return 1 if a fit would refuse it (with `strict` also if one warns)."""
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.io.maps.trial import trials_reading

    config = load_config(request.config, settings_of(request.override, request.data))
    with trials_reading(config.selection.paths) as wait_for_trial:
        from homodyne_cli.core.inputs.examine import examined
        from homodyne_cli.io.maps.read_data import open_dataset
        from homodyne_cli.render.console import make_console, print_json, print_next
        from homodyne_cli.render.screens.inputs import input_answer, show_input

        memory = memory_budget(request.memory)
        wait_for_trial()
        with open_dataset(config.selection, config.problem.mode, memory=memory) as maps:
            dataset = examined(maps, config.problem)
    bad = ("error", "warning") if request.strict else ("error",)
    passed = not any(finding.severity in bad for finding in dataset.findings or ())
    if request.as_json:
        print_json({"passed": passed, **input_answer(dataset)})
    else:
        console = make_console()
        show_input(console, dataset)
        options = [one.option for one in dataset.findings or () if one.severity == "error"]
        words = [
            request.config,
            *(part for one in request.override or () for part in ("--set", one)),
        ]
        words += [] if request.data is None else ["--data", request.data]
        if passed:
            print_next(console, "fit", *words)
        elif options and options[0]:
            print_next(console, "check", *words, *shlex.split(options[0]))
    return ExitCode.GOOD if passed else ExitCode.NEGATIVE
