"""Descents in flat valleys end, those with a poor scale do not pass for them, and others start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import Coordinates
from homodyne_cli.core.minimise.global_search import switched_on
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.minimise.state import (
    StopReason,
    in_flat_valley,
    inside_bounds,
    is_converged,
)
from homodyne_cli.core.minimise.valleys import OpenLaw, descend, valley_minima
from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.objective.scaling import ScalingDirections
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import ShearTransforms, SolverOptions
from homodyne_cli.results import IterationRecord
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem
from tests.support.random_experiments import draw

CONSTANT = np.array([8000.0, 0.0, 600.0, *RESOLVED[3:]])
VALLEY = make_dataset(100, 5, parameters=CONSTANT, noise=0.01, seed=1)


def test_a_descent_along_a_valley_ends_with_nothing_left_that_noise_would_notice() -> None:
    result = fit(VALLEY, make_problem(start=None))
    assert result.converged
    assert result.status == StopReason.FLAT_VALLEY
    assert "valley" in result.message
    assert result.iterations < 60
    patient = SolverOptions(ftol=1e-12, max_iterations=400)
    longer = fit(VALLEY, make_problem(start=None, solver=patient))
    assert longer.iterations > result.iterations
    # Hundreds of steps more are worth a tenth of one standard deviation.
    assert 0.0 <= result.chi2 - longer.chi2 < 0.01


@pytest.mark.parametrize(
    ("gain", "edm", "options", "expected"),
    [
        (1e-4, 0.3, SolverOptions(), True),
        (1e-4, 30.0, SolverOptions(), False),
        (1e-2, 0.3, SolverOptions(), False),
        (1e-4, 0.3, SolverOptions(ftol=1e-12), False),
    ],
    ids=["valley", "short steps of a poor scale", "still falling", "asked for the last digit"],
)
def test_what_counts_as_a_valley(
    gain: float, edm: float, options: SolverOptions, expected: bool
) -> None:
    steps = [IterationRecord(k, 100.0 - k * gain, edm, 1.0, 0.0) for k in range(12)]
    assert in_flat_valley(steps, options) is expected


@pytest.mark.parametrize(
    ("stop", "edm", "expected"),
    [
        (StopReason.FTOL, 0.09, True),
        (StopReason.FTOL, 0.11, False),
        (StopReason.FLAT_VALLEY, 0.5, True),
        (StopReason.FLAT_VALLEY, 1.5, False),
        (StopReason.MAX_ITERATIONS, 1e-9, False),
    ],
)
def test_what_counts_as_settled(stop: StopReason, edm: float, expected: bool) -> None:
    assert is_converged(stop, edm) is expected


@pytest.mark.parametrize(("seed", "refined"), [(27, 8), (17, 10)])
def test_search_finds_the_minimum_where_a_power_law_seems_to_have_vanished(
    seed: int, refined: int
) -> None:
    """The best of the eight descents ends with D0 at its lower bound, and two more are made.

    Unless one of the eight finds its way out along the rates.
    """
    experiment = draw(seed)
    result = fit(experiment.data, make_problem(start=None))
    truth = fit(experiment.data, make_problem(start=tuple(experiment.truth)))
    assert result.chi2 < truth.chi2 + 0.1
    assert result.search is not None
    assert result.search.refined == refined


def test_vanished_power_laws_come_back_with_the_same_rate() -> None:
    data = make_dataset(60, 4, parameters=RESOLVED, noise=0.01, seed=5)
    problem = make_problem(start=tuple(RESOLVED))
    free = build_objective(data, problem, dataset_sigma(data)).free
    assert len(switched_on(data, free, RESOLVED)) == 0
    gone = RESOLVED.copy()
    gone[:3] = 1.0, -2.0, 5000.0
    starts = switched_on(data, free, gone)
    assert starts.shape == (2, 7)
    middle = np.sqrt(data.t[0] * data.t[-1])
    for start in starts:
        rate = start[0] * middle ** start[1] + start[2]
        assert rate == pytest.approx(1.0 * middle**-2.0 + 5000.0)
        assert np.all((start >= free.lower) & (start <= free.upper))
        np.testing.assert_array_equal(start[3:], gone[3:])
    # A power law that makes 3% of the rate is there, one that makes 1.5% is not.
    weak = RESOLVED.copy()
    for share, count in ((0.03, 0), (0.015, 2)):
        weak[:3] = share * 5000.0 * middle**0.4, -0.4, (1.0 - share) * 5000.0
        assert len(switched_on(data, free, weak)) == count
    held = make_problem(start=tuple(gone), fixed={"alpha": -2.0})
    narrow = build_objective(data, held, dataset_sigma(data)).free
    assert len(switched_on(data, narrow, np.delete(gone, 1))) == 0


@pytest.mark.parametrize("adaptive", [None, True, False])
def test_adaptive_is_the_default_of_auto_alone(adaptive: bool | None) -> None:
    auto = SolverOptions(adaptive_x_scale=adaptive)
    given = SolverOptions(adaptive_x_scale=adaptive, x_scale="config", x_scale_map={"D0": 1.0})
    assert auto.adaptive is (adaptive is not False)
    assert given.adaptive is (adaptive is True)


def test_a_given_map_is_kept_to_the_end_however_unbalanced() -> None:
    table = {"D0": 1e-3, "gamma_dot_t0": 1e2}
    solver = SolverOptions(
        x_scale="config",
        x_scale_map=table,
        shear_transforms=ShearTransforms(decorrelate=True),
        max_iterations=30,
    )
    result = fit(VALLEY, make_problem(start=tuple(RESOLVED), solver=solver))
    assert result.history[-1].effective_ratio > 10.0
    assert result.x_scale["D0"] == 1e-3
    assert result.x_scale["gamma_dot_t0"] == 1e2
    assert result.x_scale["beta"] == 1.0


def test_a_scale_that_never_balances_does_not_stop_the_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Renewals are limited; the last descent goes on without."""
    monkeypatch.setattr(policy, "BALANCED", 1.0 + 1e-9)
    data = make_dataset(60, 4, parameters=RESOLVED, noise=0.01, seed=5)
    start = tuple(RESOLVED * [1.3, 0.8, 1.2, 0.8, 1.2, 1.5, 0.8])
    restless = fit(data, make_problem(start=start))
    plain = fit(data, make_problem(start=start, solver=SolverOptions(adaptive_x_scale=False)))
    assert restless.converged
    assert restless.iterations > policy.RENEWALS
    assert restless.chi2 == pytest.approx(plain.chi2, abs=0.02)


