"""One log for all phases, whatever the objective is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.coordinates import Coordinates, fit_coordinates
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.minimise.state import StopReason
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import HeldObjective, Objective
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.profile_likelihood import profile, profile_interval
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions
from homodyne_cli.results import IterationRecord
from tests.support.arrows import dense, multiplied
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

DATA = make_dataset(60, 4, parameters=RESOLVED, noise=0.01, seed=5)
START = tuple(RESOLVED * [1.3, 0.8, 1.2, 0.8, 1.2, 1.5, 0.8])
#: With D_offset fixed every parameter is determined, and the minimum is a point.
PROBLEM = make_problem(start=START, fixed={"D_offset": RESOLVED[2]})


def made() -> tuple[PairObjective, Coordinates]:
    objective = build_objective(DATA, PROBLEM, dataset_sigma(DATA))
    return objective, fit_coordinates(PROBLEM, objective.free, DATA.t)


@dataclass(frozen=True)
class Other:
    """An objective of another kind: chi2 of a right one times a factor; counts its passes."""

    right: Objective
    factor: float = 1.0
    passes: list[FloatArray] = field(default_factory=list)

    @property
    def free(self) -> FreeParameters:
        return self.right.free

    def expand(self, x: FloatArray) -> FloatArray:
        return self.right.expand(x)

    def cost(self, x: FloatArray) -> float:
        self.passes.append(x)
        return self.factor * self.right.cost(x)

    def derivatives(self, x: FloatArray) -> Projection:
        self.passes.append(x)
        at, factor = self.right.derivatives(x), self.factor
        return replace(
            at,
            chi2=factor * at.chi2,
            hessian=multiplied(at.hessian, factor),
            gradient=factor * at.gradient,
            grams=None,
        )


@pytest.mark.parametrize("reason", list(StopReason))
def test_every_reason_to_stop_says_what_it_means(reason: StopReason) -> None:
    assert len(reason.sentence) > 10
    assert reason.is_success is not reason.sentence.startswith("stopped")
    assert StopReason(int(reason)) is reason


@pytest.mark.parametrize("scale", ["auto", "unit"])
def test_every_pass_is_counted_and_none_is_made_twice_running(scale: str) -> None:
    objective, coordinates = made()
    counted = Other(objective)
    options = SolverOptions(x_scale=scale, max_iterations=200)  # type: ignore[arg-type]
    state = minimise(Minimisation(counted, options, coordinates), near=False)
    assert state.stop.is_success
    assert state.evaluations == len(counted.passes)
    assert state.iterations < state.evaluations
    twice = [np.array_equal(a, b) for a, b in zip(counted.passes, counted.passes[1:], strict=False)]
    # An accepted step of the cost-only kind is followed by the pass with derivatives there.
    assert sum(twice) <= state.iterations


def test_another_objective_of_the_same_kind_goes_on_in_one_history() -> None:
    objective, coordinates = made()
    told: list[IterationRecord] = []
    log = Minimisation(objective, SolverOptions(), coordinates, notify=told.append)
    first = minimise(log, near=False)
    other = Other(objective, 2.0)
    log.change_objective(other)
    assert log.stop is StopReason.UNDER_WAY
    assert log.here.chi2 == pytest.approx(2.0 * first.chi2)
    last = minimise(log, near=True)
    assert last.history[: len(first.history)] == first.history
    assert tuple(told) == last.history
    assert [step.iteration for step in told] == list(range(len(told)))
    assert last.evaluations == first.evaluations + len(other.passes)


def test_a_factor_on_chi2_changes_the_interval_and_not_the_minimum() -> None:
    """Minimiser and profile know an objective by its members alone."""
    result = fit(DATA, PROBLEM)
    objective, coordinates = made()
    other = Other(objective, 4.0)
    state = minimise(Minimisation(other, SolverOptions(), coordinates), near=False)
    free = objective.places
    sigma = np.array([result.parameters[k].uncertainty for k in free])
    assert np.all(np.abs(state.x - result.values[free]) < 1e-4 * sigma)
    phi0 = result.parameters[-1]
    (plain,) = profile(DATA, PROBLEM, result, ["phi0"])
    quadrupled = replace(result, chi2=4.0 * result.chi2)
    narrow = profile_interval(other, SolverOptions(), quadrupled, phi0)
    assert plain.upper is not None
    assert narrow.upper is not None
    # Both ends are accurate to 2% of an uncertainty.
    ratio = (plain.upper - phi0.value) / (narrow.upper - phi0.value)
    assert ratio == pytest.approx(2.0, rel=0.1)


def test_a_held_objective_is_that_of_the_problem_with_the_parameter_fixed() -> None:
    objective, _ = made()
    beta = objective.free.names.index("beta")
    held = HeldObjective(objective, beta, -0.3)
    fixed_too = {"D_offset": RESOLVED[2], "beta": -0.3}
    problem = make_problem(start=START, fixed=fixed_too)
    fixed = build_objective(DATA, problem, dataset_sigma(DATA))
    x = fixed.free.start * 1.01
    assert held.free.names == fixed.free.names
    np.testing.assert_array_equal(held.free.lower, fixed.free.lower)
    np.testing.assert_array_equal(held.expand(x), fixed.expand(x))
    assert held.cost(x) == fixed.cost(x)
    one, other = held.derivatives(x), fixed.derivatives(x)
    np.testing.assert_array_equal(dense(one.hessian), dense(other.hessian))
    np.testing.assert_array_equal(one.gradient, other.gradient)
