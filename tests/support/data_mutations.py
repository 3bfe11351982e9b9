"""Damage small data files of every layout that is read: bytes, structure, types, shapes, values.

Everything follows from the generator that is handed in, so that a seed names a file.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import h5py
import numpy as np

from tests.support.layout_writers import (
    Grid,
    aps_legacy,
    aps_u,
    homodyne_cache,
    nxxpcs,
    one_map,
    plain,
)

Rng = np.random.Generator
_Item = TypeVar("_Item")
#: q of the ring that `GRID` has three angles of; maps have 13 frames.
Q: Final = 0.0062
GRID: Final = Grid(n=14)

_EXTREMES: Final = (0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 2**40, 2**20)
_FAR: Final = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, 1e308, 1e-308, -1e30, 65504.0)
_SHAPES: Final = (
    (2**40,),
    (2**20, 2**20),
    (3, 2**16, 2**16),
    (2**30, 3, 3),
    (2**30, 2**27),
    (0,),
    (0, 0),
    (3, 0, 0),
    (1, 1),
    (2, 1, 1, 1),
    (70_000_000,),
)


def _plain_hdf5(path: Path, **storage: object) -> Path:
    c2 = np.array([one_map(GRID.n, 1, angle) for angle in range(3)])
    sigma = np.full(c2.shape, 0.01)
    with h5py.File(path, "w", libver=storage.pop("libver", None)) as file:
        for name, stack in (("c2", c2), ("sigma", sigma)):
            file.create_dataset(name, data=stack, **storage)
        file["phi"], file["q"], file["dt"] = GRID.phi, Q, 0.1
    return path


def _virtual(path: Path) -> Path:
    source = path.with_name(f"{path.stem}-source.h5")
    with h5py.File(source, "w") as file:
        for angle in range(3):
            file[f"part{angle}"] = one_map(GRID.n, 1, angle)
    layout = h5py.VirtualLayout((3, GRID.n, GRID.n), float)
    for angle in range(3):
        layout[angle] = h5py.VirtualSource(source.name, f"part{angle}", (GRID.n, GRID.n))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("c2", layout)
        file["phi"], file["q"], file["dt"] = GRID.phi, Q, 0.1
    return path


def _plain_npz(path: Path) -> Path:
    c2 = np.array([one_map(GRID.n, 1, angle) for angle in range(3)])
    return plain(path, c2, {"phi": GRID.phi, "q": Q, "dt": 0.1, "sigma": np.full(3, 0.01)})


LAYOUTS: Final[Mapping[str, tuple[str, Callable[[Path], Path]]]] = {
    "aps-u": (".h5", lambda path: aps_u(path, GRID)),
    "aps-legacy": (".hdf", lambda path: aps_legacy(path, GRID)),
    "nxxpcs": (".nxs", lambda path: nxxpcs(path, GRID)),
    "nxxpcs-keys": (".nxs", lambda path: nxxpcs(path, GRID, layout="keys")),
    "plain": (".h5", _plain_hdf5),
    "plain-chunked": (".h5", lambda p: _plain_hdf5(p, chunks=(1, 5, 5), compression="gzip")),
    "plain-latest": (".h5", lambda p: _plain_hdf5(p, chunks=(1, 5, 5), libver="latest")),
    "virtual": (".h5", _virtual),
    "npz": (".npz", _plain_npz),
    "cache": (".npz", lambda path: homodyne_cache(path, GRID)),
}


def mutate(original: Path, target: Path, rng: Rng) -> str:
    """Write a damaged copy of a file and return in words what was done."""
    shutil.copy(original, target)
    other = _member if original.suffix == ".npz" else _structure
    return (_bytes if rng.random() < 0.5 else other)(target, rng)


def _pick(rng: Rng, items: tuple[_Item, ...]) -> _Item:
    return items[rng.integers(len(items))]


def _bytes(path: Path, rng: Rng) -> str:
    content = bytearray(path.read_bytes())
    size = len(content)
    at = int(rng.integers(size))
    length = int(rng.integers(1, 65))
    kind = rng.integers(6)
    if kind == 0:
        places = rng.integers(size, size=int(rng.integers(1, 33)))
        for place in places:
            content[place] ^= 1 << int(rng.integers(8))
        done = f"{len(places)} bits turned"
    elif kind == 1:
        places = rng.integers(size, size=int(rng.integers(1, 9)))
        for place in places:
            content[place] = int(rng.integers(256))
        done = f"{len(places)} bytes set"
    elif kind == 2:
        done = f"truncated to {at}"
        del content[at:]
    elif kind == 3:
        content[at : at + length] = rng.bytes(length)
        done = f"{length} bytes of noise at {at}"
    elif kind == 4:
        width = int(_pick(rng, (1, 2, 4, 8)))
        value = int(_pick(rng, _EXTREMES)) % 2 ** (8 * width)
        content[at : at + width] = value.to_bytes(width, "little")
        done = f"{width} bytes at {at} set to {value}"
    else:
        other = int(rng.integers(size))
        content[at : at + length] = content[other : other + length]
        done = f"{length} bytes at {at} copied from {other}"
    path.write_bytes(content)
    return done


def _names(file: h5py.File) -> tuple[str, ...]:
    names: list[str] = []
    file.visit(names.append)
    return tuple(sorted(names))


def _structure(path: Path, rng: Rng) -> str:
    with h5py.File(path, "r+") as file:
        name = str(_pick(rng, _names(file)))
        change = CHANGES[rng.integers(len(CHANGES))]
        change(file, name, rng)
    return f"{change.__name__.strip('_')} at {name}"


def _gone(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]


def _group_instead(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file.create_group(f"{name}/inner")


def _dataset_instead(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name] = rng.normal(size=int(rng.integers(1, 20)))


def _soft_loop(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name] = h5py.SoftLink(f"/{name}")


def _two_soft_links(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name], file["other"] = h5py.SoftLink("/other"), h5py.SoftLink(f"/{name}")


def _group_in_itself(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name] = file[name.rpartition("/")[0] or "/"]


def _missing_target(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name] = h5py.SoftLink("/nowhere/at/all")


def _external(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    own = Path(file.filename).name
    target = str(_pick(rng, (own, "gone.h5", "/dev/zero", "/etc/passwd", ".", "../..")))
    file[name] = h5py.ExternalLink(target, f"/{name}")


def _external_storage(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    where = str(_pick(rng, ("/etc/passwd", "/dev/zero", "gone.bin")))
    file.create_dataset(name, (3, 14, 14), np.float32, external=[(where, 0, 3 * 14 * 14 * 4)])


def _virtual_source(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    layout = h5py.VirtualLayout((3, 14, 14), float)
    source = str(_pick(rng, (".", "gone.h5", "/dev/zero", "..")))
    inner = str(_pick(rng, (name, "nowhere", "phi")))
    layout[:] = h5py.VirtualSource(source, inner, (3, 14, 14))
    file.create_virtual_dataset(name, layout)


def _other_type(file: h5py.File, name: str, rng: Rng) -> None:
    shape = _shape_of(file, name)
    del file[name]
    kinds = ("f2", ">f8", ">f4", "i1", "u8", "c16", "S5", "V7", "?", "i2,f8", "(2,)f4")
    kind = str(_pick(rng, kinds))
    file[name] = np.zeros(shape, kind)


def _own_type(file: h5py.File, name: str, rng: Rng) -> None:
    shape = _shape_of(file, name)
    del file[name]
    kinds = (
        h5py.string_dtype(),
        h5py.vlen_dtype(np.float64),
        h5py.enum_dtype({"a": 1, "b": 2}),
        h5py.ref_dtype,
        h5py.opaque_dtype(np.dtype("M8[s]")),
    )
    file.create_dataset(name, shape, _pick(rng, kinds))


def _shape_of(file: h5py.File, name: str) -> tuple[int, ...]:
    node = file[name]
    return node.shape if isinstance(node, h5py.Dataset) and node.shape else ()


def _other_shape(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    shape = tuple(_pick(rng, _SHAPES))
    chunks = tuple(min(64, max(1, n)) for n in shape)
    limits = (None,) * len(shape)
    options = {} if int(rng.integers(2)) else {"compression": "gzip"}
    file.create_dataset(name, shape, np.float32, chunks=chunks, maxshape=limits, **options)


def _never_written(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file.create_dataset(name, tuple(_pick(rng, _SHAPES)), np.float64)


def _small_shape(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    shape = tuple(int(n) for n in rng.integers(0, 16, size=int(rng.integers(0, 5))))
    file[name] = rng.normal(size=shape)


def _no_space(file: h5py.File, name: str, rng: Rng) -> None:
    del file[name]
    file[name] = h5py.Empty("f8")


def _far_values(file: h5py.File, name: str, rng: Rng) -> None:
    node = file[name]
    if not isinstance(node, h5py.Dataset) or node.dtype.kind not in "fiu":
        return
    values = np.array(node[()])
    some = rng.random(values.shape) < float(_pick(rng, (0.01, 0.2, 1.1)))
    chosen = float(_pick(rng, _FAR))
    if values.dtype.kind in "iu":
        chosen = float(rng.integers(0, 128))
    with np.errstate(over="ignore"):
        node[()] = np.where(some, np.array(chosen).astype(values.dtype), values)


def _attributes(file: h5py.File, name: str, rng: Rng) -> None:
    node = file[name]
    keys = ("units", "storage_mode", "baseline_reference", "populated_elements", "signal")
    key = str(_pick(rng, (*keys, *node.attrs)))
    values = (
        0.0,
        np.nan,
        b"\xff\xfe",
        "rad",
        "1/nm",
        np.arange(3.0),
        h5py.Empty("f8"),
        np.zeros((2, 2), "i2,f8"),
        np.array([], dtype=float),
        "x" * 5000,
    )
    node.attrs[key] = _pick(rng, values)


def _root_attribute(file: h5py.File, name: str, rng: Rng) -> None:
    key = name.rpartition("/")[2]
    if key in file:
        del file[key]
    values = (0.1, np.nan, "text", h5py.Empty("f8"), np.arange(4.0), b"\xff")
    file.attrs[key] = _pick(rng, values)


CHANGES: Final = (
    _gone,
    _group_instead,
    _dataset_instead,
    _soft_loop,
    _two_soft_links,
    _group_in_itself,
    _missing_target,
    _external,
    _external_storage,
    _virtual_source,
    _other_type,
    _own_type,
    _other_shape,
    _never_written,
    _small_shape,
    _no_space,
    _far_values,
    _attributes,
    _root_attribute,
)

_HEADERS: Final = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 14, 14), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 14, 14), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 65536, 65536), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 14, 14), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 14, -14), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 3), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (588,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '<U7', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '<f2', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '>f8', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': ('<f8', (2,)), 'fortran_order': False, 'shape': (3, 14, 7), }",
    "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (3, 14, 14), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 14L, 14L), }",
    "{'descr': '<f8', 'fortran_order': 1, 'shape': (3, 14, 14), }",
    "{'descr': '<f8', 'shape': (3, 14, 14), }",
    "{'descr': 'nonsense', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 14, 14), ",
    "('''",
    "{'a': [}",
    "[" * 3000,
    "\x00\x00\xff\xff",
    "",
)


def npy_bytes(header: str, data: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return what an npy file with that very header holds."""
    text = header.encode("latin1") + b"\n"
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text + data


