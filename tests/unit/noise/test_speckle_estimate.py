"""Speckles and photons from residuals, on drawn speckles, white noise and wrong models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.maps.pair_noise import estimate_sigma
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.find_speckles import _are_sound, evidence, find_speckles
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate, estimate_speckles
from homodyne_cli.core.noise.windows import residual_windows
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from tests.unit.noise.test_covariance_operator import dense, units

EXPERIMENT = Experiment(
    parameters=np.array([4.0e4, -0.4, 0.0, 7.0e-4, -0.25, 0.0, 2.0]),
    phi=np.array([-10.0, 45.0, 100.0]),
    n_frames=60,
    q=0.0054,
    gap=2.0e6,
    dt=0.1,
    contrast=0.3,
    offset=1.0,
)


def estimate(
    dataset: Dataset, truth: FloatArray | None = None, share: Sequence[float] = (1.0, 1.0, 1.0)
) -> SpeckleEstimate:
    """Estimate from the residuals of the truth, or of other parameters."""
    contrast, offset = EXPERIMENT.scaling()
    values = EXPERIMENT.parameters if truth is None else truth
    fitted = model_maps(dataset, values, contrast, offset, "he2024")
    sigma = estimate_sigma(dataset)
    return estimate_speckles(residual_windows(dataset, fitted), sigma**2, np.array(share))


@pytest.mark.parametrize(("speckles", "counts"), [(1500, 2.0), (1500, 20.0), (20_000, 0.3)])
def test_speckles_and_photons_are_found(speckles: int, counts: float) -> None:
    """Means over 6 maps within 3 of their errors (stated, over sqrt 6) and 5%."""
    noise = Noise(speckles=speckles, counts=counts)
    found = [estimate(simulate(EXPERIMENT, noise, seed).dataset) for seed in range(6)]
    m = np.array([e.n_speckles for e in found])
    error = np.mean([e.n_speckles_error for e in found])
    assert m.mean() == pytest.approx(speckles, rel=0.05, abs=3.0 * error / np.sqrt(6.0))
    assert 0.4 < m.std(ddof=1) / error < 2.0
    w = np.array([e.photon_noise for e in found])
    error_w = np.mean([e.photon_noise_error for e in found])
    assert w.mean() * counts == pytest.approx(1.0, abs=0.05 + 3.0 * counts * error_w / np.sqrt(6.0))
    assert 0.0 < found[0].excess < 20.0


def test_a_background_and_modes_are_told_apart() -> None:
    """Contrast 0.3 is drawn as three modes and a fourth of a third of their mean."""
    noise = Noise(speckles=1500, counts=10.0)
    found = [estimate(simulate(EXPERIMENT, noise, seed).dataset).modes for seed in range(4)]
    assert np.median(found) > 1.8


@pytest.mark.parametrize("sigma", [0.1, 0.01])
def test_white_noise_is_white(sigma: float) -> None:
    for seed in range(4):
        assert estimate(simulate(EXPERIMENT, Noise(white=sigma), seed).dataset).white


@pytest.mark.parametrize("off", [0.97, 1.05, 1.2, 1.5])
def test_a_misfit_is_not_taken_for_speckles(off: float) -> None:
    """D0 wrong by up to a half, and nothing but D0 says so."""
    wrong = EXPERIMENT.parameters.copy()
    wrong[0] *= off
    assert estimate(simulate(EXPERIMENT, Noise(white=0.01), 1).dataset, wrong).white
    data = simulate(EXPERIMENT, Noise(speckles=20_000, counts=2.0), 1).dataset
    right, misled = estimate(data), estimate(data, wrong)
    assert misled.n_speckles == pytest.approx(right.n_speckles, rel=0.2)
    np.testing.assert_allclose(misled.photon_noise, right.photon_noise, rtol=0.12)


def test_angles_have_their_shares_of_speckles() -> None:
    many, few = (simulate(EXPERIMENT, Noise(speckles=m, counts=2.0), 1) for m in (2000, 500))
    c2 = many.dataset.array.copy()
    c2[1] = few.dataset.array[1]
    found = estimate(replace(many.dataset, c2=c2), share=(1.0, 0.25, 1.0))
    assert found.n_speckles == pytest.approx(2000.0, abs=3.5 * found.n_speckles_error)
    np.testing.assert_allclose(found.photon_noise, 0.5, atol=4.0 * found.photon_noise_error.max())


def test_bad_frames_and_lost_pairs_leave() -> None:
    data = simulate(EXPERIMENT, Noise(speckles=1500, counts=2.0), 2).dataset
    whole = estimate(data)
    c2 = data.array.copy()
    c2[:, [20, 21], :] = c2[:, :, [20, 21]] = np.nan
    c2[0, 5:9, 30:40] = np.nan
    part = estimate(replace(data, c2=c2))
    assert part.n_speckles == pytest.approx(whole.n_speckles, abs=whole.n_speckles_error)
    np.testing.assert_allclose(part.photon_noise, whole.photon_noise, rtol=0.1)


def test_long_maps_are_looked_at_in_windows() -> None:
    experiment = replace(EXPERIMENT, n_frames=260)
    data = simulate(experiment, Noise(speckles=800, counts=2.0), 1).dataset
    contrast, offset = experiment.scaling()
    fitted = model_maps(data, experiment.parameters, contrast, offset, "he2024")
    windows = residual_windows(data, fitted)
    assert len(windows) == 9
    assert {w.g1.shape for w in windows} == {(128, 128)}
    found = estimate(data)
    assert found.n_speckles == pytest.approx(800.0, abs=3.0 * found.n_speckles_error)


def test_of_many_maps_each_is_looked_at_in_part() -> None:
    experiment = replace(EXPERIMENT, phi=np.linspace(0.0, 90.0, 64), n_frames=140)
    data = simulate(experiment, Noise(white=0.05), 1).dataset
    fitted = model_maps(data, experiment.parameters, *experiment.scaling(), "he2024")
    windows = residual_windows(data, fitted)
    assert [w.angle for w in windows] == list(range(64))
    assert {w.g1.shape for w in windows} == {(128, 128)}


def test_maps_without_contrast_say_nothing() -> None:
    data = simulate(replace(EXPERIMENT, contrast=0.0), Noise(white=0.05), 1).dataset
    fitted = model_maps(data, EXPERIMENT.parameters, np.zeros(3), np.ones(3), "he2024")
    found = estimate_speckles(residual_windows(data, fitted), np.full(3, 0.0025), np.ones(3))
    assert found.white


def evidence_of(data: Dataset) -> float:
    fitted = model_maps(data, EXPERIMENT.parameters, *EXPERIMENT.scaling(), "he2024")
    return evidence(residual_windows(data, fitted))


def test_evidence_is_a_standard_normal_deviate_for_white_noise() -> None:
    """Of 40 maps, some pairs absent: mean within 3 of 0.16, deviation within 3 of 0.11."""
    seen = []
    for seed in range(40):
        data = simulate(EXPERIMENT, Noise(white=0.02), seed).dataset
        c2 = np.array(data.c2)
        c2[:, np.random.default_rng(seed).random(c2.shape[1:]) < 0.1] = np.nan
        seen.append(evidence_of(replace(data, c2=c2)))
    assert np.mean(seen) == pytest.approx(0.0, abs=0.48)
    assert np.std(seen) == pytest.approx(1.0, abs=0.35)


def test_whatever_can_be_counted_shows_in_the_evidence() -> None:
    """At 0.1 photons a count is barely possible: where it succeeds, the look said so."""
    experiment = replace(EXPERIMENT, n_frames=50)
    contrast, offset = experiment.scaling()
    counted = 0
    for seed in range(5):
        data = simulate(experiment, Noise(speckles=2000, counts=0.1), seed).dataset
        fitted = model_maps(data, experiment.parameters, contrast, offset, "he2024")
        windows, sigma = residual_windows(data, fitted), estimate_sigma(data)
        told = estimate_speckles(windows, sigma**2, np.ones(3))
        assert told.white or evidence(windows) > 3.0
        assert (find_speckles(data, fitted, sigma) is None) == told.white
        counted += not told.white
    assert counted > 0


def test_speckles_go_with_pixels_where_these_are_known() -> None:
    """Two angles of 500 speckles, one of 2,000: M of each within 3 of its error."""
    noise = [Noise(speckles=500, counts=5.0), Noise(speckles=2000, counts=5.0)]
    few, many = (simulate(EXPERIMENT, one, 7).dataset for one in noise)
    c2 = np.stack([few.c2[0], few.c2[1], many.c2[2]])
    data = replace(few, c2=c2, pixels=np.array([1000.0, 1000.0, 4000.0]))
    fitted = model_maps(data, EXPERIMENT.parameters, *EXPERIMENT.scaling(), "he2024")
    told = find_speckles(data, fitted, estimate_sigma(data))
    assert told is not None
    error = 3.0 * told.estimate.n_speckles_error * data.pixel_share
    assert np.all(np.abs(told.estimate.of_angles - [500.0, 500.0, 2000.0]) < error)
    # A map without noise is none of a detector: nothing is counted beside it.
    quiet = np.where([True, False, True], estimate_sigma(data), 1e-9)
    assert find_speckles(data, fitted, quiet) is None
    blind = find_speckles(replace(data, pixels=None), fitted, estimate_sigma(data))
    assert blind is not None
    assert blind.estimate.of_angles[2] < 1500.0
    assert told.estimate.photon_noise == pytest.approx(0.2, rel=0.25)


def test_speckles_are_not_counted_in_what_no_field_makes() -> None:
    """Contrasts, fields and noise as no map has them; all but one of a kind are as they were."""
    data = simulate(EXPERIMENT, Noise(speckles=1500, counts=2.0), 1).dataset
    contrast, offset = EXPERIMENT.scaling()
    fitted = model_maps(data, EXPERIMENT.parameters, contrast, offset, "he2024")
    windows, sigma = residual_windows(data, fitted), estimate_sigma(data)
    assert _are_sound(windows, contrast, sigma)
    assert not _are_sound([], contrast, sigma)
    for size in (5e-4, 1.1):
        assert not _are_sound(windows, np.where([True, False, True], contrast, size), sigma)
    for noise in (1e-7, 1e7):
        assert not _are_sound(windows, contrast, np.where([True, True, False], sigma, noise))
    first = windows[0]
    for other in (
        replace(first, g1=np.eye(60)),
        replace(first, g1=2e6 * first.g1),
        replace(first, residual=first.residual + 2e6),
        replace(first, residual=np.full_like(first.residual, np.nan)),
    ):
        assert not _are_sound([other, *windows[1:]], contrast, sigma)


def test_excess_and_white_share_are_those_of_the_covariance() -> None:
    """tr(C0^-1 C) over pairs, written out, which random signs know to some percent; w^2 / tr C0."""
    experiment = replace(EXPERIMENT, n_frames=24, dt=0.25)
    data = simulate(experiment, Noise(speckles=800, counts=20.0), 3).dataset
    contrast, offset = experiment.scaling()
    fitted = model_maps(data, experiment.parameters, contrast, offset, "he2024")
    windows = residual_windows(data, fitted)
    seen = find_speckles(data, fitted, estimate_sigma(data))
    assert seen is not None
    told, means, white, variance = seen.estimate, [], 0.0, 0.0
    for window in windows:
        w = float(told.photon_noise[window.angle])
        operator = SpeckleCovariance(window.g1, window.contrast, w, told.modes, window.present)
        unit_maps, _, _ = units(window.present)
        whole = dense(operator) + operator.four_cycles(unit_maps)
        main = dense(operator, main=True)
        means.append(float(np.trace(np.linalg.solve(main, whole))) / len(main))
        white, variance = white + w**2 * len(main), variance + float(np.trace(main))
    assert told.excess / 24 == pytest.approx(np.mean(means) - 1.0, rel=0.15)
    assert seen.white_share == pytest.approx(white / variance, rel=1e-9)


@pytest.mark.parametrize("counts", [2.0, 20.0])
def test_errors_are_those_of_repeats(counts: float) -> None:
    """Of 64 maps, in M^(-1/2) and ln w, where they are symmetric: to 9%, 6% over three w."""
    experiment = replace(EXPERIMENT, n_frames=24, dt=0.25)
    contrast, offset = experiment.scaling()
    pulls = []
    for seed in range(64):
        data = simulate(experiment, Noise(speckles=400, counts=counts), seed).dataset
        fitted = model_maps(data, experiment.parameters, contrast, offset, "he2024")
        told = estimate_speckles(
            residual_windows(data, fitted), estimate_sigma(data) ** 2, np.ones(3)
        )
        share = 0.5 * told.n_speckles_error / told.n_speckles
        off_m = (np.sqrt(told.n_speckles / 400.0) - 1.0) / share
        off_w = np.log(told.photon_noise * counts) / (told.photon_noise_error / told.photon_noise)
        pulls.append([off_m, *off_w])
    scatter = np.std(pulls, axis=0, ddof=1)
    assert 0.75 < scatter[0] < 1.3
    assert 0.82 < scatter[1:].mean() < 1.18, scatter
