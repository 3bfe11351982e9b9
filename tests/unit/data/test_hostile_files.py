"""Links, other files, declared sizes and headers: followed and checked before anything is read."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.layouts import open_source
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import DataSelection
from tests.support.data_mutations import npy_bytes
from tests.support.layout_writers import (
    Grid,
    Numbers,
    above,
    aps_legacy,
    aps_u,
    nxxpcs,
    one_map,
    plain,
)

C2 = np.array([one_map(12, 1, angle) for angle in range(3)])
NUMBERS: dict[str, Numbers] = {"phi": [-30.0, 0.0, 45.0], "q": 0.0062, "dt": 0.1}
Change = Callable[[h5py.File], None]


def read(path: Path, **settings: object) -> Dataset:
    selection = replace(DataSelection(path=path, q=0.0062, gap=2e6), **settings)  # type: ignore[arg-type]
    return read_dataset(selection, "laminar_flow")


def refused(path: Path, *wanted: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path)
    message = caught.value.message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for text in wanted:
        assert text in message
    return caught.value


def without_c2(path: Path, change: Change) -> Path:
    """Write a plain file, with `change` called after its maps were taken out."""
    plain(path, C2, NUMBERS)
    with h5py.File(path, "r+") as file:
        del file["c2"]
        change(file)
    return path


def link(target: h5py.SoftLink | h5py.ExternalLink) -> Change:
    def change(file: h5py.File) -> None:
        file["c2"] = target

    return change


def test_maps_through_links_of_both_kinds(tmp_path: Path) -> None:
    plain(tmp_path / "maps.h5", C2)

    def change(file: h5py.File) -> None:
        file["there"] = h5py.ExternalLink("maps.h5", "/")
        file["c2"] = h5py.SoftLink("there/./c2")

    path = without_c2(tmp_path / "a.h5", change)
    np.testing.assert_array_equal(above(read(path).array), above(C2[:, 1:, 1:]))
    with open_source(path) as raw:
        assert raw.files == (path, tmp_path / "maps.h5")


def test_a_link_is_looked_for_beside_the_file_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    plain(tmp_path / "raw" / "maps.h5", C2)
    (tmp_path / "raw" / "first.h5").write_bytes(
        without_c2(tmp_path / "x.h5", link(h5py.ExternalLink("maps.h5", "/c2"))).read_bytes()
    )
    path = without_c2(tmp_path / "a.h5", link(h5py.ExternalLink("raw/first.h5", "/c2")))
    assert read(path).n_phi == 3


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (h5py.ExternalLink("gone.h5", "/c2"), ("gone.h5:/c2", "missing")),
        (h5py.ExternalLink("other.h5", "/c3"), ("other.h5:/c3", "missing")),
        (h5py.ExternalLink("text.h5", "/c2"), ("text.h5:/c2", "cannot be read as HDF5")),
        (h5py.ExternalLink(".", "/c2"), ("a directory",)),
        (h5py.ExternalLink("a.h5", "/c2"), ("in a circle", "a.h5:/c2")),
        (h5py.SoftLink("/nowhere/at/all"), ("/nowhere/at/all", "missing")),
        (h5py.SoftLink("/c2"), ("in a circle", "/c2 -> /c2")),
        (h5py.SoftLink("/phi/inside"), ("/phi/inside", "missing")),
    ],
)
def test_links_that_lead_nowhere_are_named(
    tmp_path: Path, target: h5py.SoftLink | h5py.ExternalLink, wanted: tuple[str, ...]
) -> None:
    plain(tmp_path / "other.h5", C2)
    (tmp_path / "text.h5").write_text("not HDF5")
    refused(without_c2(tmp_path / "a.h5", link(target)), "/c2: ", *wanted)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    refused(tmp_path / "pipe.h5", "a pipe or a device")
    path = without_c2(tmp_path / "a.h5", link(h5py.ExternalLink("pipe.h5", "/c2")))
    refused(path, "pipe.h5:/c2", "a pipe or a device")
    refused(Path("/dev/zero"), "a pipe or a device")


def test_a_broken_link_to_what_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    path = nxxpcs(tmp_path / "n.nxs", Grid())
    with h5py.File(path, "r+") as file:
        file["a_raw"] = h5py.ExternalLink("raw_frames.h5", "/entry")
        file["entry/instrument/a_raw"] = h5py.SoftLink("/a_raw/detector")
    assert read(path).n_phi == 3


def test_a_group_inside_of_itself_does_no_harm(tmp_path: Path) -> None:
    path = aps_u(tmp_path / "a.h5", Grid())
    with h5py.File(path, "r+") as file:
        file["xpcs/qmap/up"] = file["xpcs"]
    assert read(path).n_phi == 3


def test_external_storage_reads_no_file_of_the_machine(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"0" * C2.nbytes)

    def change(file: h5py.File) -> None:
        file.create_dataset("c2", C2.shape, float, external=[(str(secret), 0, C2.nbytes)])

    error = refused(without_c2(tmp_path / "a.h5", change), "/c2", str(secret), "external storage")
    assert "h5repack" in str(error.hint)


def virtual(*sources: tuple[str, str, tuple[int, ...]]) -> Change:
    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(C2.shape, float)
        for k, (name, inside, shape) in enumerate(sources):
            layout[k] = h5py.VirtualSource(name, inside, shape)[:12, :12]
        file.create_virtual_dataset("c2", layout)

    return change


def test_virtual_maps_are_read_and_their_files_listed(tmp_path: Path) -> None:
    for k in range(3):
        with h5py.File(tmp_path / f"part{k}%.h5", "w") as file:
            file["c2"] = C2[k]
    path = without_c2(
        tmp_path / "a.h5", virtual(*((f"part{k}%%.h5", "c2", (12, 12)) for k in range(3)))
    )
    np.testing.assert_array_equal(above(read(path).array), above(C2[:, 1:, 1:]))
    with open_source(path) as raw:
        assert raw.files == (path, *(tmp_path / f"part{k}%.h5" for k in range(3)))


@pytest.mark.parametrize(
    ("name", "inside", "wanted"),
    [
        ("gone.h5", "c2", ("gone.h5:c2", "missing")),
        ("part.h5", "c3", ("part.h5:c3", "missing")),
        ("part.h5", "small", ("part.h5:small", "(5, 5)")),
        ("part.h5", "stolen", ("external storage",)),
        ("text.h5", "c2", ("text.h5:c2", "cannot be read as HDF5")),
    ],
)
def test_virtual_maps_that_would_be_made_up(
    tmp_path: Path, name: str, inside: str, wanted: tuple[str, ...]
) -> None:
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["c2"], file["small"] = C2[0], np.ones((5, 5))
        file.create_dataset("stolen", (12, 12), float, external=[("part.h5", 0, 12 * 12 * 8)])
    (tmp_path / "text.h5").write_text("not HDF5")
    good = ("part.h5", "c2", (12, 12))
    path = without_c2(tmp_path / "a.h5", virtual(good, (name, inside, (12, 12)), good))
    refused(path, "c2", *wanted)


def test_a_virtual_map_made_of_itself(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        for name, other in (("c2", "more"), ("more", "c2")):
            layout = h5py.VirtualLayout(C2.shape, float)
            layout[:] = h5py.VirtualSource(".", other, C2.shape)
            file.create_virtual_dataset(name, layout)

    refused(without_c2(tmp_path / "a.h5", change), "in a circle", ":/c2 -> ", ":/more -> ")


def test_numbered_virtual_sources(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        whole = h5py.h5s.create_simple((3, 12, 12), (h5py.h5s.UNLIMITED, 12, 12))
        whole.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), (1, 1, 1), (1, 12, 12))
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        one = h5py.h5s.create_simple((1, 12, 12))
        creation.set_virtual(whole, b"part-%b.h5", b"c2", one)
        h5py.h5d.create(file.id, b"c2", h5py.h5t.NATIVE_DOUBLE, whole, creation)

    refused(without_c2(tmp_path / "a.h5", change), "part-%b.h5")


def test_an_unfinished_virtual_source_without_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file.create_dataset("c2", data=C2, maxshape=(None, 12, 12))

    def change(file: h5py.File) -> None:
        space = h5py.h5s.create_simple((3, 12, 12), (h5py.h5s.UNLIMITED, 12, 12))
        space.select_hyperslab((0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1), (1, 1, 1), (1, 12, 12))
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_virtual(space, b"part.h5", b"c2", space)
        h5py.h5d.create(file.id, b"c2", h5py.h5t.NATIVE_DOUBLE, space, creation)

    assert read(without_c2(tmp_path / "a.h5", change)).n_phi == 3


@pytest.mark.parametrize("shape", [(2**40,), (3, 2**16, 2**16), (2**30, 3, 3), (2**20, 2, 2)])
@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
def test_sizes_that_the_file_cannot_hold(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, object]
) -> None:
    def change(file: h5py.File) -> None:
        file.create_dataset("c2", shape, np.float32, **options)

    refused(without_c2(tmp_path / "a.h5", change), "/c2: declares", "never written")


def test_a_list_is_not_as_long_as_memory(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.h5", C2, {"q": 0.0062, "dt": 0.1})
    with h5py.File(path, "r+") as file:
        file.create_dataset("phi", data=np.zeros(9_000_000), chunks=True, compression="gzip")
    refused(path, "/phi", "a short list")


@pytest.mark.parametrize("value", [0, 0.0, "0", "0.0", np.float32(0), np.array([0.0])])
def test_baseline_of_zero_however_it_is_stored(tmp_path: Path, value: object) -> None:
    path = nxxpcs(tmp_path / "n.nxs", Grid(), baseline=0)
    with h5py.File(path, "r+") as file:
        file["entry/twotime/two_time_corr_func"].attrs["baseline_reference"] = value
    data = read(path)
    np.testing.assert_allclose(above(data.array), Grid().expected(1, range(3)), rtol=1e-12)
    assert "1 was added" in data.notes[0]


def test_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = pytest.importorskip("hdf5plugin")

    def change(file: h5py.File) -> None:
        file.create_dataset("c2", data=C2, **plugin.Bitshuffle())

    path = without_c2(tmp_path / "a.h5", change)
    np.testing.assert_array_equal(above(read(path).array), above(C2[:, 1:, 1:]))
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    error = refused(path, "/c2", "bitshuffle", "32008")
    assert "hdf5plugin" in str(error.hint)


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 12, 12), }"


def archive(
    path: Path, header: str, data: bytes = C2.tobytes(), version: tuple[int, int] = (1, 0)
) -> Path:
    """Write a plain npz whose c2 has this very header."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("c2.npy", npy_bytes(header, data, version))
        for name, value in NUMBERS.items():
            stream = io.BytesIO()
            np.save(stream, np.asarray(value))
            out.writestr(f"{name}.npy", stream.getvalue())
    return path