def _member(path: Path, rng: Rng) -> str:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(_pick(rng, tuple(members)))
    kind = rng.integers(7)
    if kind == 0:
        del members[name]
        done = "left out"
    elif kind in (1, 2):
        header = str(_pick(rng, _HEADERS))
        version = (1, 0) if rng.integers(2) else (2, 0)
        members[name] = npy_bytes(header, members[name][128:], version)
        done = f"header {header[:70]!r}"
    elif kind == 3:
        members[name] = members[name][: int(rng.integers(len(members[name])))]
        done = f"cut to {len(members[name])}"
    elif kind == 4:
        members[name] = rng.bytes(int(rng.integers(0, 300)))
        done = "noise"
    elif kind == 5:
        chosen = np.full(int(rng.integers(1, 8)), float(_pick(rng, _FAR)))
        members[name] = _saved(chosen)
        done = f"values {chosen}"
    else:
        members[name] = _saved(np.zeros(tuple(rng.integers(0, 15, size=int(rng.integers(0, 5))))))
        done = "zeros of another shape"
    compression = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(path, "w", compression[rng.integers(4)]) as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    return f"{name}: {done}"


def _saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def overwrite(path: Path, after: bytes, skipped: int, value: bytes) -> Path:
    """Put `value` so many bytes after the first place that has the bytes `after`."""
    content = bytearray(path.read_bytes())
    place = content.find(after)
    assert place >= 0
    content[place + skipped : place + skipped + len(value)] = value
    path.write_bytes(content)
    return path


def deadly(path: Path) -> Path:
    """Write a virtual map with a selection of 8195 dimensions, which the library reads into 32."""
    return overwrite(_virtual(path), b"\x20\0\0\0\x03\0\0\0\x01\0\0\0", 5, b"\x20")