def test_steps_of_a_fit_that_goes_on_with_a_fresh_scale_are_told_once() -> None:
    experiment = draw(0)
    told: list[IterationRecord] = []
    problem = make_problem(start=tuple(experiment.start))
    result = fit(experiment.data, problem, told.append)
    assert tuple(told) == result.history
    assert [step.iteration for step in told] == list(range(len(told)))


def test_contrasts_may_reach_their_bounds_between_search_and_minimum() -> None:
    """Where the search ends two contrasts are at their bounds; at the minimum none is."""
    result = fit(draw(83).data, make_problem(start=None))
    assert result.converged
    assert np.all(np.isfinite(result.contrast_uncertainty))


@dataclass(frozen=True)
class Bowl:
    """Chi2 of 5 + (x - m)^T H (x - m)."""

    minimum: FloatArray
    curvature: FloatArray

    @property
    def free(self) -> FreeParameters:
        wide = np.full(len(self.minimum), np.inf)
        names = ("D0", "alpha", "D_offset")[: len(wide)]
        return FreeParameters(names, 0.0 * self.minimum, -wide, wide)

    def expand(self, x: FloatArray) -> FloatArray:
        return x

    def cost(self, x: FloatArray) -> float:
        return float(self.derivatives(x).chi2)

    def derivatives(self, x: FloatArray) -> Projection:
        off, nothing = x - self.minimum, np.zeros(0)
        slope = self.curvature @ off
        arrow = Arrow(self.curvature, np.zeros((0, len(x), 2)), np.zeros((0, 2, 2)))
        directions = ScalingDirections(np.zeros((0, 2, 0)), None)
        return Projection(nothing, nothing, 5.0 + float(off @ slope), arrow, slope, directions)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_units_of_the_parameters_do_not_matter_to_a_descent(unit: float) -> None:
    """From 30 uncertainties away to a thousandth of one, whatever they are counted in."""
    sigma = unit * np.array([1.0, 1e-3, 50.0])
    correlated = np.array([[1.0, 0.9, 0.3], [0.9, 1.0, 0.5], [0.3, 0.5, 1.0]])
    bowl = Bowl(sigma * np.array([3.0, -2.0, 8.0]), correlated / np.outer(sigma, sigma))
    x, chi2 = descend(bowl, bowl.minimum + 30.0 * sigma * np.array([1.0, -1.0, 1.0]), ())
    assert chi2 - 5.0 < 1e-6
    np.testing.assert_allclose(x, bowl.minimum, atol=3e-3 * sigma.max())


