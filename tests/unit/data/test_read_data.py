"""Each layout, written as its facility writes it, gives the right maps at the right angles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.dataset import Dataset
from homodyne_cli.io.formats.write_data import write_aps_legacy, write_aps_u
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import DataSelection
from tests.support.layout_writers import (
    Grid,
    Half,
    Numbers,
    above,
    aps_legacy,
    aps_u,
    homodyne_cache,
    nxxpcs,
    one_map,
    plain,
    stored,
)

BNL = Path(__file__).parents[2] / "data" / "bnl_two_time" / "test_g2.npy"
HALVES: tuple[Half, ...] = ("upper", "lower", "full", "upper-nan", "lower-nan")


def read(path: Path, **settings: object) -> Dataset:
    base = DataSelection(path=path, q=0.0062, gap=2e6)
    return read_dataset(replace(base, **settings), "laminar_flow")  # type: ignore[arg-type]


@pytest.mark.parametrize("half", HALVES)
def test_aps_u_maps_land_at_their_angles_with_a_masked_bin(tmp_path: Path, half: Half) -> None:
    grid = Grid(masked=[(0, 1)])
    data = read(aps_u(tmp_path / "a.h5", grid, half=half))
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    assert np.all(data.q == 0.0062)
    assert data.c2.dtype == np.float32
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1, 2]), rtol=1e-6)
    assert data.n_masked == 0
    assert data.notes == ()
    assert data.dt == 0.05
    np.testing.assert_allclose(data.t, 0.05 * np.arange(1, grid.n))
    assert set(data.provenance) == {"q", "phi", "dt", "frames", "gap", "origin", "sigma", "layout"}
    assert data.sigma is None


def test_aps_u_masked_bin_of_the_chosen_ring_is_absent(tmp_path: Path) -> None:
    grid = Grid(masked=[(0, 1)])
    data = read(aps_u(tmp_path / "a.h5", grid), q=0.0054)
    assert data.phi.tolist() == [-30.0, 45.0]
    np.testing.assert_allclose(above(data.array), grid.expected(0, [0, 2]), rtol=1e-6)


def test_aps_u_processed_bins_count_the_bins_with_pixels(tmp_path: Path) -> None:
    grid = Grid(masked=[(0, 0)])
    data = read(aps_u(tmp_path / "a.h5", grid, only=[2, 4, 5]))
    assert data.phi.tolist() == [0.0, 45.0]
    np.testing.assert_allclose(above(data.array), grid.expected(1, [1, 2]), rtol=1e-6)


def test_aps_u_unpadded_names_sort_as_numbers(tmp_path: Path) -> None:
    grid = Grid(phi=tuple(np.linspace(-90, 90, 12)), n=12)
    data = read(aps_u(tmp_path / "a.h5", grid, names="c2_{:d}"))
    np.testing.assert_allclose(data.phi, grid.phi)
    np.testing.assert_allclose(above(data.array), grid.expected(1, range(12)), rtol=1e-6)


def test_aps_u_map_names_may_carry_bins(tmp_path: Path) -> None:
    grid = Grid()
    path = aps_u(tmp_path / "a.h5", grid, only=[4, 6])
    with h5py.File(path, "r+") as file:
        group = file["/xpcs/twotime/correlation_map"]
        group.move("c2_00002", "c2_00006")
        group.move("c2_00001", "c2_00004")
        file["/xpcs/twotime/processed_bins"][...] = [6, 4]
    assert read(path).phi.tolist() == [-30.0, 45.0]


def test_aps_u_lost_maps_keep_the_others_in_place(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with h5py.File(path, "r+") as file:
        del file["/xpcs/twotime/correlation_map/c2_00004"]
    data = read(path)
    assert data.phi.tolist() == [0.0, 45.0]
    np.testing.assert_allclose(above(data.array), Grid().expected(1, [1, 2]), rtol=1e-6)


def test_aps_u_axes_in_the_other_order(tmp_path: Path) -> None:
    grid = Grid(masked=[(0, 2)])
    data = read(aps_u(tmp_path / "a.h5", grid, phi_first=True))
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1, 2]), rtol=1e-6)


@pytest.mark.parametrize("text", ["bytes", "str", "fixed"])
@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("1/A", 1), ("Å⁻¹", 1), ("1/angstrom", 1), ("A^-1", 1), ("", 1),
        ("1/nm", 10), ("nm^-1", 10), ("nm⁻¹", 10),
    ],
)  # fmt: skip
def test_q_units_and_kinds_of_text(tmp_path: Path, unit: str, scale: float, text: str) -> None:
    path = aps_u(
        tmp_path / "a.h5",
        Grid(),
        units=(unit, "deg"),
        q_scale=scale,
        text=text,  # type: ignore[arg-type]
    )
    assert read(path).q[0] == pytest.approx(0.0062, rel=1e-12)


def test_angles_in_radians(tmp_path: Path) -> None:
    grid = Grid(phi=(0.0, np.pi / 6, np.pi / 2))
    data = read(aps_u(tmp_path / "a.h5", grid, units=("1/A", "rad")))
    np.testing.assert_allclose(data.phi, [0, 30, 90])


def test_missing_index_mapping_is_said(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with h5py.File(path, "r+") as file:
        del file["/xpcs/qmap/dynamic_index_mapping"]
        del file["/xpcs/qmap/map_names"]
    data = read(path)
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    assert ["dynamic_index_mapping" in note for note in data.notes] == [True, False]
    assert "map_names" in data.notes[1]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("bins_list", ["full", "stale", "none"])
def test_legacy_maps_land_at_their_angles(tmp_path: Path, half: Half, bins_list: str) -> None:
    grid = Grid(masked=[(0, 1)])
    path = aps_legacy(tmp_path / "l.h5", grid, half=half, bins_list=bins_list)  # type: ignore[arg-type]
    data = read(path)
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    assert data.dt == 0.02
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1, 2]), rtol=1e-6)


def test_legacy_names_that_carry_the_bin(tmp_path: Path) -> None:
    grid = Grid(masked=[(0, 1), (1, 0)])
    path = aps_legacy(
        tmp_path / "l.h5", grid, half="lower", names="C2T_{:05d}", by_bin=True, bins_list="none"
    )
    data = read(path)
    assert data.phi.tolist() == [0.0, 45.0]
    np.testing.assert_allclose(above(data.array), grid.expected(1, [1, 2]), rtol=1e-6)


def test_legacy_unpadded_names(tmp_path: Path) -> None:
    grid = Grid(phi=tuple(np.linspace(-90, 90, 12)), n=12)
    data = read(aps_legacy(tmp_path / "l.h5", grid, names="g2_{:d}"))
    np.testing.assert_allclose(above(data.array), grid.expected(1, range(12)), rtol=1e-6)


@pytest.mark.parametrize("grid_sizes", [True, False])
def test_legacy_bins_of_a_ring_may_differ_in_q(tmp_path: Path, grid_sizes: bool) -> None:
    grid = Grid()
    path = aps_legacy(tmp_path / "l.h5", grid, q_jitter=0.004, grid_sizes=grid_sizes)
    data = read(path)
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    assert data.q[0] == pytest.approx(0.0062, rel=4e-3)
    assert "their mean was used" in data.notes[0]
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1, 2]), rtol=1e-6)


def test_legacy_sizes_that_do_not_fit_the_list_are_not_used(tmp_path: Path) -> None:
    path = aps_legacy(tmp_path / "l.h5", Grid())
    with h5py.File(path, "r+") as file:
        file["/xpcs/dnoq"][...] = 3
        file["/xpcs/dnophi"][...] = 2
    assert read(path).phi.tolist() == [-30.0, 0.0, 45.0]


def test_a_map_whose_angle_is_unknown_is_left_out(tmp_path: Path) -> None:
    path = aps_legacy(tmp_path / "l.h5", Grid())
    with h5py.File(path, "r+") as file:
        file["/xpcs/dphilist"][0, 4] = np.nan
    data = read(path)
    assert data.phi.tolist() == [-30.0, 45.0]
    np.testing.assert_allclose(above(data.array), Grid().expected(1, [0, 2]), rtol=1e-6)


def test_few_angles_never_mix_rings(tmp_path: Path) -> None:
    grid = Grid(q=(0.0054, 0.0056, 0.0058), phi=(0.0, 90.0))
    for path in (
        aps_legacy(tmp_path / "l.h5", grid, grid_sizes=False),
        homodyne_cache(tmp_path / "c.npz", grid),
    ):
        data = read(path, q=0.0056)
        assert np.all(data.q == 0.0056)
        np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1]), rtol=1e-6)


def test_legacy_results_under_another_name(tmp_path: Path) -> None:
    assert read(aps_legacy(tmp_path / "l.h5", Grid(), root="/exchange_2")).n_phi == 3


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("layout", ["first", "last", "keys"])
def test_nxxpcs(tmp_path: Path, layout: str, half: Half) -> None:
    storage = {"keys": "data_exchange_keys"}.get(layout, f"one_array_q_{layout}")
    grid = Grid(masked=[(0, 1)])
    populated = {"upper": "upper_half", "lower": "lower_half", "full": "all"}[half.split("-")[0]]
    path = nxxpcs(
        tmp_path / "n.h5",
        grid,
        storage=storage,
        layout=layout,  # type: ignore[arg-type]
        half=half,
        populated=populated,
    )
    data = read(path)
    assert data.phi.tolist() == [-30.0, 0.0, 45.0]
    assert data.dt == pytest.approx(0.02)
    assert data.c2.dtype == np.float64
    assert data.notes == ()
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 1, 2]), rtol=1e-12)


def test_nxxpcs_keys_are_bin_numbers(tmp_path: Path) -> None:
    path = nxxpcs(tmp_path / "n.h5", Grid(), layout="keys", storage=None, skip_bins=[1, 4])
    data = read(path)
    assert data.phi.tolist() == [0.0, 45.0]
    np.testing.assert_allclose(above(data.array), Grid().expected(1, [1, 2]), rtol=1e-12)


def test_nxxpcs_shape_decides_when_the_attribute_is_missing_or_wrong(tmp_path: Path) -> None:
    missing = read(nxxpcs(tmp_path / "a.h5", Grid(), storage=None, layout="last"))
    wrong = read(nxxpcs(tmp_path / "b.h5", Grid(), storage="one_array_q_first", layout="last"))
    assert missing.notes == ()
    assert "storage_mode" in wrong.notes[0]
    np.testing.assert_array_equal(above(missing.array), above(wrong.array))


def test_nxxpcs_in_inverse_nanometres_with_baseline_zero(tmp_path: Path) -> None:
    path = nxxpcs(tmp_path / "n.h5", Grid(), units="1/nm", q_scale=10.0, baseline=0)
    data = read(path)
    assert data.q[0] == pytest.approx(0.0062)
    assert "baseline" in data.notes[0]
    np.testing.assert_allclose(above(data.array), Grid().expected(1, [0, 1, 2]), rtol=1e-12)


@pytest.mark.parametrize("half", ["upper", "full"])
def test_nxxpcs_rows_that_run_backwards(tmp_path: Path, half: Half) -> None:
    path = nxxpcs(tmp_path / "n.h5", Grid(), half=half, origin="lower_left", backwards=True)
    data = read(path, start_frame=3, end_frame=10)
    assert any("turned round" in note for note in data.notes)
    expected = np.array([above(one_map(14, 1, ip)[3:10, 3:10]) for ip in range(3)])
    np.testing.assert_allclose(above(data.array), expected, rtol=1e-12)


def test_nxxpcs_origin_that_only_tells_how_to_draw(tmp_path: Path) -> None:
    data = read(nxxpcs(tmp_path / "n.h5", Grid(), origin="lower_left"))
    np.testing.assert_allclose(above(data.array), Grid().expected(1, [0, 1, 2]), rtol=1e-12)


@pytest.mark.parametrize("mesh", [False, True])
def test_homodyne_cache(tmp_path: Path, mesh: bool) -> None:
    grid = Grid()
    data = read(homodyne_cache(tmp_path / "c.npz", grid, mesh=mesh))
    assert data.dt == pytest.approx(0.1)
    np.testing.assert_array_equal(above(data.array), grid.expected(1, [0, 1, 2]))


def test_cache_is_cut_already(tmp_path: Path) -> None:
    grid = Grid()
    named = homodyne_cache(tmp_path / "cached_c2_frames_401_414.npz", grid)
    part = read(named, start_frame=403, end_frame=410, bad_frames=(405,))
    masked = np.isnan(part.c2[0]).all(axis=0)
    assert masked.tolist() == [False, True, False, False, False, False, False]
    expected = np.array([above(one_map(14, 1, k)[3:10, 3:10]) for k in range(3)])
    kept = ~np.isnan(above(part.array))
    np.testing.assert_array_equal(above(part.array)[kept], expected[kept])
    unnamed = homodyne_cache(tmp_path / "cache.npz", grid)
    whole = read(unnamed, start_frame=401, end_frame=414)
    assert whole.n_frames == 13
    assert any("taken to be cut" in note for note in whole.notes)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize("half", HALVES)
def test_plain(tmp_path: Path, suffix: str, half: Half) -> None:
    c2 = np.array([stored(one_map(14, 1, k), half) for k in range(3)])
    path = plain(tmp_path / f"p{suffix}", c2, {"phi": [0.0, 20.0, 40.0], "q": 0.0062, "dt": 0.5})
    data = read(path)
    assert (data.q[0], data.dt, data.phi.tolist()) == (0.0062, 0.5, [0.0, 20.0, 40.0])
    np.testing.assert_array_equal(above(data.array), Grid().expected(1, [0, 1, 2]))


def test_plain_attributes_one_q_per_map_and_single_precision(tmp_path: Path) -> None:
    c2 = np.array([one_map(12, ring, k) for ring in range(2) for k in range(2)])
    path = plain(
        tmp_path / "p.h5",
        c2.astype(np.float32).astype(">f4"),
        {"phi": [0.0, 20.0, 0.0, 20.0], "q": [0.0054, 0.0054, 0.0062, 0.0062], "dt": 0.5},
        attributes=True,
    )
    data = read(path)
    assert data.c2.dtype == np.dtype("=f4")
    assert data.c2.dtype.isnative
    np.testing.assert_allclose(above(data.array), Grid(n=12).expected(1, [0, 1]), rtol=1e-6)


def test_npz_in_fortran_order(tmp_path: Path) -> None:
    c2 = np.asfortranarray([one_map(12, 1, k) for k in range(2)])
    path = plain(tmp_path / "p.npz", c2, {"phi": [0.0, 20.0], "q": 0.0062, "dt": 0.5})
    np.testing.assert_array_equal(above(read(path).array), Grid(n=12).expected(1, [0, 1]))


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_sigma_in_the_file(tmp_path: Path, suffix: str) -> None:
    c2 = np.array([one_map(12, 1, k) for k in range(2)])
    numbers: dict[str, Numbers] = {"phi": [0.0, 20.0], "q": 0.0062, "dt": 0.5}
    one = read(plain(tmp_path / f"a{suffix}", c2, numbers | {"sigma": 0.07}))
    each = read(plain(tmp_path / f"b{suffix}", c2, numbers | {"sigma": [0.07, 0.08]}))
    pairs = np.full(c2.shape, 0.05)
    pairs[1, 4, 6] = 0.0
    pairs[0, 2, 3] = 0.09
    path = plain(tmp_path / f"c{suffix}", c2, numbers | {"sigma": pairs})
    every = read(path)
    assert one.sigma is not None
    assert each.sigma is not None
    assert every.sigma is not None
    assert one.sigma.tolist() == [0.07, 0.07]
    assert each.sigma.tolist() == [0.07, 0.08]
    assert every.sigma.shape == (2, 11, 11)
    assert every.sigma[0, 1, 2] == 0.09
    assert every.n_masked == 1
    assert np.isnan(every.array[1, 3, 5])
    assert np.isnan(every.sigma[1, 3, 5])
    assert every.notes == (
        "pairs whose noise in the file is zero, negative or not a number were masked: 1",
    )
    config = read(path, sigma=0.02)
    assert config.sigma is not None
    assert config.sigma.tolist() == [0.02, 0.02]
    assert config.provenance["sigma"].source.startswith("config")
    assert config.n_masked == 0, "noise that is not used masks nothing"


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_the_measured_map_reads(tmp_path: Path, suffix: str) -> None:
    measured = np.load(BNL)
    path = plain(tmp_path / f"bnl{suffix}", measured)
    selection = DataSelection(path=path, q=0.005, dt=0.1)
    data = read_dataset(selection, "static")
    assert data.c2.shape == (1, 349, 349)
    assert data.gap is None
    np.testing.assert_array_equal(above(data.c2[0]), above(measured[1:, 1:]))
    assert data.provenance["q"].source.startswith("config")


def test_frames_count_from_one_and_the_first_is_not_fitted(tmp_path: Path) -> None:
    data = read(aps_u(tmp_path / "a.h5", Grid()), start_frame=4, end_frame=10)
    expected = np.array([above(one_map(14, 1, k)[4:10, 4:10]) for k in range(3)])
    np.testing.assert_allclose(above(data.array), expected, rtol=1e-6)
    np.testing.assert_allclose(data.t, 0.05 * np.arange(1, 7))
    assert data.provenance["frames"].value.startswith("4-10")


def test_bad_frames_and_values_that_are_not_finite_are_masked(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with h5py.File(path, "r+") as file:
        file["/xpcs/twotime/correlation_map/c2_00004"][6, 9] = np.nan
        file["/xpcs/twotime/correlation_map/c2_00005"][6, 9] = np.inf
        file["/xpcs/twotime/correlation_map/c2_00005"][9, 6] = np.nan
    data = read(path, start_frame=3, bad_frames=(1, 3, 5, 14))
    # Frames 5 and 14 are positions 1 and 10 of the 11 that are fitted (4 to 14).
    lines = 10 + 10 - 1
    assert data.n_masked == 3 * lines + 2
    assert np.isnan(data.array[:, 1, :]).all()
    assert np.isnan(data.array[:, :, 10]).all()
    assert np.isnan(above(data.array)).sum() == data.n_masked
    assert not np.isinf(above(data.array)).any()


def test_a_frame_without_counts_is_masked_and_said(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with h5py.File(path, "r+") as file:
        node = file["/xpcs/twotime/correlation_map/c2_00004"]
        node[5, :] = 0.0
        node[:, 5] = 0.0
        node[7, 8] = 0.0
    data = read(path)
    assert data.n_masked == 12
    assert data.array[0, 6, 7] == 0.0
    assert data.notes[0].endswith(": 6")


@pytest.mark.parametrize(
    ("config", "file", "used", "said"),
    [(None, 0.05, 0.05, False), (0.0504, 0.05, 0.0504, False), (0.1, 0.05, 0.1, True),
     (0.3, None, 0.3, False)],
)  # fmt: skip
def test_dt(
    tmp_path: Path, config: float | None, file: float | None, used: float, said: bool
) -> None:
    data = read(aps_u(tmp_path / "a.h5", Grid(), frame_time=file), dt=config)
    assert data.dt == used
    assert data.stated.dt == file
    resolved = data.provenance["dt"]
    assert resolved.value == f"{used:g} s"
    assert ("against the file's 0.05 s" in resolved.source) == said


@pytest.mark.parametrize("write", [aps_u, aps_legacy])
def test_dt_is_multiplied_by_stride_and_average(tmp_path: Path, write: Callable[..., Path]) -> None:
    plain_dt = read(write(tmp_path / "a.h5", Grid())).dt
    data = read(write(tmp_path / "b.h5", Grid(), stride=3, average=2))
    assert data.dt == pytest.approx(6 * plain_dt)
    assert "stride 3" in data.provenance["dt"].source


def test_q_off_by_a_few_percent_is_said(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    assert read(path, q=0.00621).notes == ()
    note = read(path, q=0.0066).notes[0]
    assert "0.0066" in note
    assert "0.0062" in note


def test_the_only_ring_needs_no_q(tmp_path: Path) -> None:
    assert read(aps_u(tmp_path / "a.h5", Grid(q=(0.0054,))), q=None).q[0] == 0.0054


def test_angles_are_filtered(tmp_path: Path) -> None:
    grid = Grid(phi=(-170.0, -30.0, 5.0, 100.0, 175.0))
    data = read(aps_u(tmp_path / "a.h5", grid), phi_ranges=((170.0, 190.0), (-10.0, 10.0)))
    assert data.phi.tolist() == [-170.0, 5.0, 175.0]
    np.testing.assert_allclose(above(data.array), grid.expected(1, [0, 2, 4]), rtol=1e-6)
    assert "kept 3 of 5" in data.provenance["phi"].source


def test_progress_counts_the_maps(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    selection = DataSelection(path=aps_u(tmp_path / "a.h5", Grid()), q=0.0062)
    read_dataset(selection, "static", lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_maps_that_are_not_symmetric_are_said(tmp_path: Path) -> None:
    c2 = np.array([one_map(12, 1, 0)])
    c2[0, 8, 2] += 0.5
    data = read(plain(tmp_path / "p.npz", c2, {"phi": [0.0], "q": 0.0062, "dt": 1.0}))
    assert "not symmetric" in data.notes[0]
    np.testing.assert_array_equal(above(data.array), Grid(n=12).expected(1, [0]))


@pytest.mark.parametrize("write", [write_aps_u, write_aps_legacy])
@pytest.mark.parametrize("frame_start", [1, 5])
def test_written_files_read_back(
    tmp_path: Path, write: Callable[..., None], frame_start: int
) -> None:
    c2 = np.array([one_map(12, 1, k) for k in range(3)])
    phi = np.array([-10.0, 0.0, 170.0])
    path = tmp_path / "w.h5"
    write(path, c2, phi, 0.0054, 0.1, frame_start=frame_start)
    data = read(path, q=None, start_frame=frame_start)
    assert data.provenance["frames"].source.endswith(f" {frame_start + 11}, 1-{frame_start + 11}")
    np.testing.assert_allclose(above(data.array), above(c2[:, 1:, 1:]), rtol=1e-6)
    np.testing.assert_array_equal(data.phi, phi)
    assert (data.q[0], data.dt, data.n_masked, data.notes) == (0.0054, 0.1, 0, ())
    assert "upper" in data.provenance["layout"].value
    assert [p.name for p in tmp_path.iterdir()] == ["w.h5"]


def with_pixels(path: Path, image: np.ndarray | None) -> Path:
    """A file of four bins, with a map of the detector beside."""
    maps = np.ones((4, 6, 6))
    write_aps_u(path, maps, np.array([0.0, 30.0, 60.0, 90.0]), 0.0062, 0.1)
    if image is not None:
        with h5py.File(path, "a") as file:
            file["/xpcs/qmap/dynamic_roi_map"] = image
    return path


def test_pixels_of_a_bin_are_counted_on_the_map_of_the_detector(tmp_path: Path) -> None:
    image = np.array([[0, 1, 1, 1], [2, 2, 3, 4], [9, 4, 3, 3]], dtype=np.uint32)
    whole = read(with_pixels(tmp_path / "a.h5", image))
    assert whole.pixels is not None
    assert whole.pixels.tolist() == [3.0, 2.0, 3.0, 2.0]
    assert whole.pixel_share.tolist() == [1.2, 0.8, 1.2, 0.8]
    some = read(tmp_path / "a.h5", phi_ranges=((20.0, 100.0),))
    assert some.pixels is not None
    assert some.pixels.tolist() == [2.0, 3.0, 2.0]
    assert whole.of_maps(np.array([3, 0])).pixel_share.tolist() == [0.8, 1.2]


@pytest.mark.parametrize(
    "image",
    [None, np.ones(7, int), np.ones((3, 3)), np.array([[1, 2], [3, 3]]), np.zeros((0, 4), int)],
    ids=["none", "no image", "no labels", "a bin without pixels", "empty"],
)
def test_pixels_that_are_not_known_are_equal(tmp_path: Path, image: np.ndarray | None) -> None:
    data = read(with_pixels(tmp_path / "a.h5", image))
    assert data.pixels is None
    assert data.pixel_share.tolist() == [1.0] * 4
