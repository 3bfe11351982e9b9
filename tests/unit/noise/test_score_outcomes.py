"""Outcomes of score tests in closed form, and shares of speckles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.noise.best_objective import BestObjective, _gain
from homodyne_cli.core.noise.score_tests import AngleScores, Scores, score_test
from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.objective.scaling import ScalingDirections


def test_independent_scores_add_their_squares() -> None:
    """Amplitudes are scores over sizes; their mean square loses that of noise, weights sigma^-2."""
    values, sigma = np.array([6.0, -3.0, 1.0]), np.array([2.0, 1.5, 4.0])
    size = np.array([4.0, 1.0, 2.0])
    test = score_test(Scores(values, np.diag(sigma**2), size))
    np.testing.assert_allclose(test.pulls, [3.0, -2.0, 0.25])
    assert test.freedom == 3
    assert test.statistic == pytest.approx(9.0 + 4.0 + 0.0625)
    assert test.p_value == pytest.approx(stats.chi2.sf(13.0625, 3), rel=1e-12)
    amplitude, error = values / size, sigma / size
    excess = np.sum((amplitude**2 - error**2) / error) / np.sum(1.0 / error)
    weighed = np.sum((amplitude**2 - error**2) / error**2) / np.sum(1.0 / error**2)
    assert excess != pytest.approx(weighed, rel=0.01)
    assert test.amplitude == pytest.approx(np.sqrt(weighed))


def test_correlated_scores_count_once() -> None:
    covariance = np.array([[4.0, 1.2], [1.2, 1.0]])
    values = np.array([3.0, -1.0])
    test = score_test(Scores(values, covariance, np.ones(2)))
    assert test.statistic == pytest.approx(values @ np.linalg.solve(covariance, values))
    # The same pattern twice is one degree of freedom.
    twice = score_test(
        Scores(np.array([3.0, 6.0]), np.array([[4.0, 8.0], [8.0, 16.0]]), np.ones(2))
    )
    assert twice.freedom == 1
    assert twice.statistic == pytest.approx(2.25)


@pytest.mark.parametrize(("share", "freedom"), [(0.9e-3, 1), (1.1e-3, 2)])
def test_patterns_that_the_fit_absorbs_have_no_pull(share: float, freedom: int) -> None:
    """A thousandth of the largest deviation is rounding."""
    test = score_test(
        Scores(np.array([2.0, 2.0 * share]), np.diag([1.0, share**2]), np.array([1.0, 1.0]))
    )
    assert test.freedom == freedom
    assert np.isnan(test.pulls[1]) == (freedom == 1)
    assert test.pulls[0] == 2.0
    assert test.statistic == pytest.approx(4.0 * freedom)


@pytest.mark.parametrize(("gap", "freedom"), [(0.8e-6, 1), (2.4e-6, 2)])
def test_scores_that_are_nearly_the_same_are_one(gap: float, freedom: int) -> None:
    """Eigenvalues of two of correlation 1 - gap are 2 - gap and gap."""
    near = 1.0 - gap
    test = score_test(Scores(np.ones(2), np.array([[1.0, near], [near, 1.0]]), np.ones(2)))
    assert test.freedom == freedom


def test_nothing_to_test_is_no_evidence() -> None:
    """No scores, or none that vary; noise alone has no amplitude, nor has a pattern of no size."""
    for nothing in (np.zeros(0), np.zeros(2)):
        test = score_test(Scores(nothing, np.zeros((len(nothing),) * 2), nothing))
        assert (test.statistic, test.freedom, test.p_value, test.amplitude) == (0.0, 0, 1.0, 0.0)
    quiet = score_test(Scores(np.array([0.5]), np.eye(1), np.ones(1)))
    assert quiet.amplitude == 0.0
    sizeless = score_test(Scores(np.array([3.0, 2.0]), np.eye(2), np.array([0.0, 1.0])))
    # Of amplitudes 0 and 2, errors 0 and 1, all alike.
    assert sizeless.amplitude == pytest.approx(np.sqrt(1.5))
    np.testing.assert_allclose(sizeless.pulls, [3.0, 2.0])


def test_an_angle_of_more_speckles_weighs_more() -> None:
    rng = np.random.default_rng(1)
    one = AngleScores(
        pattern=rng.standard_normal(2),
        column=rng.standard_normal(3),
        overlap=rng.standard_normal((2, 3)),
        hessian=rng.standard_normal((3, 3)),
        covariance=rng.standard_normal((5, 5)),
        size=rng.standard_normal(2),
        places=np.array([0, 2, 4]),
    )
    more = one.times(3.0)
    for name in ("pattern", "column", "overlap", "hessian", "covariance", "size"):
        np.testing.assert_allclose(getattr(more, name), 3.0 * getattr(one, name))
    np.testing.assert_array_equal(more.places, [0, 2, 4])


def test_gain_is_the_largest_ratio_of_uncertainties() -> None:
    """Of parameters alone: what contrast and offset would gain does not count."""
    none = np.zeros((0, 3, 2)), np.zeros((0, 2, 2))
    best = Arrow(np.diag([4.0, 9.0, 1.0]), *none)
    directions = ScalingDirections(np.array([[[1.0], [0.0]], [[1.0], [0.0]]]), None)
    at = Projection(np.ones(2), np.ones(2), 1.0, best, np.zeros(2), directions)
    # Half of each sum at either angle; of offset nothing is asked.
    hessians = np.stack([0.5 * np.diag([2.0, 5.0, 1.0, 0.0])] * 2)
    scores = np.stack([0.5 * np.diag([3.0, 50.0, 100.0, 0.0])] * 2)
    # Variances 3/4 and 50/25 with equal weights, 1/4 and 1/9 with best ones.
    assert _gain(at, hessians, scores) == pytest.approx(np.sqrt(18.0))
    assert _gain(at, hessians, 1e-3 * scores) == 1.0


def test_columns_by_unknowns_have_the_contrast_of_their_angle() -> None:
    """Of parameters 0 and 3 of five, then f and 1."""
    pairs = SimpleNamespace(places=np.array([0, 3]), full=np.zeros(5))
    objective = cast(BestObjective, SimpleNamespace(pairs=pairs))
    at = cast(Projection, SimpleNamespace(contrast=np.array([0.2, 0.7])))
    columns = np.arange(1.0, 8.0)
    onto = BestObjective.directions(objective, at, 1)
    np.testing.assert_allclose(columns @ onto, [0.7 * 1.0, 0.7 * 4.0, 6.0, 7.0])
