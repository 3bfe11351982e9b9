"""Profile intervals: the stated uncertainty where the problem is linear, an end at each level."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.uncertainty.profile_likelihood import profile
from homodyne_cli.errors import UsageError
from homodyne_cli.problem import Bounds
from tests.support.datasets import PUBLISHED, RESOLVED, make_dataset
from tests.support.problems import make_problem

DATA = make_dataset(120, 5, noise=0.005, seed=3)
PROBLEM = make_problem(start=tuple(PUBLISHED), fixed={"D_offset": PUBLISHED[2]})


@pytest.mark.parametrize("name", ["phi0", "D0"])
def test_interval_of_a_well_determined_parameter_is_its_uncertainty(name: str) -> None:
    """Whether that is a hundredth, of degrees, or some hundred, of Å²/s."""
    result = fit(DATA, PROBLEM)
    (interval,) = profile(DATA, PROBLEM, result, [name])
    sigma = next(p.uncertainty for p in result.parameters if p.name == name)
    assert interval.lower is not None
    assert interval.upper is not None
    assert interval.value - interval.lower == pytest.approx(sigma, rel=0.05)
    assert interval.upper - interval.value == pytest.approx(sigma, rel=0.05)


def test_refitting_with_the_parameter_at_an_end_raises_chi2_by_the_level() -> None:
    result = fit(DATA, PROBLEM)
    (interval,) = profile(DATA, PROBLEM, result, ["gamma_dot_t0"])
    assert interval.upper is not None
    fixed = {"D_offset": PUBLISHED[2], "gamma_dot_t0": interval.upper}
    there = fit(DATA, make_problem(start=tuple(result.values), fixed=fixed))
    assert there.chi2 - result.chi2 == pytest.approx(interval.chi2_rise, rel=0.1)


def test_correlated_noise_raises_the_level() -> None:
    result = fit(DATA, PROBLEM)
    wider = dataclasses.replace(
        result,
        parameters=tuple(
            dataclasses.replace(p, uncertainty=3.0 * p.uncertainty) for p in result.parameters
        ),
    )
    (interval,) = profile(DATA, PROBLEM, wider, ["phi0"])
    assert interval.chi2_rise == pytest.approx(9.0)


def test_interval_that_meets_a_bound_has_no_end_there() -> None:
    result = fit(DATA, PROBLEM)
    phi0 = next(p for p in result.parameters if p.name == "phi0")
    near = Bounds(phi0.value - 0.3 * phi0.uncertainty, 10.0)
    tight = dataclasses.replace(PROBLEM, bounds={**PROBLEM.bounds, "phi0": near})
    bounded = fit(DATA, tight)
    (interval,) = profile(DATA, tight, bounded, ["phi0"])
    assert interval.lower is None
    assert interval.upper is not None
    assert np.isfinite(interval.upper)


def test_lopsided_interval_near_a_degeneracy() -> None:
    """With beta near 0 the amplitude can grow at the offset's cost, but hardly shrink."""
    truth = np.array([*RESOLVED[:3], 1e-3, -0.1, 1e-4, 2.0])
    data = make_dataset(100, 5, parameters=truth, noise=0.01, seed=1)
    problem = make_problem(start=tuple(truth))
    result = fit(data, problem)
    (interval,) = profile(data, problem, result, ["gamma_dot_t0"])
    assert interval.lower is not None
    assert interval.upper is not None
    below, above = interval.value - interval.lower, interval.upper - interval.value
    sigma = result.parameters[3].uncertainty
    assert 0.0 < below < 0.9 * sigma
    assert above > 1.3 * sigma


def test_interval_of_an_undetermined_amplitude_ends_with_the_bound_of_the_offset() -> None:
    """At beta = 0 only the sum is measured: amplitude = sum - (lower bound of the offset)."""
    truth = np.array([*RESOLVED[:3], 1e-3, 0.0, 1e-4, 2.0])
    data = make_dataset(100, 5, parameters=truth, noise=0.01, seed=1)
    problem = make_problem(start=tuple(truth), fixed={"beta": 0.0})
    result = fit(data, problem)
    assert np.isnan(result.parameters[3].uncertainty)
    (interval,) = profile(data, problem, result, ["gamma_dot_t0"])
    assert interval.lower is None
    assert interval.upper == pytest.approx(0.1 + result.combinations[0].value, rel=1e-3)


def test_fixed_parameters_have_no_profile() -> None:
    with pytest.raises(UsageError, match="not a fitted parameter"):
        profile(DATA, PROBLEM, fit(DATA, PROBLEM), ["D_offset"])
