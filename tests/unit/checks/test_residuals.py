"""Patterns in residuals, found or rightly not found; and averages over ages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.checks import residual_maps, residuals
from homodyne_cli.core.checks.lag_profiles import lag_profiles, lag_sums
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.residuals import _accumulate, check_residuals, find_patterns
from homodyne_cli.dataset import FloatArray
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.oracle import model_values

DATA = make_dataset(200, 5, seed=11, spread=0.05, noise=0.02)


def test_residual_at_one_angle_is_placed() -> None:
    model = np.zeros_like(DATA.c2)
    noise = np.random.default_rng(0).standard_normal(model.shape)
    noise[3, 20:60, 120:180] += 0.6
    result = check_residuals(Residuals(replace(DATA, c2=noise), model, np.ones(5)))
    assert result.status == "fail"
    assert f"phi = {DATA.phi[3]:.4g} deg" in result.message


def test_residual_of_single_lags_is_seen() -> None:
    """Lobes narrower than any block or lag bin."""
    model = np.zeros_like(DATA.c2)
    rng = np.random.default_rng(0)
    lag = np.arange(200)[None, :] - np.arange(200)[:, None]
    data = replace(DATA, c2=rng.standard_normal(model.shape) + 0.3 * np.cos(np.pi * lag / 2))
    worst = min(find_patterns(Residuals(data, model, np.ones(5)))[:-1], key=lambda p: p.p_value)
    assert worst.kind == "means of single lags"
    assert check_residuals(Residuals(data, model, np.ones(5))).status == "fail"


def test_weak_pattern_and_correlated_noise_only_warn() -> None:
    rng = np.random.default_rng(2)
    data = make_dataset(400, 5)
    nothing = np.zeros_like(data.c2)
    white = rng.standard_normal(nothing.shape)
    x = np.arange(400) / 400
    weak = replace(data, c2=white + 0.04 * np.sin(6 * np.pi * x)[:, None])
    result = check_residuals(Residuals(weak, nothing, np.ones(5)))
    assert (result.status, "pattern of" in result.message) == ("warn", True)
    mixed = white.copy()
    mixed[:, 1:] += 0.1 * white[:, :-1]
    result = check_residuals(Residuals(replace(data, c2=mixed), nothing, np.ones(5)))
    assert (result.status, "correlated" in result.message) == ("warn", True)


def test_the_shortest_lag_is_in_a_bin() -> None:
    """Where exposures overlap or detectors ring, neighbours alone are off."""
    noise = np.random.default_rng(1).standard_normal(DATA.c2.shape)
    noise[:, range(199), range(1, 200)] += 1.0
    patterns = find_patterns(Residuals(replace(DATA, c2=noise), np.zeros_like(noise), np.ones(5)))
    bins = next(p for p in patterns if p.kind == "lag bins")
    assert bins.p_value < 1e-6
    assert "lag 0.1 s" in bins.place
    # One sigma in one bin of all, which count alike however few pairs they hold.
    n_bins = len(np.unique(np.geomspace(1, 200, 25).astype(int))) - 1
    assert bins.amplitude == pytest.approx(n_bins**-0.5, rel=0.1)


def test_a_million_pairs_of_white_noise_are_white_noise() -> None:
    """Chances of the groups are spread over 0 to 1, whatever the number of pairs."""
    data = make_dataset(12, 1)
    noise = np.random.default_rng(3).standard_normal((1, 1600, 1600))
    large = replace(data, c2=noise, t=data.dt * np.arange(1.0, 1601.0))
    patterns = find_patterns(Residuals(large, np.zeros_like(noise), np.ones(1)))
    assert all(1e-3 < p.p_value < 0.999 for p in patterns)


@pytest.mark.parametrize(("times", "status"), [(0.9, "fail"), (1.1, "pass")])
def test_one_false_alarm_in_two_hundred(
    times: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.005 for all tests together, of which there are eight on the largest maps."""
    data = Residuals(DATA, np.zeros_like(DATA.c2), np.ones(5))
    quiet = [replace(p, p_value=0.9, amplitude=0.01) for p in find_patterns(data)]
    loud = replace(quiet[1], p_value=times * 0.005 / 8, amplitude=3.0)
    found = (quiet[0], loud, *quiet[2:])
    monkeypatch.setattr(residuals, "find_patterns", lambda _: found)
    assert check_residuals(data).status == status


