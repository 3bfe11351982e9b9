"""Maps in one array: plain HDF5 or npz, and the cache of homodyne 2.x."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.formats.aps import unit_of_q
from homodyne_cli.io.formats.hdf5_access import Hdf5File, float_type
from homodyne_cli.io.formats.npz_access import NpzFile, NpzStack
from homodyne_cli.io.formats.raw_source import (
    BlockReader,
    Interval,
    NamedArray,
    RawSource,
    SigmaSource,
)
from homodyne_cli.io.formats.units import to_degrees, unstated

_CACHE_KEYS: Final = ("c2_exp", "wavevector_q_list", "phi_angles_list")
_C2: Final = NamedArray("/c2")
_FRAMES_IN_NAME: Final = re.compile(r"frames_(\d+)_(-?\d+)")


@dataclass(frozen=True)
class _Arrays:
    """A stack of maps and the numbers beside it, from either kind of file."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    read: BlockReader
    numbers: Callable[[str], FloatArray | None]


def read_plain_hdf5(file: Hdf5File, named: NamedArray = _C2) -> RawSource:
    """Describe a plain HDF5 file: ``c2``, ``phi``, ``q``, ``dt`` and perhaps ``sigma`` and ``t``.

    `c2` is (n_phi, n, n), or (n, n) for one map; `q` is one value or one per map; `t` is one per
    frame. `phi`, `q`, `dt` and `t` are datasets or attributes of the group of the maps.

    Parameters
    ----------
    named
        The array with the maps, where it is not ``/c2``.

    Raises
    ------
    DataError
        There is none, or shapes do not fit together.
    """
    name = f"/{named.name.strip('/')}"
    if not file.is_dataset(name):
        file.node(name)
        hint = f"homodyne inspect {file.path} lists them"
        raise DataError("no such array", path=file.path, dataset=name, hint=hint, code=Code.LAYOUT)
    group = name.rpartition("/")[0]
    shape, dtype = file.shape(name), float_type(file.dtype(name), file.path, name)
    last = named.angle_axis == "last" and len(shape) == 3
    arrays = _Arrays(
        path=file.path,
        name=name,
        shape=(shape[2], *shape[:2]) if last else shape,
        dtype=dtype,
        read=_hdf5_reader(file, name, dtype, last=last),
        numbers=lambda list_name: file.numbers(f"{group}/{list_name}"),
    )
    sigma = None
    if name == "/c2" and file.is_dataset("/sigma") and len(file.shape("/sigma")) >= 2:
        float_type(file.dtype("/sigma"), file.path, "/sigma")
        _check_sigma(arrays, file.shape("/sigma"))
        reader = _hdf5_reader(file, "/sigma", np.dtype(np.float64))
        sigma = SigmaSource("/sigma", read=reader)
    units = {axis: file.attribute(f"{group}/{axis}", "units") for axis in ("q", "phi")}
    raw = _plain(arrays, sigma, "plain HDF5")
    q, phi, turn = raw.q, raw.phi, to_degrees(units["phi"])
    return replace(
        raw,
        q=None if q is None else q * unit_of_q(file, units["q"], f"{group}/q"),
        phi=None if phi is None else phi * turn,
        phi_factor=turn,
        units=frozenset(axis for axis, unit in units.items() if not unstated(unit)),
    )


def read_npy(stack: NpzStack) -> RawSource:
    """Describe a single array: maps, of which the config says the rest."""
    return _plain(_arrays(stack, lambda _: None), None, "npy")


