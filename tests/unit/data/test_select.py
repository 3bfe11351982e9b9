"""Choosing rings, angles and frames, and masking."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.halves import asymmetry, stored_half, upper_pairs
from homodyne_cli.io.formats.units import per_angstrom, to_degrees, to_seconds
from homodyne_cli.io.maps.select import (
    bad_positions,
    choose_ring,
    frame_window,
    mask_map,
    phi_mask,
    ring_ids,
)


@pytest.mark.parametrize(
    ("phi", "ranges", "kept"),
    [
        (190.0, [(-180.0, -165.0)], True),
        (-170.0, [(185.0, 195.0)], True),
        (-170.0, [(170.0, -165.0)], True),
        (0.0, [(170.0, -165.0)], False),
        (350.0, [(-10.0, 10.0)], True),
        (-10.0, [(-10.0, 10.0)], True),
        (10.0, [(-10.0, 10.0)], True),
        (10.01, [(-10.0, 10.0)], False),
        (5.0, [(350.0, 10.0)], True),
        (20.0, [(350.0, 10.0)], False),
        (123.0, [(0.0, 360.0)], True),
        (-57.0, [(-180.0, 180.0)], True),
        (45.0, [(45.0, 45.0)], True),
        (44.0, [(45.0, 45.0)], False),
        (44.0, [(45.0, 50.0), (40.0, 44.0)], True),
        (205.5, [(-160.0, -150.0)], True),
    ],
)
def test_phi_ranges(phi: float, ranges: list[tuple[float, float]], kept: bool) -> None:
    assert phi_mask(np.array([phi]), ranges).tolist() == [kept]


def test_range_edges_hold_in_single_precision() -> None:
    phi = np.array([5.1, -5.1, 190.1], dtype=np.float32).astype(np.float64)
    assert phi_mask(phi, [(-5.1, 5.1), (180.0, 190.1)]).all()
    assert phi_mask(phi, [(5.1, 6.0), (-5.1, 0.0), (190.1, 200.0)]).all()


def test_rings_of_exact_values() -> None:
    q = np.array([0.02, 0.01, 0.02, 0.01, np.nan, 0.0])
    phi = np.array([0.0, 0.0, 90.0, 90.0, 0.0, 0.0])
    assert ring_ids(q, phi).tolist() == [1, 0, 1, 0, -1, -1]


def test_rings_of_bins_with_their_own_mean_q() -> None:
    q = np.array([0.01, 0.01004, 0.00997, 0.0105, 0.01052, 0.01047])
    phi = np.array([0.0, 30.0, 60.0, 0.0, 30.0, 60.0])
    assert ring_ids(q, phi).tolist() == [0, 0, 0, 1, 1, 1]


def test_close_rings_with_the_same_angles_stay_apart() -> None:
    q = np.array([0.0100, 0.0100, 0.01005, 0.01005])
    phi = np.array([0.0, 90.0, 0.0, 90.0])
    assert ring_ids(q, phi).tolist() == [0, 0, 1, 1]


def test_a_wide_run_of_q_is_not_one_ring() -> None:
    q = 0.01 * np.power(1.008, np.arange(8.0))
    assert ring_ids(q, np.arange(8.0)).tolist() == list(range(8))


def test_nearest_ring_and_its_limit() -> None:
    q = np.array([0.01, 0.01, 0.02])
    rings = np.array([0, 0, 1])
    index, value = choose_ring(q, rings, 0.0105)
    assert (index.tolist(), value) == ([0, 1], 0.01)
    index, value = choose_ring(q, rings, 0.0182)
    assert (index.tolist(), value) == ([2], 0.02)
    with pytest.raises(DataError, match=r"within 10% .*0\.01, 0\.02"):
        choose_ring(q, rings, 0.015)


@pytest.mark.parametrize("value", [float("nan"), -0.01])
def test_a_target_that_is_no_wave_vector(value: float) -> None:
    with pytest.raises(DataError):
        choose_ring(np.array([0.01]), np.array([0]), value)


def test_frame_window_counts_from_one() -> None:
    window = frame_window(401, 1000, 2000)
    assert (window.low, window.high, window.size) == (401, 1000, 599)
    window = frame_window(1, -1, 10)
    assert (window.first, window.last, window.low, window.high) == (1, 10, 1, 10)
    window = frame_window(403, 410, 14, numbered_from=401)
    assert (window.low, window.high) == (3, 10)


def test_bad_positions_are_among_the_fitted_frames() -> None:
    window = frame_window(4, 10, 14)
    assert bad_positions((1, 4, 5, 10, 11, 5), window, 14).tolist() == [0, 5]
    with pytest.raises(DataError, match="15"):
        bad_positions((15,), window, 14)


def test_halves_by_content() -> None:
    full = np.ones((5, 5))
    upper = upper_pairs(5)
    assert stored_half(full, upper) == "full"
    assert stored_half(np.triu(full), upper) == "upper"
    assert stored_half(np.tril(full), upper) == "lower"
    assert stored_half(np.eye(5), upper) == "empty"
    assert stored_half(np.where(upper, np.nan, full), upper) == "lower"
    assert stored_half(np.full((5, 5), np.nan), upper) == "empty"


def test_asymmetry_ignores_what_is_not_finite() -> None:
    block = np.ones((4, 4))
    block[0, 1] = np.nan
    block[2, 3] = 1.5
    assert asymmetry(block) == pytest.approx(0.5 / 1.5)
    assert asymmetry(np.full((3, 3), np.nan)) == 0.0


def test_masking_counts_pairs_once() -> None:
    block = np.ones((6, 6))
    block[0, 3] = np.inf
    block[3, 0] = np.nan
    masked = mask_map(block, np.array([3, 5]), upper_pairs(6))
    assert masked.pairs == 5 + 4
    assert masked.empty_frames == ()
    assert not np.isinf(block).any()


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("1/Å", 1.0), ("1/\u212b", 1.0), ("Angstrom^-1", 1.0), ("inverse angstrom", 1.0),
        ("1 / nm", 0.1), ("nm**-1", 0.1), ("1/m", 1e-10), ("1/um", 1e-4),
        ("pixel", None), ("nm", None), ("Å", None), ("1/nm^-1", None), ("deg", None),
    ],
)  # fmt: skip
def test_units_of_q(unit: str, factor: float | None) -> None:
    assert per_angstrom(unit) == factor


def test_units_of_time_and_angle() -> None:
    assert [to_seconds(u) for u in ("s", "ms", "µs", "furlong")] == [1.0, 1e-3, 1e-6, None]
    assert to_degrees("degree") == to_degrees(None) == 1.0
    assert to_degrees("rad") == pytest.approx(57.29577951)
