"""Rings and repeats are compared by what is left in them at the joint minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.agreement import compare_fits, find_agreement
from homodyne_cli.core.agreement_verdicts import agreement_findings, check_agreement
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.simulation import Noise, simulate_rings
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.agreement import Agreement
from homodyne_cli.findings.codes import Code
from homodyne_cli.parameters import NoiseWeights
from homodyne_cli.problem import FitProblem, SolverOptions
from homodyne_cli.results import FitResult
from tests.support.problems import make_problem
from tests.support.rows import RINGS, as_repeats, chosen, ring

#: A flow slow enough that diffusion shows on all angles; offsets are held.
SLOW = np.array([3000.0, -0.4, 0.0, 1e-4, -0.25, 0.0, 2.0])
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
PROBLEM = replace(make_problem(start=tuple(SLOW), fixed=HELD), weights="equal")
FRAMES, NOISE = 40, 0.005
REALISATIONS = 40


def measured(seed: int, factors: Sequence[float] = (1.0, 1.0), place: int = 0) -> Dataset:
    """Two rings, a parameter of each multiplied by a factor."""
    truths = [SLOW * np.where(np.arange(7) == place, factor, 1.0) for factor in factors]
    rings = [ring(q, truth=t, frames=FRAMES) for q, t in zip(RINGS, truths, strict=True)]
    return simulate_rings(rings, Noise(NOISE), seed)


def fitted(data: Dataset, problem: FitProblem = PROBLEM) -> tuple[FitResult, Dataset]:
    known = replace(data, sigma=np.full(data.n_phi, NOISE))
    return fit(known, problem), known


def compared(data: Dataset, problem: FitProblem = PROBLEM) -> tuple[Agreement, ...]:
    result, known = fitted(data, problem)
    return find_agreement(evaluate_run(StoredRun(problem, known, result.solution, result.record)))


def test_one_ring_measured_once_is_not_compared() -> None:
    assert compared(chosen(measured(0), np.arange(4))) == ()


def test_chi2_of_agreeing_rings_and_repeats_is_what_chance_makes_it() -> None:
    """Means of chi2 over realisations against its degrees of freedom, to four standard errors."""
    chi2: dict[str, list[list[float]]] = {"rings": [], "repeats": []}
    for seed in range(REALISATIONS):
        both = as_repeats([measured(2 * seed), measured(2 * seed + 1)])
        for one in compared(both):
            assert (one.degrees, [q.degrees for q in one.quantities]) == (5, [1, 1, 1])
            chi2[one.kind].append([one.chi2, *(q.chi2 for q in one.quantities)])
    for values in chi2.values():
        off = np.mean(values, axis=0) - [5.0, 1.0, 1.0, 1.0]
        error = np.sqrt(2.0 * np.array([5.0, 1.0, 1.0, 1.0]) / REALISATIONS)
        assert np.abs(off / error).max() < 4.0


@pytest.mark.parametrize(("place", "name"), [(0, "J"), (3, "shear rate")])
def test_a_ring_that_disagrees_is_caught_and_named(place: int, name: str) -> None:
    (agreement,) = compared(measured(1, (1.0, 1.15), place))
    check = check_agreement(agreement)
    assert (check.id, check.status) == ("rings", "fail")
    assert f"the rings disagree on {name}" in check.message
    (quantity,) = (q for q in agreement.quantities if q.name == name)
    apart = quantity.deviation[1] - quantity.deviation[0]
    # 15%, in a linear step, to four standard errors; the two rings' are nearly independent.
    assert apart == pytest.approx(15.0, abs=2.0 + 4.0 * np.hypot(*quantity.uncertainty))


def test_deviations_are_those_of_refits() -> None:
    """Each ring fitted again with D0 alone free, all else as in the joint fit."""
    data = measured(2, (0.98, 1.02))
    (agreement,) = compared(data)
    joint, _ = fitted(data)
    values = dict(zip(joint.solution.values, joint.values.tolist(), strict=True))
    held = {name: value for name, value in values.items() if name != "D0"}
    alone = replace(
        make_problem(start=tuple(values.values()), fixed=held, solver=SolverOptions(ftol=1e-12)),
        weights="equal",
    )
    for k, q in enumerate(RINGS):
        refit, _ = fitted(chosen(data, np.flatnonzero(data.q == q)), alone)
        off = 100.0 * (refit.value("D0") / values["D0"] - 1.0)
        # What the step leaves out is of second order in a few percent.
        assert agreement.quantities[0].deviation[k] == pytest.approx(off, rel=0.05, abs=0.02)


def test_the_test_of_all_parameters_is_that_of_separate_fits() -> None:
    """Around the mean of two independent estimates chi2 is that of their difference."""
    data = as_repeats([chosen(measured(seed), np.arange(8)) for seed in (3, 4)])
    repeats = compared(data)[1]
    estimates: list[FloatArray] = []
    covariances: list[FloatArray] = []
    results: list[FitResult] = []
    for number in range(2):
        one = replace(chosen(data, np.flatnonzero(data.repeat == number)), repeat=None)
        result, _ = fitted(one)
        names = list(result.solution.values)
        free = [names.index(name) for name in result.covariance_names]
        estimates.append(result.values[free])
        covariances.append(result.covariance)
        results.append(result)
    difference = estimates[1] - estimates[0]
    expected = difference @ np.linalg.solve(covariances[0] + covariances[1], difference)
    # Linear steps from the joint minimum, a sigma or two away.
    assert repeats.chi2 == pytest.approx(float(expected), rel=0.1, abs=0.1)
    apart = compare_fits("repeats", np.array([1.0, 2.0]), results)
    assert apart.degrees == 5
    assert apart.chi2 == pytest.approx(float(expected), rel=1e-6)
    for alone, joint in zip(apart.quantities, repeats.quantities, strict=True):
        step = joint.deviation[1] - joint.deviation[0]
        refit = alone.deviation[1] - alone.deviation[0]
        # J and the shear rate vary with all else in a refit, and in the step with all else held.
        assert refit == pytest.approx(step, abs=3.0 * np.hypot(*alone.uncertainty))


def test_repeats_of_a_sample_that_changed_fail() -> None:
    data = as_repeats([measured(5), measured(6, (1.1, 1.1))])
    agreements = compared(data)
    rings, repeats = map(check_agreement, agreements)
    assert rings.status == "pass"
    assert (repeats.id, repeats.status) == ("repeats", "fail")
    assert "most of all J" in repeats.message
    assert "they would cover what is seen" in repeats.advice
    assert [finding.code for finding in agreement_findings(agreements)] == [Code.REPEATS]


@pytest.mark.parametrize("weights", ["equal", "best"])
def test_repeats_with_speckle_noise_scatter_as_stated(weights: NoiseWeights) -> None:
    """As white noise their scatter would be several times what is stated."""
    problem = replace(PROBLEM, weights=weights)
    scatter = []
    for seed in range(6):
        pair = [
            simulate_rings(
                [ring(RINGS[0], truth=SLOW, frames=60)], Noise(speckles=400), 10 * seed + k
            )
            for k in range(2)
        ]
        data = as_repeats(pair)
        result = fit(data, problem)
        assert np.isfinite(result.noise.n_speckles)
        known = replace(data, sigma=result.sigma)
        run = StoredRun(problem, known, result.solution, result.record)
        (repeats,) = find_agreement(evaluate_run(run))
        scatter.append(repeats.chi2 / repeats.degrees)
    # Thirty degrees of freedom: 1 +- 0.26 with the right covariance.
    assert 0.3 < np.mean(scatter) < 2.2
