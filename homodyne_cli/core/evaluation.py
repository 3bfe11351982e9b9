"""A run evaluated once at its own parameters: what diagnosis and verification start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.gram_pass.gram_pass import AngleGrams, PassSpec, evaluate
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection, hold
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import FitError
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitRecord, Solution


@dataclass(frozen=True)
class EvaluatedRun:
    """A run and one pass over its pairs.

    Attributes
    ----------
    objective
        The run's data, packed, and its noise.
    grams
        Of the pass at the run's parameters, pairs weighted by their noise alone.
    at
        The best contrast and offset at these parameters, with the run's loss.
    """

    run: StoredRun
    objective: PairObjective
    grams: AngleGrams
    at: Projection

    @property
    def residuals(self) -> Residuals:
        """Data, fitted maps and noise; the maps are evaluated where they are looked at."""
        run, solution = self.run, self.run.solution
        scaling = solution.contrast, solution.offset
        fitted = model_maps(run.dataset, solution.vector, *scaling, run.problem.convention)
        return Residuals(run.dataset, fitted, self.objective.sigma)

    @property
    def chi2(self) -> float:
        """Chi2 of the run's parameters and scaling."""
        return self._chi2(self.grams, self.run.solution)

    @property
    def degrees_of_freedom(self) -> int:
        """Pairs less unknowns."""
        return self.objective.tiles.n_points - self.objective.n_unknown

    def chi2_of(self, other: StoredRun) -> float:
        """Return chi2 of another run's model and scaling on the pairs and noise of this one."""
        spec = PassSpec(other.problem.mode, other.problem.convention)
        grams = evaluate(self.objective.tiles, spec, other.solution.vector)
        return self._chi2(grams, other.solution)

    def _chi2(self, grams: AngleGrams, solution: Solution) -> float:
        return hold(grams, solution.contrast, solution.offset, self.objective.sigma).chi2


def evaluate_run(run: StoredRun) -> EvaluatedRun:
    """Evaluate a run at its own parameters and scaling.

    Raises
    ------
    FitError
        If nothing is free, there are fewer pairs than unknowns, or the model overflows.
    """
    return EvaluatedRun(run, *_evaluate_at(run.problem, run.dataset, run.solution.values))


def evaluate_best(
    problem: FitProblem, dataset: Dataset, values: Mapping[str, float], record: FitRecord
) -> EvaluatedRun:
    """Evaluate parameters that come without a scaling: it is the best one there."""
    objective, grams, at = _evaluate_at(problem, dataset, values)
    solution = Solution(values, at.contrast, at.offset)
    return EvaluatedRun(StoredRun(problem, dataset, solution, record), objective, grams, at)


def _evaluate_at(
    problem: FitProblem, dataset: Dataset, values: Mapping[str, float]
) -> tuple[PairObjective, AngleGrams, Projection]:
    vector = np.array(list(values.values()))
    objective = build_objective(dataset, problem, dataset_sigma(dataset))
    objective = replace(objective, full=vector)
    if not objective.free.names:
        raise FitError("every parameter is fixed: nothing to judge")
    n_points = objective.tiles.n_points
    if n_points <= objective.n_unknown:
        raise FitError(f"{n_points} pairs cannot determine {objective.n_unknown} unknowns")
    x = vector[objective.places]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        grams = objective.plain_grams(x)
        if not np.isfinite(grams.gram).all():
            raise FitError("the model or the data are not finite numbers at these parameters")
        at = objective.derivatives(x) if objective.robust else objective.project(grams)
    return objective, grams, at
