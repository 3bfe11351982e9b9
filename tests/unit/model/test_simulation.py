"""Simulated maps: their mean, the moments of their speckles, photon noise, seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from homodyne_cli.core.simulation import (
    Experiment,
    Noise,
    mode_weights,
    simulate,
    speckle_intensities,
)
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import UsageError
from homodyne_cli.parameters import Convention
from tests.support.datasets import RESOLVED
from tests.support.oracle import model_values

ANGLES = np.array([-20.0, 10.0, 70.0])
SHEARED = Experiment(RESOLVED, ANGLES, 40, 0.0054, 2e6, 0.1)
UPPER = np.triu_indices(40, 1)


def model_of(experiment: Experiment) -> FloatArray:
    e = experiment
    return model_values(e.parameters, e.t, e.phi, e.q, e.gap or 0.0, e.convention)


def test_white_noise_is_added_to_the_model_on_both_sides_alike() -> None:
    scaling = np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.1, 1.2])
    experiment = replace(SHEARED, contrast=scaling[0], offset=scaling[1])
    made = simulate(experiment, Noise(0.05), 3).dataset.array
    contrast, offset = (v[:, None, None] for v in scaling)
    noise = made - contrast * model_of(experiment) - offset
    np.testing.assert_array_equal(made, made.swapaxes(1, 2))
    # 3 x 780 pairs: the standard deviation is known to 1.5%.
    assert noise[:, *UPPER].std() == pytest.approx(0.05, rel=0.05)
    clean = simulate(experiment, Noise(), 3).dataset.array
    np.testing.assert_allclose(clean, contrast * model_of(experiment) + offset, rtol=1e-12)


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
def test_a_frame_at_zero_is_put_before_the_others(convention: Convention) -> None:
    experiment = replace(SHEARED, convention=convention)
    whole = simulate(replace(experiment, from_zero=True), Noise(), 0).dataset
    inner = simulate(experiment, Noise(), 0).dataset
    assert whole.t[0] == 0.0
    np.testing.assert_array_equal(whole.t[1:], inner.t)
    np.testing.assert_array_equal(whole.array[:, 1:, 1:], inner.array)
    np.testing.assert_array_equal(whole.array[:, 0, 1:], inner.array[:, 0])


def test_equal_seeds_give_equal_maps_and_a_generator_goes_on() -> None:
    noise = Noise(0.02, 50, 2.0)
    first, second = (simulate(SHEARED, noise, 7).dataset.array for _ in range(2))
    np.testing.assert_array_equal(first, second)
    rng = np.random.default_rng(7)
    third, fourth = (simulate(SHEARED, noise, rng).dataset.array for _ in range(2))
    np.testing.assert_array_equal(third, first)
    assert np.all(fourth != first)
    assert np.all(first[0] != first[1])


@pytest.mark.parametrize("counts", [float("inf"), 0.5])
@pytest.mark.parametrize("values", [RESOLVED, RESOLVED[:3]], ids=["sheared", "static"])
def test_mean_of_speckle_maps_is_the_model(values: FloatArray, counts: float) -> None:
    """200 maps of 500 speckles as angles of one experiment; every pair to 4.5 standard errors."""
    experiment = replace(
        SHEARED, parameters=values, phi=np.full(200, 10.0), n_frames=12, contrast=0.4, offset=1.0
    )
    maps = simulate(experiment, Noise(speckles=500, counts=counts), 1).dataset.array
    i, j = np.triu_indices(12)
    error = maps.std(axis=0, ddof=1)[i, j] / np.sqrt(200.0)
    # Normalising by means biases a map by no more than the variances of the two means, 2 (c + w)/M.
    bias = 4.0 * (0.4 + 1.0 / counts) / 500.0
    expected = 1.0 + 0.4 * model_of(experiment)[0]
    assert np.all(np.abs(maps.mean(axis=0) - expected)[i, j] < 4.5 * error + bias)


def pair_variance(weights: FloatArray, f: float, counts: float) -> float:
    """Variance of one speckle's influence y_i y_j - c f (y_i + y_j) on a pair, y = n/<n> - 1.

    Cumulants of intensities of complex Gaussian modes: f s2 of a pair, 2 f s3 of (i, i, j) and
    (4 f + 2 f^2) s4 of (i, i, j, j), with s_k the sum of the k-th powers of the weights. Counts add
    I / counts to the variance of y.
    """
    s2, s3, s4 = (float(np.sum(weights**k)) for k in (2, 3, 4))
    w, cf = 1.0 / counts, s2 * f
    square = s4 * (4.0 * f + 2.0 * f**2) + s2**2 + 2.0 * cf**2
    square += 2.0 * w * (s2 + 2.0 * s3 * f) + w**2 * (1.0 + cf)
    crossed = 2.0 * (2.0 * s3 * f + w * cf)
    ends = 2.0 * (s2 + w) + 2.0 * cf
    return square - 2.0 * cf * crossed + cf**2 * ends - cf**2


@pytest.mark.parametrize("contrast", [1.0, 0.3])
@pytest.mark.parametrize("counts", [float("inf"), 4.0, 0.5])
def test_variance_of_pairs_follows_from_the_moments(contrast: float, counts: float) -> None:
    """6000 maps of 300 speckles: a variance is known to 1.8%, and right to order 1/M beyond."""
    experiment = replace(
        SHEARED, phi=np.full(6000, 10.0), n_frames=4, contrast=contrast, offset=1.0
    )
    maps = simulate(experiment, Noise(speckles=300, counts=counts), 2).dataset.array
    f = model_of(experiment)[0]
    for i, j in ((0, 1), (0, 3), (2, 3)):
        expected = pair_variance(mode_weights(contrast), f[i, j], counts) / 300.0
        assert maps[:, i, j].var(ddof=1) == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("contrast", [1.0, 0.6, 1.0 / 3.0, 0.3, 0.07])
def test_modes_have_the_contrast_and_are_few(contrast: float) -> None:
    weights = mode_weights(contrast)
    assert weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert np.sum(weights**2) == pytest.approx(contrast, rel=1e-12)
    assert np.all(weights > 0.0)
    assert len(weights) == int(np.ceil(1.0 / contrast))


def test_intensities_have_the_moments_of_their_modes() -> None:
    """400,000 speckles of contrast 0.3 at two frames, g1 = -0.7: moments to 5 standard errors."""
    root = np.linalg.cholesky(np.array([[1.0, -0.7], [-0.7, 1.0]]))
    intensity = speckle_intensities(root, 0.3, 400_000, np.random.default_rng(0))
    y = intensity - 1.0
    third = 2.0 * float(np.sum(mode_weights(0.3) ** 3))
    for sample, expected in (
        (y[0], 0.0),
        (y[0] ** 2, 0.3),
        (y[0] * y[1], 0.3 * 0.49),
        (y[0] ** 3, third),
        (y[0] ** 2 * y[1], third * 0.49),
    ):
        error = sample.std() / np.sqrt(len(sample))
        assert sample.mean() == pytest.approx(expected, abs=5.0 * error)
    assert np.all(intensity >= 0.0)


def test_frames_without_a_photon_have_no_value() -> None:
    made = simulate(SHEARED, Noise(speckles=20, counts=0.05), 0).dataset.array
    # Each frame has a photon with probability 1 - exp(-1).
    dark: NDArray[np.bool_] = np.all(np.isnan(made), axis=2)
    assert 0.2 < dark.mean() < 0.55
    assert np.all(np.isnan(made) == (dark[:, :, None] | dark[:, None, :]))


@pytest.mark.parametrize("contrast", [0.0, 1.2, -0.1])
def test_speckles_without_a_possible_contrast_are_refused(contrast: float) -> None:
    with pytest.raises(UsageError, match="contrast above 0 and at most 1"):
        simulate(replace(SHEARED, contrast=contrast), Noise(speckles=10), 0)
