"""What ``verify`` is asked beside its checks: a rheometer's table, values of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homodyne_cli.cli.options.shared import comma_separated
from homodyne_cli.core.assumptions.rheometer import FlowComparison, check_rheometer, compare_flow
from homodyne_cli.core.held_value import HeldValue, hold_values
from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.rheometer_file import read_rheometer
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

    def show(self, console: Console) -> None:
        """Print them as tables."""
        show_flow(console, self.flow)
        show_held(console, self.held)


def make_comparisons(
    evaluated: EvaluatedRun, rheometer: Path | None, test: str | None
) -> Comparisons:
    """Make the comparisons that are asked for.

    Parameters
    ----------
    rheometer
        Its table.
    test
        A list like ``beta=-0.6667,alpha=0``.

    Raises
    ------
    UsageError
        They cannot be made with this run.
    DataError
        The table cannot be read.
    """
    values = () if test is None else tuple(map(_held_value, comma_separated(test)))
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