def test_a_quadratic_takes_one_step() -> None:
    """Gauss-Newton steps end in the minimum of what is linear in its parameters."""
    sigma = np.array([50.0, 1e-2, 3.0])
    correlated = np.array([[1.0, 0.9, 0.3], [0.9, 1.0, 0.5], [0.3, 0.5, 1.0]])
    bowl = Bowl(np.array([4e3, -0.4, 300.0]), correlated / np.outer(sigma, sigma))
    plain = Coordinates(np.zeros(3, dtype=bool), np.zeros(3))
    start = bowl.minimum + 5.0 * sigma * np.array([1.0, -1.0, 1.0])
    state = minimise(Minimisation(bowl, SolverOptions(), plain, start), near=True)
    # A pass at either end.
    assert (state.iterations, state.evaluations) == (1, 2)
    np.testing.assert_allclose(state.x, bowl.minimum, atol=1e-6 * sigma.min())


@pytest.mark.parametrize(("sigmas", "expected"), [(0.0, False), (5e-4, False), (1.5e-3, True)])
def test_a_trace_of_its_uncertainty_is_between_a_parameter_and_its_bound(
    sigmas: float, expected: bool
) -> None:
    """At the minimum, where no gradient pushes: a thousandth with all others held."""
    sigma = np.array([50.0, 1e-2, 3.0])
    bowl = Bowl(np.array([4e3, -0.4, 300.0]), np.diag(sigma**-2.0))
    upper = np.array([1e4, 2.0, 300.0 + sigmas * sigma[2]])
    free = FreeParameters(bowl.free.names, bowl.minimum, np.array([1.0, -2.0, -1e4]), upper)
    at = bowl.derivatives(bowl.minimum)
    np.testing.assert_array_equal(inside_bounds(at, bowl.minimum, free), [True, True, expected])


@dataclass(frozen=True)
class Wells:
    """Chi2 of the lowest of some bowls in early rate, late rate and exponent, (r1, r2, e)."""

    bottoms: FloatArray
    depths: FloatArray
    times: FloatArray
    exponents: tuple[float, float] = (-2.0, 2.0)

    @property
    def free(self) -> FreeParameters:
        ends = zip((-1.0, 1.0), self.exponents, strict=True)
        lower, upper = (np.array([s * 1e6, e, s * 1e6]) for s, e in ends)
        return FreeParameters(("D0", "alpha", "D_offset"), np.zeros(3), lower, upper)

    def expand(self, x: FloatArray) -> FloatArray:
        return x

    def coordinates(self, x: FloatArray) -> FloatArray:
        return np.array([*(x[0] * self.times ** x[1] + x[2]), x[1]])

    def cost(self, x: FloatArray) -> float:
        return float(self.derivatives(x).chi2)

    def derivatives(self, x: FloatArray) -> Projection:
        apart = self.coordinates(x) - self.bottoms
        each = self.depths + (apart**2).sum(axis=1)
        well, power = int(each.argmin()), self.times ** x[1]
        by_x = np.array([*zip(power, x[0] * power * np.log(self.times), [1.0, 1.0], strict=True),
                         (0.0, 1.0, 0.0)])  # fmt: skip
        arrow = Arrow(by_x.T @ by_x, np.zeros((0, 3, 2)), np.zeros((0, 2, 2)))
        nothing, slope = np.zeros(0), by_x.T @ apart[well]
        directions = ScalingDirections(np.zeros((0, 2, 0)), None)
        return Projection(nothing, nothing, float(each[well]), arrow, slope, directions)


