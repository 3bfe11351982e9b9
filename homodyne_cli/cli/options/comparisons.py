"""What ``verify`` is asked beside its checks: a rheometer's table, values of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homodyne_cli.cli.options.shared import comma_separated
from homodyne_cli.core.assumptions.rheometer import FlowComparison, check_rheometer, compare_flow
from homodyne_cli.core.held_value import HeldValue, hold_values
from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.rheometer_file import read_rheometer
from homodyne_cli.render.pages.beside import Section, flow_section, held_section
from homodyne_cli.render.screens.flow import flow_answer, held_answer, show_flow, show_held

if TYPE_CHECKING:
    from rich.console import Console

    from homodyne_cli.assessments import CheckResult
    from homodyne_cli.core.evaluation import EvaluatedRun


@dataclass(frozen=True)
class Comparisons:
    """The answers; nothing of what was not asked."""

    flow: FlowComparison | None
    held: tuple[HeldValue, ...]

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """What is a check."""
        return () if self.flow is None else (check_rheometer(self.flow),)

    @property
    def answer(self) -> dict[str, object]:
        """What ``--json`` says."""
        return {**flow_answer(self.flow), **held_answer(self.held)}

    @property
    def sections(self) -> tuple[Section, ...]:
        """What a report says of them."""
        return (*flow_section(self.flow, self.checks), *held_section(self.held))

    def show(self, console: Console, *, quiet: bool) -> None:
        """Print them as tables; `quiet`: without a chart."""
        show_flow(console, self.flow, quiet=quiet)
        show_held(console, self.held)


def make_comparisons(
    evaluated: EvaluatedRun, rheometer: Path | None, tests: Sequence[str]
) -> Comparisons:
    """Make the comparisons that are asked for.

    Parameters
    ----------
    rheometer
        Its table.
    tests
        Lists like ``beta=-0.6667,alpha=0``; each value is tested by itself.

    Raises
    ------
    UsageError
        They cannot be made with this run.
    DataError
        The table cannot be read.
    """
    values = tuple(_held_value(one) for test in tests for one in comma_separated(test))
    flow = None if rheometer is None else compare_flow(evaluated.run, read_rheometer(rheometer))
    return Comparisons(flow, hold_values(evaluated, values))


def _held_value(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError as error:
        raise UsageError(
            f"--test {text!r}: not a parameter and a number",
            hint="for example --test beta=-0.6667",
        ) from error
