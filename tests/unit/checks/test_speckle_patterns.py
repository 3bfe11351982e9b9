"""Patterns that residuals are compared with where the noise is that of speckles."""

from __future__ import annotations

import re

import numpy as np
import pytest

from homodyne_cli.core.checks.angle_maps import MergedFrames
from homodyne_cli.core.checks.speckle_patterns import (
    _Bins,
    _frames,
    _stretches,
    _worst_angle,
    _worst_block,
)
from homodyne_cli.core.noise.score_tests import ScoreTest
from tests.support.datasets import make_dataset


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


EDGES = np.array([0.1, 0.2, 0.4, 0.8, 1.6])


def outcome(*pulls: float) -> ScoreTest:
    return ScoreTest(9.0, 4, 0.01, 0.1, np.array(pulls))


@pytest.mark.parametrize(
    ("pulls", "words"),
    [
        ((5.0, 0.1, -0.2, 0.3), "lags below 0.2 s"),
        ((0.1, -5.0, 5.0, 0.3), "lags 0.2 to 0.8 s"),
        ((5.0, 0.1, 5.0, 5.0), "lags below 0.2 s, lags above 0.4 s"),
        ((0.1, 0.2, np.nan, 9.0), "lags above 0.8 s"),
        # None stands out: the largest is named.
        ((0.1, -0.3, 0.2, 0.1), "lags 0.2 to 0.4 s"),
        ((5.0, -5.0, 5.0, 6.0), "all lags"),
    ],
)
def test_stretches_that_are_off_are_named(pulls: tuple[float, ...], words: str) -> None:
    assert _stretches(outcome(*pulls), EDGES, "lags", "s") == words


@pytest.mark.parametrize(
    ("pulls", "words"),
    [
        ((0.1, 0.2, 0.3, -6.0), "phi = 40 deg, lags above 0.4 s"),
        ((-5.0, 0.2, 0.3, 6.0), "phi = 40 deg and 1 more angles, lags above 0.4 s"),
        ((-7.0, np.nan, 0.3, 6.0), "phi = 10 deg and 1 more angles, lags below 0.4 s"),
    ],
)
def test_the_angle_that_is_most_off_is_named(pulls: tuple[float, ...], words: str) -> None:
    data = make_dataset(20, 2, phi=np.array([10.0, 40.0]))
    assert _worst_angle(outcome(*pulls), data, EDGES[[0, 2, 4]]) == words


@pytest.mark.parametrize(("place", "times"), [(0, (8, 8)), (5, (8, 93)), (20, (93, 93))])
def test_the_block_that_is_most_off_is_named(place: int, times: tuple[int, int]) -> None:
    """Blocks are six by six, from the diagonal up: their middles of frames at 1, 2, ... 102 s."""
    data, pulls = make_dataset(20, 2, phi=np.array([10.0, 40.0])), np.zeros(42)
    pulls[21 + place] = -5.0
    words = _worst_block(outcome(*pulls.tolist()), data, np.arange(1.0, 103.0))
    first, second = (float(re.findall(rf"{name} = (\d+)", words)[0]) for name in ("t1", "t2"))
    assert words.startswith("phi = 40 deg")
    assert (first, second) == pytest.approx(times, abs=2.0)
