"""The maps of a run, as HDF5: chunked, shuffled, lightly compressed, on all cores.

HDF5 compresses on one core. Its format of a chunk is simple, bytes shuffled and then deflated, so
chunks are made in threads (zlib leaves the interpreter free) and handed over ready. Maps are never
there as a whole: data are taken angle by angle, the fitted map is evaluated chunk by chunk.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from homodyne_cli.core.numerics.threads import core_threads, made_ahead
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, MapSource
from homodyne_cli.io.files.hdf5_output import hdf5_output
from homodyne_cli.io.run.arrays import FITTED_DATA
from homodyne_cli.io.run.fields import SCHEMA_VERSION
from homodyne_cli.results import FitResult

#: Chunks of 0.5 MB of float64, and the compression that costs least: noise hardly compresses. Runs
#: alone, of the bytes that all values have in common, take half the time of all matches: 154 MB/s
#: instead of 75 of noisy maps, to 0.51 instead of 0.52 of their size, and 277 instead of 155 of
#: fitted ones, to 0.29 instead of 0.23.
_CHUNK_FRAMES = 250
_DEFLATE_LEVEL = 1
#: Chunks made ahead of the one being written.
_AHEAD = 8

#: Rows and columns of a block of one angle's map.
Block = Callable[[slice, slice], MapArray]


class FittedMaps(Protocol):
    """What the fitted map is taken from."""

    def block(self, angle: int, rows: slice, columns: slice) -> MapArray:
        """Return part of the map of one angle."""
        ...


def write_fitted_data(path: Path, dataset: Dataset, result: FitResult, fitted: FittedMaps) -> None:
    """Write data as fitted, geometry, noise, scaling and the fitted map to HDF5.

    Maps hold pairs i < j; everything else in them is zero so that it costs no space.
    """
    with hdf5_output(path) as out, core_threads() as threads:
        file = out.file
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["description"] = "pairs i < j only; NaN marks a pair that was not fitted"
        data, model = (_create(file, name, dataset.c2) for name in ("c2", "c2_fitted"))
        for a in range(dataset.n_phi):
            _write_map(threads, data, a, _part_of(dataset.c2[a]))
            _write_map(threads, model, a, partial(fitted.block, a))
            out.check()
        one_ring = len(dataset.rows.rings) == 1
        values: dict[str, FloatArray | IndexArray | float | None] = {
            "phi": dataset.phi,
            "t": dataset.t,
            "contrast": result.contrast,
            "offset": result.offset,
            "contrast_uncertainty": result.contrast_uncertainty,
            "offset_uncertainty": result.offset_uncertainty,
            "sigma": result.sigma,
            "q": dataset.q[0] if one_ring else None,
            "q_of_map": None if one_ring else dataset.q,
            "repeat": None if dataset.repeat is None else dataset.repeat + 1,
            "pixels": dataset.pixels,
            "dt": dataset.dt,
            "stator_rotor_gap": dataset.gap,
        }
        for name, value in values.items():
            if value is not None:
                file[name] = value
        if dataset.sigma is not None and dataset.sigma.ndim == 3:
            noise = _create(file, "sigma_map", dataset.sigma)
            for a, one in enumerate(dataset.sigma):
                _write_map(threads, noise, a, _part_of(one))
        for name, stored in file.items():
            stored.attrs["unit"] = FITTED_DATA[name].unit


def _part_of(one: MapArray) -> Block:
    return lambda rows, columns: one[rows, columns]


def _create(file: h5py.File, name: str, maps: MapArray | MapSource) -> h5py.Dataset:
    side = min(maps.shape[1], _CHUNK_FRAMES)
    return file.create_dataset(
        name,
        shape=maps.shape,
        dtype=maps.dtype,
        chunks=(1, side, side),
        shuffle=True,
        compression="gzip",
        compression_opts=_DEFLATE_LEVEL,
        fillvalue=0,
    )


def _write_map(threads: ThreadPoolExecutor, out: h5py.Dataset, angle: int, block: Block) -> None:
    """Write an upper triangle; chunks that hold none of it are left to the fill value."""
    side, n = out.chunks[1], out.shape[1]
    places = [(i, j) for i in range(0, n, side) for j in range(i, n, side)]
    packed = made_ahead(threads, partial(_pack, block, side, out.dtype), places, _AHEAD)
    for (i, j), chunk in zip(places, packed, strict=True):
        out.id.write_direct_chunk((angle, i, j), chunk)


def _pack(block: Block, side: int, dtype: np.dtype[np.generic], place: tuple[int, int]) -> bytes:
    """Return one chunk as HDF5 stores it: padded to full size, shuffled, deflated."""
    i, j = place
    whole = np.zeros((side, side), dtype=dtype)
    part = block(slice(i, i + side), slice(j, j + side))
    whole[: part.shape[0], : part.shape[1]] = np.triu(part, 1) if i == j else part
    shuffled = whole.view(np.uint8).reshape(-1, dtype.itemsize).T
    deflate = zlib.compressobj(_DEFLATE_LEVEL, strategy=zlib.Z_RLE)
    return deflate.compress(shuffled.tobytes()) + deflate.flush()