def test_wrong_sigma_is_no_pattern() -> None:
    noise = 3.0 * np.random.default_rng(5).standard_normal(DATA.c2.shape)
    result = check_residuals(Residuals(replace(DATA, c2=noise), np.zeros_like(noise), np.ones(5)))
    assert result.status == "pass"


def test_masked_pairs_do_not_count() -> None:
    noise = np.random.default_rng(5).standard_normal(DATA.c2.shape)
    noise[:, 50:60] = 1e3
    noise[:, :, 50:60] = 1e3
    masked: FloatArray = np.where(noise == 1e3, np.nan, noise)
    result = check_residuals(Residuals(replace(DATA, c2=masked), np.zeros_like(noise), np.ones(5)))
    assert result.status == "pass"


def test_too_few_frames_for_a_pattern_is_not_applicable() -> None:
    small = make_dataset(8, 2)
    assert check_residuals(Residuals(small, np.zeros_like(small.c2), np.ones(2))).status == "n/a"


def test_lag_sums_are_sums_over_diagonals() -> None:
    upper = np.triu(np.random.default_rng(0).standard_normal((7, 7)), 1)
    expected = [np.diagonal(upper, k).sum() for k in range(7)]
    np.testing.assert_allclose(lag_sums(upper), expected, atol=1e-14)
    band = [np.diagonal(upper[:3], k).sum() for k in range(7)]
    np.testing.assert_allclose(lag_sums(upper[:3]), band, atol=1e-14)


def test_sums_over_bands_are_sums_over_pairs() -> None:
    """Pair by pair: blocks, lags, squares and products of neighbours, with masked pairs."""
    n, side = 26, 8
    rng = np.random.default_rng(5)
    c2, model = rng.standard_normal((2, 2, n, n))
    c2[:, rng.integers(0, n, 60), rng.integers(0, n, 60)] = np.nan
    sigma = np.array([0.5, 2.0])
    found = _accumulate(Residuals(replace(make_dataset(n, 2), c2=c2), model, sigma))
    edges = np.linspace(0, n, side, endpoint=False).astype(int)
    place = np.searchsorted(edges, np.arange(n), side="right") - 1
    grid, grid_count = np.zeros((2, 2, side, side))
    lag, lag_count = np.zeros((2, 2, n))
    products = count = 0.0
    for a in range(2):
        z = np.where(np.triu(np.isfinite(c2[a]), 1), (c2[a] - model[a]) / sigma[a], np.nan)
        for i, j in zip(*np.triu_indices(n, 1), strict=True):
            if np.isfinite(z[i, j]):
                grid[a, place[i], place[j]] += z[i, j]
                grid_count[a, place[i], place[j]] += 1
                lag[a, j - i] += z[i, j]
                lag_count[a, j - i] += 1
        side_by_side = [z[:, 1:] * z[:, :-1], z[1:] * z[:-1]]
        products += sum(np.nansum(p) for p in side_by_side) / np.nanmean(z**2)
        count += sum(np.isfinite(p).sum() for p in side_by_side)
        assert found.square[a] == pytest.approx(np.nansum(z**2))
    np.testing.assert_allclose(found.grid, grid, atol=1e-12)
    np.testing.assert_array_equal(found.grid_count, grid_count)
    np.testing.assert_allclose(found.lag, lag, atol=1e-12)
    np.testing.assert_array_equal(found.lag_count, lag_count)
    assert found.products == pytest.approx(products)
    assert found.product_count == count


