"""A run evaluated once at its own parameters: what diagnosis and verification start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, PassSpec
from homodyne_cli.core.gram_pass.passes import evaluate
from homodyne_cli.core.minimise.state import inside_bounds
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.noise.best_objective import BestObjective, best_objective
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.free_parameters import FreeParameters
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
        What was minimised, at these parameters and the best contrast and offset.
    best, best_grams
        The objective of a run with best weights, and of its pass at these parameters.
    """

    run: StoredRun
    objective: PairObjective
    grams: AngleGrams
    at: Projection
    best: BestObjective | None = None
    best_grams: AngleGrams | None = None

    @property
    def residuals(self) -> Residuals:
        """Data, fitted maps and noise; the maps are evaluated where they are looked at."""
        run, solution = self.run, self.run.solution
        scaling = solution.contrast, solution.offset
        fitted = model_maps(run.dataset, solution.vector, *scaling, run.problem.convention)
        return Residuals(run.dataset, fitted, self.objective.sigma)

    @property
    def chi2(self) -> float:
        """Chi2 of the run's parameters and scaling, in the metric in which it was minimised."""
        return self.chi2_of(self.run)

    @property
    def free(self) -> FreeParameters:
        """The free parameters at the run's values, bounds widened to where a run left them."""
        free, values = self.objective.free, self.run.solution.values
        x = np.array([values[n] for n in free.names])
        lower, upper = np.minimum(free.lower, x), np.maximum(free.upper, x)
        return FreeParameters(free.names, x, lower, upper)

    @property
    def at_bounds(self) -> tuple[str, ...]:
        """Free parameters that are at a bound, or beyond."""
        inside = inside_bounds(self.at, self.free.start, self.free)
        return tuple(n for n, free in zip(self.free.names, inside, strict=True) if not free)

    @property
    def degrees_of_freedom(self) -> int:
        """Pairs less unknowns."""
        n_points = self.objective.tiles.n_points if self.best is None else self.best.n_points
        return n_points - self.objective.n_unknown

    def chi2_of(self, other: StoredRun) -> float:
        """Return chi2 of another run's model and scaling on the pairs and noise of this one."""
        solution, sigma = other.solution, self.objective.sigma
        if self.best is not None:
            sigma = np.ones_like(sigma)
        if other is self.run:
            grams = self.grams if self.best_grams is None else self.best_grams
        elif self.best is not None:
            grams = self.best.grams_of(solution.vector, other.problem.convention)
        else:
            spec = PassSpec(other.problem.mode, other.problem.convention)
            grams = evaluate(self.objective.tiles, spec, solution.vector)
        return hold(grams, solution.contrast, solution.offset, sigma).chi2


def evaluate_run(run: StoredRun) -> EvaluatedRun:
    """Evaluate a run at its own parameters and scaling.

    Raises
    ------
    FitError
        If nothing is free, there are fewer pairs than unknowns, or the model overflows.
    """
    objective = _objective(run.problem, run.dataset, run.solution.values)
    grams, at = _evaluate(objective)
    weights = run.record.noise.weights
    if weights is None:
        return EvaluatedRun(run, objective, grams, at)
    best = best_objective(run.dataset, objective, weights)
    best_grams = best.grams(objective.free_values)
    return EvaluatedRun(run, objective, grams, best.project(best_grams), best, best_grams)


def evaluate_best(
    problem: FitProblem, dataset: Dataset, values: Mapping[str, float], record: FitRecord
) -> EvaluatedRun:
    """Evaluate parameters that come without a scaling: it is the best one there."""
    objective = _objective(problem, dataset, values)
    grams, at = _evaluate(objective)
    solution = Solution(values, at.contrast, at.offset)
    return EvaluatedRun(StoredRun(problem, dataset, solution, record), objective, grams, at)


def _objective(problem: FitProblem, dataset: Dataset, values: Mapping[str, float]) -> PairObjective:
    vector = np.array(list(values.values()))
    objective = build_objective(dataset, problem, dataset_sigma(dataset))
    objective = replace(objective, full=vector)
    if not objective.free.names:
        raise FitError("every parameter is fixed: nothing to judge")
    n_points = objective.tiles.n_points
    if n_points <= objective.n_unknown:
        raise FitError(f"{n_points} pairs cannot determine {objective.n_unknown} unknowns")
    return objective


def _evaluate(objective: PairObjective) -> tuple[AngleGrams, Projection]:
    x = objective.free_values
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        grams = objective.plain_grams(x)
        if not np.isfinite(grams.gram).all():
            raise FitError("the model or the data are not finite numbers at these parameters")
        return grams, objective.derivatives(x) if objective.robust else objective.project(grams)
