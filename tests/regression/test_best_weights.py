"""Fits of drawn speckles with best weights: what they minimise is what a stored run speaks of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.diagnosis import diagnose
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.fit import fit
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.core.uncertainty.profile_likelihood import profile
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import ConfigError
from homodyne_cli.parameters import NoiseWeights
from homodyne_cli.problem import FitProblem, SolverOptions
from homodyne_cli.results import FitResult
from tests.support.problems import make_problem
from tests.support.verified import run_of

TRUTH = (8000.0, -0.3, 0.0, 1e-3, -0.25, 0.0, 4.0)
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
EXPERIMENT = Experiment(
    np.array(TRUTH), np.array([0.0, 45.0, 90.0]), 60, 0.0054, 2e6, 0.1, contrast=0.3, offset=1.0
)


def problem(weights: NoiseWeights) -> FitProblem:
    return replace(make_problem(start=TRUTH, fixed=HELD), weights=weights)


@pytest.fixture(scope="module")
def data() -> Dataset:
    return simulate(EXPERIMENT, Noise(speckles=1500, counts=2.0), 3).dataset


@pytest.fixture(scope="module")
def best(data: Dataset) -> FitResult:
    return fit(data, problem("auto"))


def test_speckles_are_counted_and_uncertainties_cover(best: FitResult) -> None:
    assert best.noise.weights is not None
    assert best.noise.gain > 1.5
    assert best.noise.n_speckles == pytest.approx(1500.0, abs=4.0 * best.noise.n_speckles_error)
    assert best.noise.photons == pytest.approx(2.0, abs=4.0 * best.noise.photons_error)
    rows = [p for p in best.parameters if not p.fixed]
    z = [abs(p.value - t) / p.uncertainty for p, t in zip(best.parameters, TRUTH, strict=True)
         if not p.fixed]  # fmt: skip
    assert max(z) < 4.0
    # What the inverse of the main part leaves out of the noise.
    assert all(1.0 < p.uncertainty / p.uncertainty_hessian < 1.4 for p in rows)


def test_chi2_is_expected_to_be_the_number_of_pairs(best: FitResult) -> None:
    """Its scatter is that of M, 6%."""
    assert best.n_points == 3 * 60 * 59 // 2
    assert best.reduced_chi2 == pytest.approx(1.0, abs=0.1)
    assert best.plain_chi2 > 1.05 * best.chi2


def test_a_stored_run_speaks_of_what_was_minimised(data: Dataset, best: FitResult) -> None:
    evaluated = evaluate_run(run_of(data, problem("auto"), best))
    assert evaluated.chi2 == pytest.approx(best.chi2, rel=1e-9)
    # A run like it, which gets a pass of its own.
    assert evaluated.chi2_of(replace(evaluated.run)) == pytest.approx(evaluated.chi2, rel=1e-12)
    assert evaluated.degrees_of_freedom == best.degrees_of_freedom
    diagnosis = diagnose(evaluated)
    assert diagnosis.edm < 1e-6
    assert not diagnosis.premature
    # Any other point is worse in that metric, that of equal weights too.
    equal = run_of(data, problem("equal"), fit(data, problem("equal")))
    assert evaluated.chi2_of(equal) > evaluated.chi2 + 1.0


def test_a_profile_rises_as_its_uncertainty_says(data: Dataset, best: FitResult) -> None:
    """Nearly linear: to a fifth."""
    row = next(p for p in best.parameters if p.name == "gamma_dot_t0")
    (interval,) = profile(data, problem("auto"), best, ["gamma_dot_t0"])
    assert interval.lower is not None
    assert interval.upper is not None
    assert 0.5 * (interval.upper - interval.lower) == pytest.approx(row.uncertainty, rel=0.2)


def test_best_weights_are_refused_where_there_are_none(data: Dataset) -> None:
    robust = replace(problem("best"), solver=SolverOptions(loss="soft_l1", global_search=False))
    with pytest.raises(ConfigError, match="exclude each other"):
        fit(data, robust)
    given = replace(data, sigma=np.full(data.c2.shape, 0.05))
    with pytest.raises(ConfigError, match="noise given per pair"):
        fit(given, problem("best"))
    assert fit(replace(data, sigma=np.full(3, 0.02)), problem("auto")).noise.weights is None
