"""Steps along rates: straight to first order, through the rates that they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homodyne_cli.core.minimise.coordinates import fit_coordinates
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import gauss_newton
from homodyne_cli.core.minimise.rate_steps import step_along_rates
from homodyne_cli.core.minimise.state import linear_step
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.parameters import NAMES
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import make_dataset
from tests.support.problems import make_problem

LAST = 100.0
X = np.array([8500.0, -0.25, -600.0, 1.0e-3, -0.26, 1.0e-5, 4.0])
SIZES = np.array([2000.0, 0.1, 2000.0, 1e-4, 0.1, 5e-5, 1.0])

steps = st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7).map(lambda v: SIZES * np.array(v))


@given(steps)
def test_a_short_step_is_straight(step: np.ndarray) -> None:
    """The rest is of second order: a thousandth of a step leaves a millionth."""
    bent = step_along_rates(NAMES, X, 1e-3 * step, LAST) - X - 1e-3 * step
    assert np.all(np.abs(bent) < 1e-4 * SIZES)


@given(steps)
def test_the_rates_move_in_a_straight_line(step: np.ndarray) -> None:
    """At 3, 17 and 100 s by what central differences of the law say, unless it stayed straight."""
    end = step_along_rates(NAMES, X, step, LAST)
    times = LAST * np.array([0.03, 0.03**0.5, 1.0])
    for law in (slice(0, 3), slice(3, 6)):
        if np.any(step[law] == 0.0) or np.array_equal(end[law], (X + step)[law]):
            continue

        def rates(p: np.ndarray, law: slice = law) -> np.ndarray:
            a, e, o = p[law]
            return np.asarray(a * times**e + o)

        slope = (rates(X + 1e-5 * step) - rates(X - 1e-5 * step)) / 2e-5
        assert rates(end) == pytest.approx(rates(X) + slope, rel=1e-6, abs=1e-6 * abs(rates(X)[0]))


def test_what_is_held_stays() -> None:
    """With the offset at a bound ln a and e are straight; with the exponent held all is."""
    step = np.array([2000.0, 0.05, 0.0, 1e-4, 0.0, 1e-5, 0.5])
    end = step_along_rates(NAMES, X, step, LAST)
    assert end[[1, 2]].tolist() == [X[1] + 0.05, X[2]]
    assert end[0] == pytest.approx(X[0] * np.exp(2000.0 / X[0]))
    assert end[3:].tolist() == (X + step)[3:].tolist()


def test_without_a_power_law_through_the_rates_the_step_is_straight() -> None:
    """Rates that rise and then fall, 12,940, 15,470 and 14,470, belong to none."""
    step = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    assert step_along_rates(NAMES, X, step, LAST).tolist() == (X + step).tolist()


def test_a_curved_valley_takes_few_steps() -> None:
    """Straight steps have not got there after thirty passes."""
    data = make_dataset(80, 5, noise=0.02)
    problem = make_problem()
    objective = build_objective(data, problem, dataset_sigma(data))
    start = objective.free_values.copy()
    start[:3] = 12_000.0, -0.2, -3000.0
    coordinates = fit_coordinates(problem, objective.free, data.t)
    log = Minimisation(objective, SolverOptions(), coordinates, start)
    gauss_newton(log, 1e-6)
    assert log.here.edm < 1e-6
    assert log.evaluations < 12
    x, at = start, objective.derivatives(start)
    for _ in range(30):
        step, edm = linear_step(at, x, objective.free)
        x = objective.free.clip(x + step)
        at = objective.derivatives(x)
    assert edm > 1.0
