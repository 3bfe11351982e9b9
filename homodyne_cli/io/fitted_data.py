"""The maps of a run, as HDF5: chunked, shuffled, lightly compressed, on all cores.

HDF5 compresses on one core. Its format of a chunk is simple, bytes shuffled and then deflated, so
chunks are made in threads (zlib leaves the interpreter free) and handed over ready.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from homodyne_cli.models import Dataset, FloatArray, MapArray
from homodyne_cli.results import FitResult

_CHUNK_FRAMES = 250
_DEFLATE_LEVEL = 1
#: Chunks made ahead of the one being written.
_AHEAD = 8


def write_fitted_data(path: Path, dataset: Dataset, result: FitResult, fitted: MapArray) -> None:
    """Write data as fitted, geometry, noise, scaling and the fitted map to HDF5.

    Maps hold pairs i < j; everything else in them is zero so that it costs no space.
    """
    with h5py.File(path, "w") as file:
        file.attrs["description"] = "pairs i < j only; NaN marks a pair that was not fitted"
        for name, maps in (("c2", dataset.c2), ("c2_fitted", fitted)):
            _write_maps(file, name, maps)
        vectors: dict[str, FloatArray] = {
            "phi": dataset.phi,
            "t": dataset.t,
            "contrast": result.contrast,
            "offset": result.offset,
            "contrast_uncertainty": result.contrast_uncertainty,
            "offset_uncertainty": result.offset_uncertainty,
            "sigma": result.sigma,
        }
        for name, vector in vectors.items():
            file[name] = vector
        file["q"], file["dt"] = dataset.q, dataset.dt
        if dataset.gap is not None:
            file["stator_rotor_gap"] = dataset.gap
        if dataset.sigma is not None and dataset.sigma.ndim == 3:
            _write_maps(file, "sigma_map", dataset.sigma)


def _write_maps(file: h5py.File, name: str, maps: MapArray) -> None:
    """Write the upper triangles; chunks that hold none of them are left to the fill value."""
    n = maps.shape[1]
    side = min(n, _CHUNK_FRAMES)
    out = file.create_dataset(
        name,
        shape=maps.shape,
        dtype=maps.dtype,
        chunks=(1, side, side),
        shuffle=True,
        compression="gzip",
        compression_opts=_DEFLATE_LEVEL,
        fillvalue=0,
    )
    places = [
        (a, i, j) for a in range(len(maps)) for i in range(0, n, side) for j in range(i, n, side)
    ]
    for place, packed in _packed(maps, side, places):
        out.id.write_direct_chunk(place, packed)


def _packed(
    maps: MapArray, side: int, places: list[tuple[int, int, int]]
) -> Iterator[tuple[tuple[int, int, int], bytes]]:
    with ThreadPoolExecutor() as threads:
        for first in range(0, len(places), _AHEAD):
            batch = places[first : first + _AHEAD]
            chunks = threads.map(lambda place: _pack(maps, side, *place), batch)
            yield from zip(batch, chunks, strict=True)


def _pack(maps: MapArray, side: int, angle: int, i: int, j: int) -> bytes:
    """Return one chunk as HDF5 stores it: padded to full size, shuffled, deflated."""
    block = np.zeros((side, side), dtype=maps.dtype)
    part = maps[angle, i : i + side, j : j + side]
    block[: part.shape[0], : part.shape[1]] = np.triu(part, 1) if i == j else part
    shuffled = block.view(np.uint8).reshape(-1, maps.dtype.itemsize).T
    return zlib.compress(shuffled.tobytes(), _DEFLATE_LEVEL)