#: A well, one that is seen from it with the other sign of the early rate, and one seen from there.
WELLS = np.array([[1.0, 2.0, 0.5], [-2.0, 2.0, 1.6], [-5.0, 2.0, -1.6]])


@pytest.mark.parametrize(("walks", "lowest"), [(1, 1), (3, 2)])
def test_valleys_are_walked_until_that_leads_no_lower(
    walks: int, lowest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest of three wells is out of reach of the first walk."""
    monkeypatch.setattr(policy, "WALKS", walks)
    wells = Wells(WELLS, np.array([3.0, 2.0, 1.0]), np.array([0.5, 8.0]))
    law = OpenLaw(0, 1, 2, (0.5, 8.0))
    start = law.moved(np.zeros(3), WELLS[0, :2] + 0.1, 0.7)
    ends = valley_minima(wells, start, [law])
    assert [chi2 for _, chi2 in ends] == sorted(chi2 for _, chi2 in ends)
    x, chi2 = ends[0]
    assert chi2 == pytest.approx(3.0 - lowest, abs=1e-5)
    np.testing.assert_allclose(wells.coordinates(x), WELLS[lowest], atol=3e-3)


@pytest.mark.parametrize("n_wells", [1, 2])
def test_a_walk_that_gains_nothing_is_the_last(n_wells: int) -> None:
    """One descent from each exponent with either sign of the early rate, a walk for each well."""
    wells = Wells(WELLS[:n_wells], np.array([3.0, 2.0])[:n_wells], np.array([0.5, 8.0]))
    law = OpenLaw(0, 1, 2, (0.5, 8.0))
    ends = valley_minima(wells, law.moved(np.zeros(3), WELLS[0, :2], 0.5), [law])
    assert len(ends) == 1 + n_wells * 2 * policy.WALKED
    assert {round(chi2, 4) for _, chi2 in ends} == {3.0, 2.0} - {2.0 * (n_wells < 2)}


@pytest.mark.parametrize(
    ("bounds", "ends"), [((-1.0, 3.0), (-1.0, 2.0)), ((-3.0, 0.6), (-2.0, 0.6))]
)
def test_a_walk_starts_all_along_the_valley(
    bounds: tuple[float, float], ends: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the rates of the point and with the early one reversed, over exponents within bounds."""
    monkeypatch.setattr(policy, "VALLEY_STEPS", 0)
    monkeypatch.setattr(policy, "WALKS", 1)
    law = OpenLaw(0, 1, 2, (0.5, 8.0))
    wells = Wells(WELLS[:1], np.array([3.0]), np.array(law.times), bounds)
    point = law.moved(np.zeros(3), WELLS[0, :2], WELLS[0, 2])
    first, *starts = [wells.coordinates(x) for x, _ in valley_minima(wells, point, [law])]
    np.testing.assert_allclose(first, WELLS[0])
    exponents = np.linspace(*ends, policy.WALKED)
    along = [[rate, 2.0, e] for rate in (-1.0, 1.0) for e in exponents]
    np.testing.assert_allclose(sorted(np.round(starts, 9).tolist()), along, atol=1e-8)
