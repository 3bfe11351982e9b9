"""Patterns that residuals are compared with where the noise is that of speckles."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.checks.angle_maps import MergedFrames
from homodyne_cli.core.checks.speckle_patterns import _Bins, _frames


@pytest.mark.parametrize("m", [20, 57, 64])
def test_bins_of_lag_age_and_place_hold_every_pair_once(m: int) -> None:
    """Both orders of a pair; ages i + j and frames are divided as evenly as whole numbers allow."""
    bins, pairs = _Bins.of(m), 1.0 - np.eye(m)
    i, j = np.indices((m, m))
    for group in (bins.lags, bins.ages, bins.blocks):
        np.testing.assert_array_equal(bins.patterns[group].sum(axis=0), pairs)
    of_age = [np.unique((i + j)[pattern > 0]) for pattern in bins.patterns[bins.ages]]
    assert np.all(np.diff([ages[0] for ages in of_age]) > 0)
    # No pair has the age 0 or 2 m - 2: these are of a frame with itself.
    wide = [len(ages) for ages in of_age]
    assert sum(wide) == 2 * m - 3
    assert max(wide) - min(wide) <= 2
    assert abs(wide[0] - wide[-1]) <= 1
    for edge, pattern in zip(bins.lag_edges, bins.patterns[bins.lags], strict=True):
        assert np.abs(i - j)[pattern > 0].min() == edge
    square = bins.patterns[bins.blocks]
    corner = square[0]
    assert len(square) == 6 * 7 // 2
    assert abs(np.flatnonzero(corner.any(axis=0)).max() + 1 - m / 6) <= 1
    np.testing.assert_array_equal(square, square.swapaxes(1, 2))


@pytest.mark.parametrize("size", [1, 4])
def test_a_frame_that_is_off_is_named_with_how_much(size: int) -> None:
    """Scores of deviation sigma; what is off by an amount a has a M sigma^2 more of it."""
    m, sigma, off = 200, 0.03, 1.2
    rows = sigma * np.random.default_rng(0).standard_normal(m)
    merged = MergedFrames.of(np.arange(1.0, m * size + 1.0), m)
    usual = _frames(rows, merged, 1.0, 0.3, 500.0)
    assert (usual.place, usual.effect) == ("", 0.0)
    assert usual.p_value > 0.01
    rows[40] += 500.0 * sigma**2 * off
    seen = _frames(rows, merged, 1.0, 0.3, 500.0)
    # The middle of the block, counted from one; its scale is known to a tenth or two.
    place = 41 if size == 1 else f"about {40 * size + 2}"
    assert seen.place == f"frames {place}"
    assert seen.effect == pytest.approx(100.0 * off / 0.3, rel=0.3)
    assert seen.p_value < 1e-6
    assert seen.reduced > 1.5 * usual.reduced
