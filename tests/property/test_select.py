"""Laws that selection and masking keep for every input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from homodyne_cli.dataset import MapArray
from homodyne_cli.io.formats.halves import upper_pairs
from homodyne_cli.io.formats.raw_source import RawSource
from homodyne_cli.io.maps.load_maps import HeldMaps, load_maps
from homodyne_cli.io.maps.select import bad_positions, frame_window, mask_map, phi_mask, ring_ids

# Multiples of 1/8 degree add and wrap without rounding.
angles = st.integers(-8 * 720, 8 * 720).map(lambda k: k / 8)
some_angles = st.lists(angles, min_size=1, max_size=12).map(np.array)
turns = st.integers(-3, 3)


@given(some_angles, angles, angles, turns, turns, turns)
def test_phi_ranges_do_not_see_whole_turns(
    phi: np.ndarray[tuple[int], np.dtype[np.float64]],
    low: float,
    width: float,
    a: int,
    b: int,
    c: int,
) -> None:
    width = abs(width) % 360.0
    kept = phi_mask(phi, [(low, low + width)])
    np.testing.assert_array_equal(phi_mask(phi + 360 * a, [(low, low + width)]), kept)
    shifted = [(low + 360 * b, low + 360 * b + width)]
    np.testing.assert_array_equal(phi_mask(phi, shifted), kept)
    # A range whose end is below its start runs through the turn.
    if c < 0:
        np.testing.assert_array_equal(phi_mask(phi, [(low, low + width + 360 * c)]), kept)


@given(some_angles, angles, st.floats(0.125, 359.875).map(lambda w: round(w * 8) / 8))
def test_a_range_and_the_rest_of_the_circle_keep_every_angle(
    phi: np.ndarray[tuple[int], np.dtype[np.float64]], low: float, width: float
) -> None:
    inside = phi_mask(phi, [(low, low + width)])
    outside = phi_mask(phi, [(low + width, low)])
    assert (inside | outside).all()
    on_edge = ((phi - low) % 360 == 0) | ((phi - low - width) % 360 == 0)
    np.testing.assert_array_equal(inside & outside, on_edge)


@given(some_angles, st.lists(st.tuples(angles, angles), max_size=4))
def test_ranges_add_up(
    phi: np.ndarray[tuple[int], np.dtype[np.float64]], ranges: list[tuple[float, float]]
) -> None:
    each = [phi_mask(phi, [one]) for one in ranges]
    together = np.any(each, axis=0) if each else np.zeros(len(phi), dtype=bool)
    np.testing.assert_array_equal(phi_mask(phi, ranges), together)


@given(
    st.lists(st.floats(1.002, 1.5), min_size=1, max_size=6),
    st.integers(2, 6),
    st.integers(0, 2**32 - 1),
)
def test_rings_are_the_distinct_wave_vectors(gaps: list[float], n_phi: int, seed: int) -> None:
    q = np.repeat(0.002 * np.cumprod(gaps), n_phi)
    phi = np.tile(np.arange(n_phi) * 30.0, len(gaps))
    order = np.random.default_rng(seed).permutation(len(q))
    expected = np.repeat(np.arange(len(gaps)), n_phi)[order]
    np.testing.assert_array_equal(ring_ids(q[order], phi[order]), expected)


@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=12))
def test_no_ring_is_wide(q: list[float]) -> None:
    values = np.array(q)
    angles = np.asarray(20.0 * np.arange(len(q)), dtype=np.float64)
    ids = ring_ids(values, angles)
    for ring in np.unique(ids):
        members = values[ids == ring]
        assert members.max() <= 1.03 * members.min() * (1 + 1e-12)
    ordered = values[np.argsort(ids, kind="stable")]
    assert (np.diff(ids[np.argsort(values, kind="stable")]) >= 0).all(), ordered


@given(st.integers(4, 40), st.data())
def test_windows_cover_the_frames_asked_for(n_frames: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(1, n_frames - 3))
    end = data.draw(st.integers(start + 3, n_frames))
    bad = data.draw(st.lists(st.integers(1, n_frames), max_size=5))
    window = frame_window(start, end, n_frames)
    frames = np.arange(1, n_frames + 1)[window.low : window.high]
    assert frames.tolist() == list(range(start + 1, end + 1))
    kept = frames[bad_positions(bad, window, n_frames)]
    assert kept.tolist() == sorted(set(bad) & set(range(start + 1, end + 1)))


values = st.one_of(st.floats(0.5, 2.0), st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))


@given(
    st.integers(3, 9).flatmap(lambda n: hnp.arrays(np.float64, (n, n), elements=values)),
    st.lists(st.integers(0, 2), max_size=3, unique=True),
)
def test_masking_leaves_finite_pairs_alone(
    block: np.ndarray[tuple[int, int], np.dtype[np.float64]], bad: list[int]
) -> None:
    upper = upper_pairs(len(block))
    before = block.copy()
    masked = mask_map(block, np.array(bad, dtype=np.intp), upper)
    hidden = np.isnan(block) & upper
    assert masked.pairs == hidden.sum()
    assert np.isfinite(block[upper & ~hidden]).all()
    np.testing.assert_array_equal(block[upper & ~hidden], before[upper & ~hidden])
    frames = np.zeros(len(block), dtype=bool)
    frames[bad] = True
    frames[list(masked.empty_frames)] = True
    expected = ~np.isfinite(before) | frames[:, None] | frames[None, :]
    np.testing.assert_array_equal(hidden, expected & upper)


@settings(max_examples=50)
@given(
    st.integers(5, 12),
    st.sampled_from(["upper", "lower", "full"]),
    st.sampled_from([np.float32, np.float64]),
    st.lists(st.integers(1, 5), max_size=2),
)
def test_every_half_gives_the_same_pairs(
    n: int, half: str, dtype: type[np.float32 | np.float64], bad: list[int]
) -> None:
    full = np.random.default_rng(n).uniform(1.0, 1.5, (2, n, n)).astype(dtype)
    full = np.triu(full) + np.swapaxes(np.triu(full, 1), 1, 2)
    kept = {"upper": np.triu(full), "lower": np.tril(full), "full": full}[half]

    def read(index: int, low: int, high: int) -> MapArray:
        block: MapArray = kept[index, low:high, low:high]
        return block

    raw = RawSource(
        path=Path("x"),
        layout="",
        maps=("a", "b"),
        shapes=((n, n),) * 2,
        dtype=np.dtype(dtype),
        read=read,
        q=None,
        q_source="",
        phi=None,
        phi_source="",
    )
    window = frame_window(1, -1, n)
    positions = bad_positions(bad, window, n)
    sink = HeldMaps(np.empty((2, window.size, window.size), raw.dtype))
    loaded = load_maps(raw, np.array([1, 0]), window, positions, sink)
    assert sink.whole.dtype == dtype
    assert loaded.halves == (half,)
    good = np.ones(n - 1, dtype=bool)
    good[positions] = False
    pairs = upper_pairs(n - 1) & good[:, None] & good[None, :]
    np.testing.assert_array_equal(sink.whole[0][pairs], full[1, 1:, 1:][pairs])
    np.testing.assert_array_equal(sink.whole[1][pairs], full[0, 1:, 1:][pairs])
    assert loaded.n_masked == 2 * (upper_pairs(n - 1) & ~pairs).sum()
