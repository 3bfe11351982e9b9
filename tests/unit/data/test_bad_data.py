"""Every kind of bad data file is one clear `DataError`: file, place, value seen, what to do."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.errors import ConfigError, DataError, OutputError
from homodyne_cli.io.formats.write_data import write_aps_legacy, write_aps_u
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import DataSelection
from tests.support.layout_writers import (
    Grid,
    Numbers,
    aps_legacy,
    aps_u,
    homodyne_cache,
    nxxpcs,
    one_map,
    plain,
)

Spoil = Callable[[h5py.File], None]


def fails(path: Path, *wanted: str, **settings: object) -> DataError:
    """Read `path`, which must fail with a message that has the path and all of `wanted`."""
    selection = replace(DataSelection(path=path, q=0.0062, gap=2e6), **settings)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        read_dataset(selection, "laminar_flow")
    message = caught.value.message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message.partition(": ")[2]
    for text in wanted:
        assert text in message
    assert caught.value.exit_code == 3
    return caught.value


def spoil(path: Path, change: Spoil) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def test_missing_file(tmp_path: Path) -> None:
    error = fails(tmp_path / "none.h5", "no such file")
    assert error.hint is not None
    assert "experimental_data" in error.hint


def test_a_directory(tmp_path: Path) -> None:
    fails(tmp_path, "a directory")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.h5").write_bytes(b"")
    fails(tmp_path / "e.h5", "empty file")


def test_not_a_data_file(tmp_path: Path) -> None:
    path = tmp_path / "readme.h5"
    path.write_text("This is text, " * 500)
    error = fails(path, "neither HDF5 nor npz", "b'This is ")
    assert "APS-U" in str(error.hint)


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.99])
def test_truncated_hdf5(tmp_path: Path, fraction: float) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    fails(path, "truncated HDF5 file")


def test_truncated_npz(tmp_path: Path) -> None:
    path = homodyne_cache(tmp_path / "c.npz", Grid())
    path.write_bytes(path.read_bytes()[:-200])
    fails(path, "truncated or damaged npz")


def test_damaged_map_names_the_dataset(tmp_path: Path) -> None:
    path = aps_legacy(tmp_path / "l.h5", Grid())
    name = "/exchange/C2T_all/g2_00005"
    with h5py.File(path, "r") as file:
        chunk = file[name].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\0" * chunk.size
    path.write_bytes(content)
    fails(path, name, "damaged")


def test_damaged_npz_array(tmp_path: Path) -> None:
    path = plain(tmp_path / "p.npz", np.ones((1, 9, 9)), {"phi": [0.0], "q": 0.0062, "dt": 1.0})
    with zipfile.ZipFile(path) as archive:
        first = archive.getinfo("c2.npy").header_offset
    content = bytearray(path.read_bytes())
    content[first + 40 : first + 60] = b"\0" * 20
    path.write_bytes(content)
    fails(path, "c2")


def test_locked_hdf5(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    script = (
        "import h5py, sys\n"
        f"f = h5py.File({str(path)!r}, 'r+')\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        error = fails(path, "locked")
        holder.communicate("")
    assert "wait" in str(error.hint)
    assert read_dataset(DataSelection(path=path, q=0.0062), "static").n_phi == 3


def test_unknown_layout_lists_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["scan/counts"] = [1, 2]
        file["xpcs"] = 3.0
    fails(path, "no known layout", "scan", "xpcs")


def test_multitau_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["/xpcs/multitau/normalized_g2"] = np.ones((5, 3))
    fails(path, "multi-tau")


def test_unknown_npz_lists_its_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(2), b=np.ones(3))
    fails(tmp_path / "x.npz", "no known layout", "a, b")


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, c2=np.array([{"a": 1}], dtype=object), phi=[0.0])
    fails(path, "c2")


@pytest.mark.parametrize(
    "name",
    [
        "/xpcs/twotime/processed_bins",
        "/xpcs/qmap/dynamic_v_list_dim0",
        "/xpcs/qmap/dynamic_v_list_dim1",
    ],
)
def test_missing_dataset_aps_u(tmp_path: Path, name: str) -> None:
    def change(file: h5py.File) -> None:
        del file[name]

    grid = Grid(masked=[(0, 0)])
    fails(spoil(aps_u(tmp_path / "a.h5", grid, only=[3, 4, 5]), change), f"{name}: missing")


@pytest.mark.parametrize("name", ["/xpcs/dqlist", "/xpcs/dphilist"])
def test_missing_dataset_legacy(tmp_path: Path, name: str) -> None:
    def change(file: h5py.File) -> None:
        del file[name]

    fails(spoil(aps_legacy(tmp_path / "l.h5", Grid()), change), f"{name}: missing")


def test_missing_dataset_nxxpcs(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["/entry/instrument/masks/dynamic_q_list"]

    fails(spoil(nxxpcs(tmp_path / "n.h5", Grid()), change), "dynamic_q_list: missing")


def test_some_bins_processed_but_not_said_which(tmp_path: Path) -> None:
    path = aps_legacy(tmp_path / "l.h5", Grid(), bins_list="none")

    def change(file: h5py.File) -> None:
        del file["/exchange/C2T_all/g2_00006"]

    fails(spoil(path, change), "qphi_bin_to_process", "5 maps for 6 bins")


def test_maps_that_do_not_fit_the_bins(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["/xpcs/twotime/correlation_map/c2_00009"] = np.ones((14, 14))

    fails(spoil(aps_u(tmp_path / "a.h5", Grid()), change), "7 maps", "6 processed bins")


def test_two_maps_of_the_same_number(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["/xpcs/twotime/correlation_map/c2_2"] = np.ones((14, 14))

    fails(spoil(aps_u(tmp_path / "a.h5", Grid()), change), "c2_00002", "c2_2")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("/xpcs/twotime/processed_bins", [1, 2, 3, 4, 5, 7], "bins 1 to 7"),
        ("/xpcs/qmap/dynamic_index_mapping", [0, 1, 2, 3, 4, 9], "place 9 of a grid of 2 x 3"),
        ("/xpcs/qmap/map_names", [b"x", b"y"], "x and y"),
        ("/xpcs/qmap/map_units", [b"pixel", b"deg"], "'pixel'"),
        ("/xpcs/qmap/dynamic_v_list_dim0", [b"a", b"b"], "not numbers"),
    ],
)
def test_wrong_values_aps_u(tmp_path: Path, name: str, value: list[object], wanted: str) -> None:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = np.array(value)

    fails(spoil(aps_u(tmp_path / "a.h5", Grid()), change), name, wanted)


@pytest.mark.parametrize(
    ("shape", "wanted"), [((14, 13), "(14, 13)"), ((9, 9), "9 frames"), ((14,), "(14,)")]
)
def test_shapes_of_maps(tmp_path: Path, shape: tuple[int, ...], wanted: str) -> None:
    name = "/xpcs/twotime/correlation_map/c2_00005"

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = np.ones(shape)

    fails(spoil(aps_u(tmp_path / "a.h5", Grid()), change), name, wanted)


def test_a_bad_map_of_another_ring_does_no_harm(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["/xpcs/twotime/correlation_map/c2_00001"]
        file["/xpcs/twotime/correlation_map/c2_00001"] = np.ones((3, 4))

    path = spoil(aps_u(tmp_path / "a.h5", Grid()), change)
    assert read_dataset(DataSelection(path=path, q=0.0062), "static").n_phi == 3


def test_complex_maps(tmp_path: Path) -> None:
    path = plain(tmp_path / "p.h5", np.ones((1, 9, 9)).astype(complex), {"phi": [0.0]})
    fails(path, "/c2", "complex128")


def test_nxxpcs_ambiguous_or_ill_shaped(tmp_path: Path) -> None:
    grid = Grid(phi=(0.0, 1.0, 2.0), q=(0.0054, 0.0062), n=6)
    fails(nxxpcs(tmp_path / "a.h5", grid, storage=None), "storage_mode")

    def change(file: h5py.File) -> None:
        del file["/entry/twotime/two_time_corr_func"]
        file["/entry/twotime/two_time_corr_func"] = np.ones((3, 4, 5))

    fails(spoil(nxxpcs(tmp_path / "b.h5", grid), change), "not square", "(3, 4, 5)")


def test_nxxpcs_lists_that_do_not_fit(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["/entry/instrument/masks/dynamic_q_list"]
        file["/entry/instrument/masks/dynamic_q_list"] = [0.0062] * 5

    fails(spoil(nxxpcs(tmp_path / "n.h5", Grid()), change), "6 maps", "5 bins")


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ({"phi": [0.0], "q": 0.0062, "dt": 1.0}, "phi: holds 1 angles for 2 maps"),
        ({"phi": [0.0, 1.0], "q": [1.0, 2.0, 3.0], "dt": 1.0}, "q: holds 3 values"),
        ({"phi": [0.0, 1.0], "q": 0.0062}, "no frame interval"),
        ({"phi": [0.0, 1.0], "q": 0.0062, "dt": -1.0}, "no frame interval"),
        ({"q": 0.0062, "dt": 1.0}, "no angles"),
        ({"phi": [0.0, 1.0], "q": 0.0062, "dt": 1.0, "sigma": [0.1, -0.1]}, "noise is positive"),
        ({"phi": [0.0, 1.0], "q": 0.0062, "dt": 1.0, "sigma": np.ones((2, 3, 3))}, "(2, 3, 3)"),
        ({"phi": [0.0, 1.0], "q": -0.0062, "dt": 1.0}, "no map has a usable wave vector"),
    ],
)
@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_plain_files(tmp_path: Path, suffix: str, numbers: dict[str, Numbers], wanted: str) -> None:
    c2 = np.array([one_map(9, 1, k) for k in range(2)])
    fails(plain(tmp_path / f"p{suffix}", c2, numbers), wanted)


def test_no_wave_vector_anywhere(tmp_path: Path) -> None:
    path = plain(tmp_path / "p.h5", np.ones((1, 9, 9)), {"phi": [0.0], "dt": 1.0})
    fails(path, "no wave vector", q=None)


@pytest.mark.parametrize("q", [0.0008, 0.05, 0.0070])
def test_q_not_in_the_file_lists_the_rings(tmp_path: Path, q: float) -> None:
    fails(aps_u(tmp_path / "a.h5", Grid()), f"{q:g}", "0.0054, 0.0062", q=q)


def test_several_rings_and_no_q(tmp_path: Path) -> None:
    fails(aps_u(tmp_path / "a.h5", Grid()), "2 rings", "0.0054, 0.0062", q=None)


@pytest.mark.parametrize(("start", "end"), [(0, 5), (-3, 5), (1, 15), (15, -1), (9, 4), (1, 0)])
def test_frames_out_of_range(tmp_path: Path, start: int, end: int) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    fails(path, "out of range", "14 frames", start_frame=start, end_frame=end)


@pytest.mark.parametrize(("start", "end"), [(1, 1), (3, 4), (12, -1)])
def test_fewer_than_three_frames(tmp_path: Path, start: int, end: int) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    fails(path, "at least 3", start_frame=start, end_frame=end)


def test_bad_frames_that_the_file_does_not_have(tmp_path: Path) -> None:
    fails(aps_u(tmp_path / "a.h5", Grid()), "15, 40", bad_frames=(2, 15, 40))


def test_no_angle_left_lists_the_angles(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    fails(path, "60 to 90", "-30, 0, 45", phi_ranges=((60.0, 90.0),))
    fails(path, "-30, 0, 45", phi_ranges=())


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_map_without_values_is_named(tmp_path: Path, value: float) -> None:
    name = "/xpcs/twotime/correlation_map/c2_00005"

    def change(file: h5py.File) -> None:
        file[name][...] = value

    fails(spoil(aps_u(tmp_path / "a.h5", Grid()), change), name, "no finite value")


def test_all_frames_bad(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    fails(path, "no finite value", bad_frames=tuple(range(1, 14)))


def test_laminar_flow_needs_a_gap(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with pytest.raises(ConfigError, match="gap"):
        read_dataset(DataSelection(path=path, q=0.0062), "laminar_flow")


def test_errors_of_the_progress_callback_are_its_own(tmp_path: Path) -> None:
    def progress(done: int, total: int) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    path = aps_u(tmp_path / "a.h5", Grid())
    with pytest.raises(BrokenPipeError):
        read_dataset(DataSelection(path=path, q=0.0062), "static", progress)


@pytest.mark.parametrize("write", [write_aps_u, write_aps_legacy])
def test_writing_where_it_cannot_be(tmp_path: Path, write: Callable[..., None]) -> None:
    arguments = (np.ones((1, 5, 5)), np.zeros(1), 0.005, 0.1)
    taken = tmp_path / "taken.h5"
    taken.write_text("mine")
    with pytest.raises(OutputError, match=r"taken\.h5: already exists"):
        write(taken, *arguments)
    assert taken.read_text() == "mine"
    with pytest.raises(OutputError, match="a directory"):
        write(tmp_path, *arguments, force=True)
    with pytest.raises(OutputError, match="No such file"):
        write(tmp_path / "no" / "d.h5", *arguments)
    with pytest.raises(OutputError, match="cannot be written"):
        write(taken / "d.h5", *arguments)
    with pytest.raises(ValueError, match="do not fit"):
        write(tmp_path / "d.h5", np.ones((2, 5, 5)), *arguments[1:])
    assert [p.name for p in tmp_path.iterdir()] == ["taken.h5"]
    write(taken, *arguments, force=True)
    with h5py.File(taken) as file:
        assert "xpcs" in file


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OutputError, match="No space left"):
        write_aps_u(tmp_path / "d.h5", np.ones((1, 5, 5)), np.zeros(1), 0.005, 0.1)
    assert list(tmp_path.iterdir()) == []