def test_lag_profiles_average_fitted_pairs_only() -> None:
    model: FloatArray = model_values(PUBLISHED, DATA.t, DATA.phi, 0.0054, 2e6, "he2024")
    c2: FloatArray = np.array(DATA.c2, dtype=float)
    c2[0, 3, 5] = np.nan
    c2[1, np.arange(199), np.arange(1, 200)] = np.nan
    found = lag_profiles(Residuals(replace(DATA, c2=c2), model, np.full(5, 0.02)))
    assert found.data.shape == (5, 199)
    np.testing.assert_allclose(found.lag[:2], [0.1, 0.2])
    keep = np.isfinite(np.diagonal(c2[0], 2))
    assert found.data[0, 1] == pytest.approx(np.diagonal(c2[0], 2)[keep].mean())
    assert found.fit[0, 1] == pytest.approx(np.diagonal(model[0], 2)[keep].mean())
    assert found.count[0, 1] == 197
    assert found.error[2, 1] == pytest.approx(0.02 / np.sqrt(198))
    assert np.isnan(found.data[1, 0])


def test_residuals_that_are_all_alike_are_a_pattern_in_any_unit() -> None:
    """Within blocks nothing varies: a millionth of the residuals themselves is then their noise."""
    data = make_dataset(96, 1)
    for unit in (1e-3, 1.0, 1e3):
        z = np.full((1, 96, 96), unit)
        patterns = find_patterns(Residuals(replace(data, c2=z), np.zeros_like(z), np.ones(1)))
        assert patterns[0].kind == "means of the angles"
        assert patterns[0].amplitude == pytest.approx(1e6, rel=0.2)
    nothing = np.zeros((1, 96, 96))
    quiet = find_patterns(Residuals(replace(data, c2=nothing), nothing, np.ones(1)))
    assert all(p.amplitude == 0.0 for p in quiet)


@pytest.mark.parametrize("most", [10, 100, 10_000])
def test_profiles_over_lag_are_those_of_diagonals(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows are read at a time."""
    monkeypatch.setattr(residual_maps, "_PAIRS", most)
    rng = np.random.default_rng(9)
    data, n = make_dataset(20, 2, masked=150, dt=0.2), 20
    fit = rng.standard_normal((2, n, n))
    profiles = lag_profiles(Residuals(data, fit, np.array([0.3, 0.4])))
    np.testing.assert_allclose(profiles.lag, 0.2 * np.arange(1, n))
    for a in range(2):
        for lag in range(1, n):
            y, known = np.diagonal(data.array[a], lag), np.isfinite(np.diagonal(data.array[a], lag))
            assert profiles.count[a, lag - 1] == known.sum()
            if known.any():
                figures = (profiles.data, profiles.fit, profiles.error)
                expected = (
                    y[known].mean(), np.diagonal(fit[a], lag)[known].mean(),
                    (0.3, 0.4)[a] / known.sum() ** 0.5,
                )  # fmt: skip
                assert [f[a, lag - 1] for f in figures] == pytest.approx(expected)
            else:
                assert np.isnan(profiles.data[a, lag - 1])


@pytest.mark.parametrize(
    ("n", "white", "correlated"),
    [(12, [3], [3]), (23, [6], [6]), (24, [6, 3], [6]), (48, [12, 6, 3], [12, 6])],
)
def test_blocks_have_three_frames_and_four_of_them_a_side(
    n: int, white: list[int], correlated: list[int]
) -> None:
    """Among correlated noise the finest are a measure of it, unless they are the only ones."""
    data = make_dataset(n, 40)
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((40, n, n + 2))
    for share, sides in ((0.0, white), (1.0, correlated)):
        z = noise[:, :, 2:] + share * noise[:, :, 1:-1]
        *patterns, near = find_patterns(
            Residuals(replace(data, c2=z), np.zeros_like(z), np.ones(40))
        )
        assert (near.p_value < 1e-4) == (share > 0.0)
        kinds = [p.kind for p in patterns if p.kind.startswith("blocks")]
        assert sorted(kinds) == sorted(f"blocks of {side} frames" for side in sides)