def read_npz(archive: NpzFile, named: NamedArray | None = None) -> RawSource:
    """Describe an npz archive: plain, or a cache of homodyne 2.x.

    Parameters
    ----------
    named
        The array with the maps, where it is not ``c2``.

    Raises
    ------
    DataError
        It holds neither, or shapes do not fit together.
    """
    if named is None and all(key in archive.names for key in _CACHE_KEYS):
        return _cache(archive)
    name = "c2" if named is None else named.name
    if name not in archive.names:
        raise DataError(
            f"no known layout; arrays: {', '.join(archive.names) or 'none'}",
            path=archive.path,
            code=Code.LAYOUT,
            hint="accepted: c2, phi, q, dt, or a homodyne 2.x cache "
            "(c2_exp, wavevector_q_list, phi_angles_list, t1, t2)",
        )
    last = named is not None and named.angle_axis == "last"
    arrays = _npz_arrays(archive, name, last=last)
    sigma = None
    if named is None and "sigma" in archive.names:
        stack = archive.stack("sigma")
        if len(stack.shape) >= 2:
            _check_sigma(arrays, stack.shape)
            float_type(stack.dtype, archive.path, "sigma")
            sigma = SigmaSource("sigma", read=_npz_reader(stack, np.dtype(np.float64)))
    return _plain(arrays, sigma, "plain npz")


def _hdf5_reader(
    file: Hdf5File, name: str, dtype: np.dtype[np.generic], *, last: bool = False
) -> BlockReader:
    flat = len(file.shape(name)) == 2

    def read(index: int, low: int, high: int) -> MapArray:
        rows = slice(low, high)
        place = (rows, rows, index) if last else (index, rows, rows)
        return file.block(name, (rows, rows) if flat else place, dtype)

    return read


def _npz_reader(stack: NpzStack, dtype: np.dtype[np.generic], *, last: bool = False) -> BlockReader:
    def read(index: int, low: int, high: int) -> MapArray:
        one: NDArray[np.generic] = stack.whole[..., index] if last else stack.slice(index)
        block: MapArray = np.asarray(one[low:high, low:high], dtype=dtype)
        return block

    return read


def _npz_arrays(archive: NpzFile, name: str, *, last: bool = False) -> _Arrays:
    return _arrays(archive.stack(name), archive.numbers, last=last)


def _arrays(
    stack: NpzStack, numbers: Callable[[str], FloatArray | None], *, last: bool = False
) -> _Arrays:
    if len(stack.shape) == 2:
        stack = stack.as_one()
    last = last and len(stack.shape) == 3
    dtype = float_type(stack.dtype, stack.path, stack.name)
    return _Arrays(
        path=stack.path,
        name=stack.name,
        shape=(stack.shape[2], *stack.shape[:2]) if last else stack.shape,
        dtype=dtype,
        read=_npz_reader(stack, dtype, last=last),
        numbers=numbers,
    )


def _check_sigma(arrays: _Arrays, shape: tuple[int, ...]) -> None:
    if shape != arrays.shape and (1, *shape) != arrays.shape:
        raise DataError(
            f"has shape {shape} where {arrays.name} has {arrays.shape}",
            path=arrays.path,
            dataset="sigma",
            hint="give one value, one per map, or one per pair",
        )


def _n_maps(arrays: _Arrays) -> int:
    if len(arrays.shape) not in (2, 3):
        raise DataError(
            f"has shape {arrays.shape}; (n_phi, n, n) is needed",
            path=arrays.path,
            dataset=arrays.name,
        )
    if 0 in arrays.shape:
        raise DataError(f"has shape {arrays.shape}: empty", path=arrays.path, dataset=arrays.name)
    return 1 if len(arrays.shape) == 2 else arrays.shape[0]


def _per_map(arrays: _Arrays, name: str, n_maps: int) -> FloatArray | None:
    values = arrays.numbers(name)
    if values is None:
        return None
    if len(values) == 1:
        return np.repeat(values, n_maps)
    if len(values) != n_maps:
        raise DataError(
            f"holds {len(values)} values for {n_maps} maps",
            path=arrays.path,
            dataset=name,
            hint="give one value per map",
        )
    return values


