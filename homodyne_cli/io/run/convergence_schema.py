"""What ``convergence_metrics.json`` holds: how the optimiser got there; see `schema`."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from homodyne_cli.io.run.fields import (
    Count,
    Entry,
    Figure,
    Name,
    Rows,
    RunFile,
    Scale,
    Table,
    Text,
)
from homodyne_cli.parameters import XScaleMode


class ConvergenceEntry(Entry):
    """The verdict on convergence and the figures behind it; time in seconds."""

    status: Literal["converged", "not_converged", "interrupted"]
    message: Text = ""
    iterations: Count
    evaluations: Count = 0
    execution_time: Figure = math.nan
    final_chi_squared: Figure = math.nan
    edm: Figure = math.nan


class ConditionEntry(Entry):
    """Condition number of the Jacobian in physical units, and as x_scale made it."""

    raw: Figure
    scaled: Figure


class XScaleEntry(Entry):
    """The scale of every free parameter, how it was chosen and what it did."""

    mode: XScaleMode = "auto"
    values: Table[Name, Scale]
    condition_number: Table[Literal["start", "end"], ConditionEntry] = Field(default_factory=dict)


class RivalEntry(Entry):
    """Another minimum within noise of the one chosen."""

    chi2_above: Figure
    values: Table[Name, Figure]


class SearchEntry(Entry):
    """How the global stage chose the start, on decimated pairs."""

    screened: Count
    refined: Count
    reached: Count
    chi2: Figure
    runner_up: Figure | None
    n_points: Count
    rivals: Rows[RivalEntry] = ()
    beyond: RivalEntry | None = None


class StepEntry(Entry):
    """One accepted step of the optimiser; `seconds` since the fit began."""

    iteration: Count
    chi2: Figure = math.nan
    edm: Figure = math.nan
    step_norm: Figure = math.nan
    seconds: Figure = math.nan
    condition: Figure = math.nan
    condition_raw: Figure = math.nan
    effective_ratio: Figure = math.nan
    column_norms: Table[Name, Figure] = Field(default_factory=dict)


class SecondsEntry(Entry):
    """Where the wall-clock time went."""

    load: Figure
    compile: Figure
    fit: Figure
    save: Figure
    total: Figure


class ConvergenceFile(RunFile):
    """``convergence_metrics.json``: how the optimiser got there."""

    convergence: ConvergenceEntry
    x_scale: XScaleEntry
    search: SearchEntry | None = None
    history: Rows[StepEntry] = ()
    seconds: SecondsEntry | None = None
    device_info: dict[Literal["device"], Text] | None = None
