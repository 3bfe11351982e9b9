"""Maps larger than the memory budget, on disk in the order in which the pass reads them.

Files of the facilities hold whole maps, often compressed as a whole, which no pass can go through
tile by tile. So every map is read once, and its tiles (see `core.blocks`) are put into a nameless
temporary file that disappears with the process: all angles of a tile side by side, row by row, so
that a pass reads it from front to back.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np

from homodyne_cli.core.maps.tiling import (
    TILE,
    a_few,
    add_moments,
    cut_blocks,
    sum_moments,
    tile_count,
    tile_places,
    tile_rows,
    typical,
)
from homodyne_cli.dataset import FloatArray, IndexArray, MapArray, Moments
from homodyne_cli.errors import OutputError

#: Scattered values read from one mapping of the file.
_MAPPED = 1500
_Index = TypeVar("_Index", int, IndexArray)


class _Place:
    """A temporary file that several threads write to and read from."""

    def __init__(self, descriptor: int, folder: Path, size: int) -> None:
        self._file = FileIO(descriptor, "r+b", closefd=False)
        self._file.truncate(size)
        self._folder, self._size = folder, size
        self._lock = Lock()

    @property
    def descriptor(self) -> int:
        """Of the open file."""
        return self._file.fileno()

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`.

        Raises
        ------
        OutputError
            Somebody else has taken the room since the file was made.
        """
        rest = memoryview(data)
        with self._lock:
            self._file.seek(offset)
            while rest:
                try:
                    rest = rest[self._file.write(rest) :]
                except OSError as error:
                    raise _no_room(self._folder, self._size, error.strerror) from error

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into`."""
        with self._lock:
            self._file.seek(offset)
            while into:
                # The file has its full size: it does not end here.
                into = into[self._file.readinto(into) :]


@dataclass(frozen=True)
class TileFile:
    """Tiles in a temporary file; see `dataset.MapSource` for what is read from it."""

    place: _Place
    shape: tuple[int, int, int]
    dtype: np.dtype[np.generic]
    moments: Moments

    @property
    def _tile_bytes(self) -> int:
        return TILE * TILE * self.dtype.itemsize

    def tiles(self, first: int, last: int) -> MapArray:
        """Read tiles `first` to `last` - 1: (last - first, n_phi, TILE, TILE)."""
        n_phi = self.shape[0]
        return self._read(first * n_phi, (last - first) * n_phi).reshape(-1, n_phi, TILE, TILE)

    def selected(self, frames: IndexArray) -> MapArray:
        """Read the pairs of some frames, valid for i < j: (n_phi, m, m)."""
        out: MapArray = np.full((self.shape[0], len(frames), len(frames)), np.nan, self.dtype)
        groups = [np.flatnonzero(frames // TILE == k) for k in range(tile_rows(self.shape[1]))]
        held = [k for k, group in enumerate(groups) if len(group)]
        for row in held:
            for column in held[held.index(row) :]:
                at = _tile_number(row, column, self.shape[1])
                tile = self.tiles(at, at + 1)[0]
                i, j = groups[row], groups[column]
                inside = frames[i] - row * TILE, frames[j] - column * TILE
                out[:, i[:, None], j] = tile[:, inside[0][:, None], inside[1]]
        return out

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Read scattered pairs of one angle, NaN where i >= j; shape of `i` and `j`."""
        low, high = np.minimum(i, j), np.maximum(i, j)
        tile = _tile_number(low // TILE, high // TILE, self.shape[1])
        place = ((tile * self.shape[0] + angle) * TILE + low % TILE) * TILE + high % TILE
        flat = place.ravel()
        values: MapArray = np.empty(flat.shape, self.dtype)
        for first in range(0, len(flat), _MAPPED):
            part = slice(first, first + _MAPPED)
            # The system maps 16 pages around each that is touched, and counts them as memory used.
            with mmap.mmap(self.place.descriptor, 0, access=mmap.ACCESS_READ) as file:
                values[part] = np.frombuffer(file, self.dtype)[flat[part]]
        return np.where(i < j, values.reshape(place.shape), np.nan)

    def __getitem__(self, angle: int) -> MapArray:
        """Read the whole map of one angle, valid for i < j: (n, n)."""
        n = self.shape[1]
        out: MapArray = np.full((n, n), np.nan, self.dtype)
        for at, (i, j) in enumerate(zip(*tile_places(n), strict=True)):
            tile = self._read(at * self.shape[0] + angle, 1)[0]
            part = out[i : i + TILE, j : j + TILE]
            part[...] = tile[: part.shape[0], : part.shape[1]]
        return out

    def _read(self, first: int, count: int) -> MapArray:
        """Read `count` tiles of single angles."""
        out: MapArray = np.empty((count, TILE, TILE), self.dtype)
        self.place.read(first * self._tile_bytes, out.view(np.uint8).ravel().data)
        return out


class Spool:
    """Takes maps one by one; `maps` returns them when all are there."""

    def __init__(
        self, place: _Place, shape: tuple[int, int, int], dtype: np.dtype[np.generic]
    ) -> None:
        self._place = place
        self._shape = shape
        self._dtype = dtype
        self._moments: list[Moments] = []

    @property
    def n_put(self) -> int:
        """Number of maps that it has."""
        return len(self._moments)

    @property
    def n_maps(self) -> int:
        """Number of maps that it takes."""
        return self._shape[0]

    def put(self, one: MapArray) -> None:
        """Write the tiles of the next map.

        Parameters
        ----------
        one
            (n, n), valid for i < j; NaN marks pairs that are not fitted.
        """
        n, angle = len(one), self.n_put
        rows, columns = tile_places(n)
        size = TILE * TILE * self._dtype.itemsize
        shift: FloatArray | None = None
        parts = []
        for row in range(0, n, TILE):
            band = np.flatnonzero(rows == row)
            blocks = cut_blocks(one[None], rows[band], columns[band], np.nan)
            shift = typical(blocks[a_few(len(blocks))]) if shift is None else shift
            parts.append(sum_moments([(blocks.reshape(1, -1, TILE), None)], shift))
            for at, block in zip(band.tolist(), blocks, strict=True):
                self._place.write((at * self._shape[0] + angle) * size, block.tobytes())
        self._moments.append(add_moments(parts))

    def maps(self) -> TileFile:
        """Return all that was put in."""
        each = zip(*(vars(m).values() for m in self._moments), strict=True)
        moments = Moments(*(np.concatenate(values) for values in each))
        return TileFile(self._place, self._shape, self._dtype, moments)


@contextmanager
def open_spool(
    folder: Path | None, shape: tuple[int, int, int], dtype: np.dtype[np.generic]
) -> Iterator[Spool]:
    """Yield a place for maps of a shape; they can be read until the block ends.

    Parameters
    ----------
    folder
        Where the temporary file is made; None for the system's.

    Raises
    ------
    OutputError
        There is no room, or the folder cannot be written to.
    """
    where = folder or Path(tempfile.gettempdir())
    size = tile_count(shape[1]) * shape[0] * TILE * TILE * dtype.itemsize
    with ExitStack() as stack:
        try:
            free = shutil.disk_usage(where).free
            file = stack.enter_context(tempfile.TemporaryFile(dir=where, buffering=0))
            place = _Place(file.fileno(), where, size)
        except OSError as error:
            raise _no_room(where, size, error.strerror) from error
        if free < size:
            raise _no_room(where, size, os.strerror(errno.ENOSPC))
        yield Spool(place, shape, dtype)


def _no_room(folder: Path, size: int, reason: str | None) -> OutputError:
    return OutputError(
        f"{folder}: the data are larger than the memory budget, and {size / 1e9:.1f} GB of "
        f"temporary space there cannot be had: {reason}",
        hint="make room, choose another -o (or TMPDIR), or give more memory (--memory)",
    )


def _tile_number(row: _Index, column: _Index, n_frames: int) -> _Index:
    """Return the place of a tile in the order of `tile_places`."""
    return row * tile_rows(n_frames) - row * (row - 1) // 2 + column - row
