"""From a fit in memory to what the checks of `verify` look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.checks.checklist import CheckInputs
from homodyne_cli.core.evaluation import evaluate_best, evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.verification import check_inputs
from homodyne_cli.dataset import Dataset
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitResult


def run_of(data: Dataset, problem: FitProblem, result: FitResult) -> StoredRun:
    return StoredRun(problem, replace(data, sigma=result.sigma), result.solution, result.record)


def fitted_inputs(data: Dataset, problem: FitProblem) -> CheckInputs:
    return check_inputs(evaluate_run(run_of(data, problem, fit(data, problem))))


def moved(run: StoredRun, changes: Mapping[str, float]) -> CheckInputs:
    """Evaluate a run with some values changed; contrast and offset are the best ones there."""
    values = {**run.solution.values, **changes}
    return check_inputs(evaluate_best(run.problem, run.dataset, values, run.record))


def with_uncertainties(run: StoredRun, **errors: float) -> StoredRun:
    known = {**run.record.uncertainties, **errors}
    return replace(run, record=replace(run.record, uncertainties=known))
