"""Every figure of a diagnosis against the plain Jacobian of automatic differentiation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core import diagnosis
from homodyne_cli.core.diagnosis import _correlated, diagnose, verdict
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_run
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES
from homodyne_cli.results import FitRecord, Solution
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import autodiff_columns, model_values
from tests.support.problems import make_problem

SIGMA = np.array([0.02, 0.03, 0.025])
DATA = replace(make_dataset(40, 3, parameters=RESOLVED, noise=0.02, masked=100), sigma=SIGMA)
#: All but beta are free.
FREE = [0, 1, 2, 3, 5, 6]
NAMES_FREE = tuple(NAMES[k] for k in FREE)
X_SCALE = dict(zip(NAMES_FREE, (100.0, 0.1, 50.0, 1e-4, 1e-4, 1.0), strict=True))


def evaluated(factor: float = 1.03) -> EvaluatedRun:
    """A run some way from its minimum."""
    values = RESOLVED * np.array([factor, 1.0, 1.0, factor, 1.0, 1.0, 1.0])
    problem = make_problem(start=tuple(values), fixed={"beta": float(values[4])})
    scaling = np.array([0.3, 0.31, 0.29]), np.array([1.1, 1.11, 1.105])
    solution = Solution(dict(zip(NAMES, values.tolist(), strict=True)), *scaling)
    return evaluate_run(StoredRun(problem, DATA, solution, FitRecord(x_scale=X_SCALE)))


def plain(run: EvaluatedRun) -> tuple[FloatArray, FloatArray, list[tuple[FloatArray, FloatArray]]]:
    """Gradient of the sum of squares with its noise; Jacobian and residual of each angle.

    The latter of chi2 with contrast and offset at their best, and projected out.
    """
    solution = run.run.solution
    i, j = np.triu_indices(40, 1)
    columns = autodiff_columns(DATA, solution.vector, "he2024")
    f = model_values(solution.vector, DATA.t, DATA.phi, 0.0054, 2e6, "he2024")
    gradient, variance, parts = np.zeros(6), np.zeros(6), []
    for a in range(3):
        y, c = DATA.array[a, i, j], solution.contrast[a]
        known = np.isfinite(y)
        slopes = np.asarray(columns[a]).T[known][:, FREE]
        fit = c * f[a, i, j][known] + solution.offset[a]
        gradient += 2.0 * c * slopes.T @ (fit - y[known])
        variance += (2.0 * c * SIGMA[a]) ** 2 * np.sum(slopes**2, axis=0)
        scaling = np.stack([f[a, i, j][known], np.ones(known.sum())], axis=1)
        best = np.linalg.lstsq(scaling, y[known], rcond=None)[0]
        jacobian = best[0] * slopes
        jacobian = jacobian - scaling @ np.linalg.lstsq(scaling, jacobian, rcond=None)[0]
        parts.append((jacobian / SIGMA[a], (y[known] - scaling @ best) / SIGMA[a]))
    return gradient, np.sqrt(variance), parts


def test_figures_are_those_of_the_plain_jacobian() -> None:
    run = evaluated()
    result = diagnose(run)
    gradient, noise, parts = plain(run)
    jacobian, residual = (np.concatenate(part) for part in zip(*parts, strict=True))
    norms = np.linalg.norm(jacobian, axis=0)
    assert result.names == NAMES_FREE
    np.testing.assert_allclose(result.gradients, gradient, rtol=1e-7)
    np.testing.assert_allclose(result.gradient_noise, noise, rtol=1e-7)
    np.testing.assert_allclose(result.sensitivities, norms, rtol=1e-7)
    np.testing.assert_allclose(result.z, -jacobian.T @ residual / norms, rtol=1e-6)
    assert result.chi2 == pytest.approx(float(residual @ residual))
    scales = norms * np.array(list(X_SCALE.values()))
    assert result.effective_ratio == pytest.approx(scales.max() / scales.min())
    level = abs(gradient[0] * gradient[2] * gradient[5]) ** (1.0 / 3.0)
    assert result.baseline == pytest.approx(level)
    assert result.max_ratio == pytest.approx(np.abs(gradient).max() / level)
    assert result.condition_raw == pytest.approx(float(np.linalg.cond(jacobian)), rel=1e-3)
    scaled = jacobian * np.array([result.x_scale_map[n] for n in NAMES_FREE])
    assert result.condition_scaled == pytest.approx(float(np.linalg.cond(scaled)), rel=1e-3)
    step = np.linalg.lstsq(jacobian / norms, residual, rcond=None)[0]
    left = residual - jacobian / norms @ step
    assert result.edm == pytest.approx(float(residual @ residual - left @ left), rel=1e-3)
    covariance = np.linalg.inv(jacobian.T @ jacobian / np.outer(norms, norms))
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    expected = {
        (NAMES_FREE[k], NAMES_FREE[m]): correlation[k, m]
        for k in range(6) for m in range(k + 1, 6) if abs(correlation[k, m]) > 0.95
    }  # fmt: skip
    pairs = {(one, other): value for one, other, value in result.correlated}
    assert pairs == {key: pytest.approx(value, rel=1e-4) for key, value in expected.items()}
    assert expected
    sizes = [abs(value) for *_, value in result.correlated]
    assert sizes == sorted(sizes, reverse=True)
    assert result.undetermined == ()


@pytest.mark.parametrize("factor", [1.03, 1.00003])
def test_gradients_below_their_noise_are_named(factor: float) -> None:
    """And then sensitivities make the map, whatever was asked for."""
    run = evaluated(factor)
    gradient, noise, _ = plain(run)
    below = tuple(n for n, g, s in zip(NAMES_FREE, gradient, noise, strict=True) if abs(g) < s)
    result = diagnose(run)
    assert result.below_noise == below
    assert result.asked_measure == "gradient"
    assert result.measure == ("sensitivity" if below else "gradient")
    source = result.sensitivities if below else np.abs(result.gradients)
    level = (source[0] * source[2] * source[5]) ** (1.0 / 3.0)
    expected = np.clip(level / source, 1e-8, 1e2)
    np.testing.assert_allclose(list(result.x_scale_map.values()), expected)
    asked = diagnose(run, measure="sensitivity", baseline=["alpha"])
    assert (asked.measure, asked.asked_measure) == ("sensitivity", "sensitivity")
    assert asked.x_scale_map["alpha"] == pytest.approx(1.0)


@pytest.mark.parametrize(("edm", "premature"), [(0.0999, False), (0.1, True)])
def test_a_tenth_of_chi2_is_early(
    edm: float, premature: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "predicted_edm", lambda *_: edm)
    result = diagnose(evaluated())
    assert result.premature == premature
    # A ratio counts if it is beyond the threshold, of 10 if none is given.
    ratio = result.effective_ratio
    assert result.threshold == 10.0
    assert not diagnose(evaluated(), threshold=ratio).imbalance
    assert diagnose(evaluated(), threshold=0.999 * ratio).imbalance


def test_what_is_undetermined_is_said() -> None:
    """Across the flow alone nothing tells the shear rates apart."""
    data = make_dataset(30, 1, parameters=RESOLVED, phi=np.array([92.0]), noise=0.02)
    values = dict(zip(NAMES, RESOLVED.tolist(), strict=True))
    solution = Solution(values, np.array([0.3]), np.array([1.1]))
    known = replace(data, sigma=np.array([0.02]))
    run = StoredRun(make_problem(start=tuple(RESOLVED)), known, solution, FitRecord())
    result = diagnose(evaluate_run(run))
    assert any("gamma_dot" in sentence for sentence in result.undetermined)
    # Without a scale on record all parameters had one.
    expected = result.sensitivities.max() / result.sensitivities.min()
    assert result.effective_ratio == pytest.approx(expected)


def test_pairs_are_sorted_by_their_correlation() -> None:
    """Both signs, beyond 0.95; what has no variance has no correlation."""
    correlation = np.array([
        [1.0, 0.951, 0.2, 0.0],
        [0.951, 1.0, -0.97, 0.0],
        [0.2, -0.97, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0],
    ])  # fmt: skip
    deviation = np.array([1e-3, 1.0, 50.0, 1.0])
    with np.errstate(invalid="ignore"):
        pairs = _correlated(correlation * np.outer(deviation, deviation), "abcd")
    assert [pair[:2] for pair in pairs] == [("b", "c"), ("a", "b")]
    np.testing.assert_allclose([pair[2] for pair in pairs], [-0.97, 0.951])
    assert _correlated(np.array([[1.0, 0.949], [0.949, 1.0]]), "ab") == ()


@pytest.mark.parametrize(
    ("premature", "imbalance", "first", "then"),
    [
        (True, True, "Stopped early, and gradients are imbalanced", "apply-scale"),
        (True, False, "Stopped early (one more step", "more iterations"),
        (False, True, "Gradients are imbalanced", "The result stands"),
        (False, False, "Balanced", "homodyne verify"),
    ],
)
def test_verdicts_in_words(premature: bool, imbalance: bool, first: str, then: str) -> None:
    result = replace(diagnose(evaluated()), premature=premature, imbalance=imbalance)
    said, advice = verdict(result)
    assert said.startswith(first)
    assert then in advice


def test_a_parameter_without_effect_has_no_gradient_in_units_of_noise() -> None:
    """The exponent of a rate that is not there."""
    values = RESOLVED * np.array([0.0, 1.0, 5.0, 1.0, 1.0, 1.0, 1.0])
    problem = make_problem(start=tuple(values))
    scaling = np.full(3, 0.3), np.full(3, 1.1)
    solution = Solution(dict(zip(NAMES, values.tolist(), strict=True)), *scaling)
    result = diagnose(evaluate_run(StoredRun(problem, DATA, solution, FitRecord())))
    effect = np.array(NAMES) != "alpha"
    assert np.all((result.sensitivities > 0.0) == effect)
    assert np.all((result.z != 0.0) == effect)
    assert result.effective_ratio == np.inf
    assert any("alpha" in sentence for sentence in result.undetermined)
