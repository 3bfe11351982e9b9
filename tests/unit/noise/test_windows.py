"""Windows of residuals: which frames they hold, and what stands in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.model.pair_model import ModelMaps, PairModel
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.windows import Window, residual_windows
from homodyne_cli.dataset import Dataset, FloatArray
from tests.unit.noise.test_covariance_operator import irregular_g1, present_pairs, random_maps

RATE = 0.02


def dataset(c2: FloatArray) -> Dataset:
    n_phi, n, _ = c2.shape
    t = np.arange(1.0, n + 1.0)
    return Dataset(c2, np.arange(float(n_phi)), t, np.ones(n_phi), None, 1.0, None, {})


def fitted(n_phi: int, n: int, contrast: float = 0.5, offset: float = 1.0) -> ModelMaps:
    """f falls by exp(-0.04) a frame, more at every further angle."""
    models = tuple(
        PairModel(RATE * (a + 1.0) * np.arange(float(n)), np.zeros(n), None) for a in range(n_phi)
    )
    return ModelMaps(models, np.full(n_phi, contrast), np.full(n_phi, offset), np.dtype(np.float64))


@pytest.mark.parametrize(
    ("n_frames", "n_phi", "size", "starts"),
    [
        (200, 1, 200, [0]),
        # Quarters of the 73 frames by which a window can be moved, or thirds, or the middle.
        (201, 1, 128, [18, 36, 54]),
        (201, 7, 128, [18, 36, 54]),
        (201, 8, 128, [24, 48]),
        (201, 16, 128, [36]),
        (129, 63, 129, [0]),
        (128, 64, 128, [0]),
        (129, 64, 128, [0]),
    ],
)
def test_windows_are_spread_over_long_maps(
    n_frames: int, n_phi: int, size: int, starts: list[int]
) -> None:
    """Values of a map tell the frame of their row."""
    c2 = np.broadcast_to(np.arange(float(n_frames))[:, None], (n_phi, n_frames, n_frames))
    windows = residual_windows(dataset(c2), fitted(n_phi, n_frames))
    assert [w.angle for w in windows] == list(range(n_phi)) * len(starts)
    assert {w.g1.shape for w in windows} == {(size, size)}
    for place, window in enumerate(windows):
        fit = 1.0 + 0.5 * np.exp(-2.0 * RATE * (window.angle + 1.0))
        first = window.residual[0, 1] + fit
        assert first == pytest.approx(starts[place // n_phi], abs=1e-9)


@pytest.mark.parametrize("contrast", [0.5, 1.3])
def test_a_window_holds_the_upper_half_less_the_fit(contrast: float) -> None:
    """Frame 3 and one pair are lost; what is below the diagonal is not looked at."""
    n = 8
    upper = np.triu(np.random.default_rng(1).normal(1.2, 0.1, (n, n)), 1)
    c2 = np.where(np.tri(n, dtype=bool), 77.0, upper)
    c2[3], c2[:, 3], c2[1, 5] = np.nan, np.nan, np.nan
    (window,) = residual_windows(dataset(c2[None]), fitted(1, n, contrast, offset=0.9))
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert window.contrast == min(contrast, 1.0)
    for a, i in enumerate(kept):
        for b, j in enumerate(kept):
            g1 = np.exp(-RATE * abs(i - j))
            assert window.g1[a, b] == pytest.approx(g1, rel=1e-12)
            there = i != j and {i, j} != {1, 5}
            assert window.present[a, b] == float(there)
            first, last = sorted((i, j))
            residual = upper[first, last] - 0.9 - contrast * g1**2 if there else 0.0
            assert window.residual[a, b] == pytest.approx(residual, abs=1e-12)


def test_a_map_without_pairs_has_no_window() -> None:
    c2 = np.ones((2, 6, 6))
    c2[0] = np.nan
    (window,) = residual_windows(dataset(c2), fitted(2, 6))
    assert window.angle == 1


def test_eigenvalues_are_those_of_f_the_strongest_first() -> None:
    """None below zero, which rounding makes of those of a map that hardly decays."""
    g1 = np.exp(-1e-5 * np.abs(np.subtract.outer(np.arange(30), np.arange(30))))
    for field in (irregular_g1(12), g1):
        n = len(field)
        window = Window(0, field, np.zeros((n, n)), present_pairs(n), 0.3)
        values, vectors = window.eigen
        assert np.all(np.diff(values) <= 0.0)
        assert np.all(values >= 0.0)
        np.testing.assert_allclose((vectors * values) @ vectors.T, field**2, atol=1e-12)
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-12)


@pytest.mark.parametrize("absent", [0, 6])
@pytest.mark.parametrize("w", [0.05, 5.0])
def test_precision_inverts_the_main_part_of_the_covariance(absent: int, w: float) -> None:
    present = present_pairs(12, absent)
    window = Window(0, irregular_g1(12), np.zeros((12, 12)), present, 0.4)
    maps = random_maps(3, present)
    operator = SpeckleCovariance(window.g1, 0.4, w, 1.0, present)
    weights = window.precision(w).weights(maps)
    np.testing.assert_allclose(operator.apply_main(weights), maps, atol=1e-8)


@pytest.mark.parametrize(("modes", "allowed"), [(1.5, 1.5), (2.5, 2.5), (9.0, 2.5)])
def test_a_contrast_has_no_more_modes_than_it_has_room_for(modes: float, allowed: float) -> None:
    window = Window(0, irregular_g1(5), np.zeros((5, 5)), present_pairs(5), 0.4)
    operator = window.covariance(0.7, modes)
    assert operator.modes == pytest.approx(allowed)
    assert (operator.contrast, operator.photon_noise) == (0.4, 0.7)
    assert replace(operator, modes=1.0).third == pytest.approx(0.4**1.5)
