from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from homodyne_cli.dataset import FloatArray, Rows
from homodyne_cli.render.pictures.heatmaps import (
    baseline_block,
    displayed,
    file_names,
    near_baseline,
    save_heatmaps,
)


def maps(n: int, n_phi: int) -> np.ndarray:
    t = np.arange(n)
    one = 1.1 + 0.3 * np.exp(-np.abs(t[:, None] - t[None, :]) / 10.0)
    return np.repeat(one[None], n_phi, axis=0)


def times(n: int) -> FloatArray:
    return np.linspace(0.1, 0.1 * n, n)


def test_names_of_angles_that_round_alike_differ() -> None:
    names = file_names(Rows(np.array([-25.51, 0.0, 0.04, 205.5]), np.full(4, 0.0054)))
    assert names[0] == "c2_heatmaps_phi_-25.5deg.png"
    assert names[3] == "c2_heatmaps_phi_205.5deg.png"
    assert len(set(names)) == 4


@pytest.mark.parametrize(("n", "pixels"), [(7, 7), (7, 3), (10, 4), (9, 100)])
def test_decimation_is_a_mean_over_the_fitted_pairs(n: int, pixels: int) -> None:
    rng = np.random.default_rng(1)
    full = rng.standard_normal((n, n))
    full[1, 4] = np.nan
    below = full.copy()
    below[np.tril_indices(n)] = 1e9
    shown = displayed(below, pixels)
    block = -(-n // pixels)
    assert shown.shape == (-(-n // block),) * 2
    for i in range(len(shown)):
        for j in range(i, len(shown)):
            rows, columns = np.meshgrid(
                np.arange(i * block, min((i + 1) * block, n)),
                np.arange(j * block, min((j + 1) * block, n)),
                indexing="ij",
            )
            inside = full[rows, columns][(rows < columns) & np.isfinite(full[rows, columns])]
            expected = inside.mean() if inside.size else np.nan
            np.testing.assert_allclose(shown[i, j], expected)
            np.testing.assert_allclose(shown[j, i], expected)


def test_pages_are_written_and_each_shows_its_own_map(tmp_path: Path) -> None:
    c2 = maps(40, 3)
    fitted = c2.copy()
    c2[1, :20] += 0.2
    lower = np.tril_indices(40)
    c2[:, lower[0], lower[1]] = 0.0
    paths = save_heatmaps(
        tmp_path, Rows(np.array([1.0, 1.01, 90.0]), np.ones(3)), times(40), c2, fitted,
        np.full(3, 0.05), (np.full(3, 0.3), np.full(3, 1.1)),
    )  # fmt: skip
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    first, second, third = (imread(p) for p in paths)
    height, width = first.shape[:2]
    assert width > 2 * height > 600
    panel = np.s_[height // 4 : 3 * height // 4]
    residual = np.s_[:, 2 * width // 3 :]
    assert not np.array_equal(first[panel][residual], second[panel][residual])
    np.testing.assert_array_equal(first[panel][residual], third[panel][residual])


def test_float32_masked_and_empty_maps(tmp_path: Path) -> None:
    c2 = maps(30, 2).astype(np.float32)
    c2[0, 5] = np.nan
    c2[1] = np.nan
    paths = save_heatmaps(
        tmp_path, Rows(np.array([0.0, 5.0]), np.ones(2)), times(30), c2, maps(30, 2),
        np.full(2, 0.1), (np.full(2, 0.3), np.full(2, 1.1)), max_pixels=8,
    )  # fmt: skip
    assert all(p.stat().st_size > 1000 for p in paths)


def test_near_the_baseline_lobes_of_a_percent_rise_above_the_noise() -> None:
    """A lobe of 2% of the contrast under noise of 20% of it: seen in blocks, not in pairs."""
    n, contrast, offset, sigma = 800, 0.3, 1.1, 0.06
    i, j = np.indices((n, n))
    lobe = 0.02 * contrast * ((j - i > 300) & (j - i < 500))
    c2 = offset + lobe + sigma * np.random.default_rng(3).standard_normal((n, n))
    block = baseline_block(n, np.array([sigma]), np.array([contrast]))
    shown = near_baseline(c2, contrast, offset, block)
    lag = np.abs(np.subtract(*np.indices(shown.shape))) * block
    inside, outside = (lag > 300 + block) & (lag < 500 - block), (lag > 0) & (lag < 300 - block)
    # 40 x 40 pairs leave 0.5% of noise; the mean over the blocks of either kind far less.
    assert shown[outside].std() < 0.7
    assert abs(shown[inside].mean() - 2.0) < 0.15
    assert abs(shown[outside].mean()) < 0.15
    assert baseline_block(100, np.array([5.0]), np.array([0.1])) == 5
