"""Score tests against dense matrices, and their columns against automatic differentiation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, stats

from homodyne_cli.core.model.curves import model_curves
from homodyne_cli.core.model.pair_model import pair_model
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.score_tests import angle_scores, joined_scores, score_test
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import Convention
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns
from tests.unit.noise.test_covariance_operator import dense, irregular_g1, present_pairs, units


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
def test_columns_are_those_of_autodiff(convention: Convention) -> None:
    data = make_dataset(12, 3, parameters=RESOLVED, convention=convention)
    curves = model_curves(data.t, data.phi, data.q, data.gap, RESOLVED, convention)
    exact = autodiff_columns(data, RESOLVED, convention)
    i, j = np.triu_indices(12, 1)
    for angle in range(3):
        model = pair_model(curves, angle, convention)
        columns = angle_columns(model, curves, angle, 0.4)
        scale = np.array([0.4] * 7 + [1.0, 1.0])[:, None]
        # 1e-9 of a column's largest value, as for the fused pass.
        size = np.abs(exact[angle, :9]).max(axis=1, keepdims=True)
        assert np.all(np.abs(columns[:, i, j] / scale - exact[angle, :9]) <= 1e-9 * size)
        assert np.allclose(columns, columns.swapaxes(1, 2), rtol=1e-12, atol=0.0)


def vectors(maps: FloatArray, present: FloatArray) -> FloatArray:
    """Return the values at the pairs present: (k, pairs)."""
    i, j = np.nonzero(np.triu(present, 1))
    return maps[:, i, j]


def test_white_noise_needs_no_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pairs share is 2 c / w, here 2e-4, of what each has by itself."""
    rng = np.random.default_rng(5)
    n = 12
    maps = rng.standard_normal((5, n, n))
    maps = maps + maps.swapaxes(1, 2)
    noise = SpeckleCovariance(irregular_g1(n, 1), 0.3, 3e3, 2.0, present_pairs(n, 4, seed=1))
    assert noise.is_white
    at_once = angle_scores(noise, maps[0] * noise.present, maps[1:3], maps[3:], np.arange(2))
    monkeypatch.setattr(SpeckleCovariance, "is_white", False)
    whole = angle_scores(noise, maps[0] * noise.present, maps[1:3], maps[3:], np.arange(2))
    for name in ("pattern", "column", "overlap", "hessian", "covariance", "size"):
        exact = getattr(whole, name)
        assert np.allclose(getattr(at_once, name), exact, atol=1e-3 * np.abs(exact).max()), name


def test_scores_are_those_of_dense_algebra() -> None:
    rng = np.random.default_rng(3)
    n, b, m = 9, 4, 700.0
    symmetric = [rng.standard_normal((2, k, n, n)) for k in (3, b, 1)]
    columns, patterns, residual = (maps + maps.swapaxes(2, 3) for maps in symmetric)
    places = [np.array([0, 1, 2]), np.array([0, 3, 4])]
    angles, weights, whole, noises, seen = [], [], [], [], []
    for a in range(2):
        present = present_pairs(n, absent=3 * a, seed=a)
        noise = SpeckleCovariance(irregular_g1(n, a), 0.3, 0.2 + 0.3 * a, 2.0, present)
        kept = residual[a, 0] * present
        angles.append(angle_scores(noise, kept, columns[a], patterns[a], places[a]))
        units_of, i, j = units(present)
        # The weights leave weak eigenvectors out, and the scores are right all the same.
        weighed = noise.precision.weights(units_of)[:, i, j]
        full = dense(noise) + noise.four_cycles(units_of)
        shape = np.zeros((len(full), 5))
        shape[:, places[a]] = vectors(columns[a], present).T
        weights.append(weighed)
        whole.append((vectors(patterns[a], present).T, shape))
        noises.append(full / m)
        seen.append(vectors(kept[None], present)[0])
    weight, covariance = linalg.block_diag(*weights), linalg.block_diag(*noises)
    pattern = linalg.block_diag(*(p for p, _ in whole))
    design = np.concatenate([x for _, x in whole])
    fit = np.linalg.solve(design.T @ weight @ design, design.T @ weight)
    left = np.eye(len(weight)) - design @ fit
    onto = pattern.T @ weight @ left
    joined = joined_scores(angles, m)
    scores = joined.of_angles(slice(None))
    assert np.allclose(scores.values, onto @ np.concatenate(seen), rtol=1e-7, atol=1e-9)
    exact = onto @ covariance @ onto.T
    assert np.allclose(scores.covariance, exact, rtol=1e-6, atol=1e-9 * exact.max())
    summed = np.tile(np.eye(b), (2, 1))
    pooled = joined.over_angles(slice(0, b))
    assert np.allclose(pooled.covariance, summed.T @ exact @ summed, rtol=1e-6)
    assert np.allclose(pooled.values, summed.T @ scores.values, rtol=1e-12)
    assert np.allclose(pooled.size, summed.T @ scores.size, rtol=1e-12)
    # Patterns 1 and 2 of either angle, of 4.
    some, chosen = joined.of_angles(slice(1, 3)), [1, 2, 5, 6]
    assert np.allclose(some.covariance, exact[np.ix_(chosen, chosen)], rtol=1e-6)
    assert np.array_equal(some.values, scores.values[chosen])
    assert np.array_equal(some.size, scores.size[chosen])
    test = score_test(scores)
    value = scores.values @ np.linalg.solve(exact, scores.values)
    assert test.freedom == 2 * b
    assert test.statistic == pytest.approx(value, rel=1e-5)
    assert test.p_value == pytest.approx(stats.chi2.sf(value, 2 * b), rel=1e-4)


def test_a_column_of_the_fit_leaves_no_score() -> None:
    rng = np.random.default_rng(5)
    n = 8
    present = present_pairs(n)
    maps = rng.standard_normal((4, n, n))
    maps = maps + maps.swapaxes(1, 2)
    noise = SpeckleCovariance(irregular_g1(n), 0.3, 0.5, 1.0, present)
    angle = angle_scores(noise, 3.0 * maps[0] * present, maps[:2], maps[1:], np.array([0, 1]))
    scores = joined_scores([angle], 100.0).of_angles(slice(None))
    size = np.abs(angle.pattern).max()
    assert np.abs(scores.values).max() < 1e-8 * size
    # The first pattern is the second column.
    assert scores.covariance[0, 0] < 1e-10 * scores.covariance.max()
    assert score_test(scores).freedom == 2
    # Whatever unit the patterns have.
    plain = score_test(scores)
    for unit in (1e-15, 1e9):
        other = score_test(
            replace(
                scores, values=unit * scores.values, covariance=unit**2 * scores.covariance,
                size=unit**2 * scores.size,
            )
        )  # fmt: skip
        assert other.freedom == plain.freedom
        assert other.p_value == pytest.approx(plain.p_value, rel=1e-6)