# Python 2 wrote lengths with an L, and not in version 3.
@pytest.mark.parametrize(
    ("version", "length"),
    [((1, 0), "12"), ((2, 0), "12"), ((3, 0), "12"), ((1, 0), "12L"), ((2, 0), "12L")],
)
def test_headers_of_arrays(tmp_path: Path, version: tuple[int, int], length: str) -> None:
    header = HEADER.replace("12", length)
    data = read(archive(tmp_path / "a.npz", header, version=version))
    np.testing.assert_array_equal(above(data.array), above(C2[:, 1:, 1:]))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f2", ">f8", ">f4", "<f4"])
def test_types_and_order_of_arrays(tmp_path: Path, kind: str, order: str) -> None:
    header = HEADER.replace("<f8", kind).replace("False", str(order == "F"))
    path = archive(tmp_path / "a.npz", header, C2.astype(kind).tobytes(order))  # type: ignore[arg-type]
    np.testing.assert_allclose(
        above(read(path).array), above(C2.astype(kind).astype(float)[:, 1:, 1:])
    )


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (HEADER.replace("(3, ", "(-3, "), "declares (-3, 12, 12)"),
        (HEADER.replace("(3, ", "(1099511627776, "), "declares"),
        (HEADER.replace("(3, ", "(2, "), "3456 bytes"),
        (HEADER.replace("<f8", "|O"), "Python objects"),
        (HEADER.replace("'<f8'", "[('a', '<f8')]"), "not real numbers"),
        (HEADER.replace("<f8", "<M8[s]"), "not real numbers"),
        (HEADER.replace("'<f8'", "'nonsense'"), "damaged"),
        ("('''", "damaged"),
        ("{'a': [}", "damaged"),
        ("[" * 3000, "damaged"),
        ("\x00\xff", "damaged"),
    ],
)
def test_headers_that_lie(tmp_path: Path, header: str, wanted: str) -> None:
    refused(archive(tmp_path / "a.npz", header), "c2", wanted)


def test_archives_of_zeros_do_not_fill_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = "{'descr': '<f8', 'fortran_order': True, 'shape': (9000000,), }"
    archive(path, HEADER)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out:
        out.writestr("sigma.npy", npy_bytes(header, bytes(72_000_000)))
    refused(path, "sigma", "a short list")


@pytest.mark.parametrize("number", [np.nan, np.inf, -1.0, 1e300])
def test_a_number_of_rings_that_is_none_is_passed_over(tmp_path: Path, number: float) -> None:
    path = aps_legacy(tmp_path / "a.hdf", Grid())
    expected = read(path)
    with h5py.File(path, "r+") as file:
        file["/xpcs/dnoq"][...] = number
    np.testing.assert_array_equal(read(path).array, expected.array)