def _plain(arrays: _Arrays, sigma: SigmaSource | None, layout: str) -> RawSource:
    """Describe an array with lists beside it, whose units are not known."""
    n_maps = _n_maps(arrays)
    q, phi = _per_map(arrays, "q", n_maps), arrays.numbers("phi")
    if phi is not None and len(phi) != n_maps:
        raise DataError(
            f"holds {len(phi)} angles for {n_maps} maps", path=arrays.path, dataset="phi"
        )
    dt = arrays.numbers("dt")
    usable = dt is not None and len(dt) == 1 and np.isfinite(dt[0]) and dt[0] > 0
    notes = () if dt is None or usable else (f"dt in the file is {dt} and was not used",)
    if sigma is None:
        values = _per_map(arrays, "sigma", n_maps)
        sigma = None if values is None else SigmaSource("sigma", values=values)
    return RawSource(
        path=arrays.path,
        layout=layout,
        maps=tuple(f"{arrays.name}[{k}]" for k in range(n_maps)),
        shapes=(arrays.shape[-2:],) * n_maps,
        dtype=arrays.dtype,
        read=arrays.read,
        q=q,
        q_source="q",
        phi=phi,
        phi_source="phi",
        interval=Interval(float(dt[0]), "dt") if dt is not None and usable else None,
        times=arrays.numbers("t"),
        sigma=sigma,
        units=frozenset(),
        notes=notes,
    )


def _cache(archive: NpzFile) -> RawSource:
    """Describe a homodyne 2.x cache: frames are cut already, several rings may be in it."""
    arrays = _npz_arrays(archive, "c2_exp")
    n_maps = _n_maps(arrays)
    q = _per_map(arrays, "wavevector_q_list", n_maps)
    phi = arrays.numbers("phi_angles_list")
    if phi is None or len(phi) != n_maps:
        raise DataError(
            f"holds {0 if phi is None else len(phi)} angles for {n_maps} maps",
            path=archive.path,
            dataset="phi_angles_list",
        )
    n_frames = arrays.shape[-1]
    notes = ["dt comes from t1 of a homodyne 2.x cache, which copied it from its own config"]
    times = _times(archive, n_frames)
    interval = _spacing(times)
    numbered_from = _first_frame(archive.path, n_frames)
    if numbered_from != 1:
        notes.append(
            f"the cache's name says that it begins at frame {numbered_from}: "
            "frames are counted from there"
        )
    return RawSource(
        path=archive.path,
        layout="homodyne 2.x cache",
        maps=tuple(f"c2_exp[{k}]" for k in range(n_maps)),
        shapes=(arrays.shape[-2:],) * n_maps,
        dtype=arrays.dtype,
        read=arrays.read,
        q=q,
        q_source="wavevector_q_list",
        phi=phi,
        phi_source="phi_angles_list",
        interval=interval,
        numbered_from=numbered_from,
        began=Interval(float(times[0]), "t1[0]") if times is not None and times[0] > 0 else None,
        notes=tuple(notes[0 if interval else 1 :]),
    )


def _times(archive: NpzFile, n_frames: int) -> FloatArray | None:
    """Return t1, (n_frames,) seconds; None if the cache has none."""
    if "t1" not in archive.names:
        return None
    stack = archive.stack("t1")
    if stack.dtype.kind not in "fiu" or len(stack.shape) not in (1, 2) or 0 in stack.shape:
        return None
    times = np.asarray(archive.array("t1") if len(stack.shape) == 1 else stack.slice(0))
    if len(stack.shape) == 2 and times[0] == times[-1]:
        # Older caches store the mesh; time runs along one of its axes.
        times = np.array([stack.slice(k)[0] for k in range(stack.shape[0])])
    if times.shape != (n_frames,) or n_frames < 2:
        return None
    return np.asarray(times, dtype=float)


def _spacing(times: FloatArray | None) -> Interval | None:
    if times is None:
        return None
    step = float((times[-1] - times[0]) / (len(times) - 1))
    return Interval(step, "spacing of t1") if np.isfinite(step) and step > 0 else None


def _first_frame(path: Path, n_frames: int) -> int:
    match = _FRAMES_IN_NAME.search(path.name)
    if match is None:
        return 1
    first, last = int(match.group(1)), int(match.group(2))
    return first if last < 0 or last - first + 1 == n_frames else 1
