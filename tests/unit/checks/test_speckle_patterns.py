"""Patterns that residuals are compared with where the noise is that of speckles."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.checks.speckle_patterns import _Bins


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
