"""Square blocks cut from the upper triangle of two-time maps, and sums over them.

Only pairs i < j are kept. Everything that is not to be fitted (diagonal, masked pairs, padding) is
NaN in the blocks, so that one rule serves them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from homodyne_cli.dataset import FloatArray, IndexArray, MapArray, Moments

#: Side of a tile in frames. Measured at 23 x 1000 on two CPU cores: 0.133 s a pass with 36 to 48,
#: 0.167 with 50 (no multiple of the width of a vector register), 0.22 with 32 and 64 (powers of
#: two, whose rows fall on the same lines of the cache).
TILE = 48


def tile_rows(n_frames: int) -> int:
    """Return the number of tiles along one side of a map."""
    return -(-n_frames // TILE)


def tile_count(n_frames: int) -> int:
    """Return the number of tiles of the upper triangle."""
    return tile_rows(n_frames) * (tile_rows(n_frames) + 1) // 2


def tile_places(n_frames: int) -> tuple[IndexArray, IndexArray]:
    """Return the first row and column of every tile of the upper triangle, row by row."""
    rows, columns = np.triu_indices(tile_rows(n_frames))
    return rows * TILE, columns * TILE


def cut_blocks(maps: MapArray, rows: IndexArray, columns: IndexArray, fill: float) -> MapArray:
    """Cut (tiles, n_phi, TILE, TILE) blocks of the strict upper triangle, padded with `fill`.

    Parameters
    ----------
    maps
        (n_phi, n, n).
    rows, columns
        First row and column of each tile.
    """
    out = np.full((len(rows), len(maps), TILE, TILE), fill, dtype=maps.dtype)
    lower = np.tri(TILE, dtype=bool)
    for block, i, j in zip(out, rows, columns, strict=True):
        part = maps[:, i : i + TILE, j : j + TILE]
        block[:, : part.shape[1], : part.shape[2]] = part
        if i == j:
            block[:, lower] = fill
        if not np.isfinite(block.sum()):
            block[~np.isfinite(block)] = fill
    return out


def a_few(n_blocks: int) -> slice:
    """Return which of so many blocks say about how large the data are."""
    return slice(None, None, max(n_blocks // 8, 1))


def typical(blocks: MapArray) -> FloatArray:
    """Return (n_phi,) means over blocks (tiles, n_phi, TILE, TILE)."""
    known = np.isfinite(blocks)
    total = np.where(known, blocks, 0.0).sum(axis=(0, 2, 3), dtype=float)
    return np.asarray(total / np.maximum(known.sum(axis=(0, 2, 3)), 1))


def sum_moments(blocks: Iterable[tuple[MapArray, MapArray | None]], shift: FloatArray) -> Moments:
    """Sum over blocks (n_phi, TILE, TILE) of data and pair weight, one at a time to stay small."""
    sums = np.zeros((4, len(shift)))
    for data, weight in blocks:
        centred = data - shift[:, None, None]
        total = centred.sum(axis=(1, 2))
        count = np.full(len(shift), data[0].size)
        keep = None
        if not np.all(np.isfinite(total)):
            keep = np.isfinite(data)
            centred = np.where(keep, centred, 0.0)
            total, count = centred.sum(axis=(1, 2)), keep.sum(axis=(1, 2))
        sums[3] += count
        if weight is None:
            sums[0] += count
            sums[1] += total
            sums[2] += np.einsum("aij,aij->a", centred, centred)
        else:
            w = weight if keep is None else np.where(keep, weight, 0.0)
            sums[0] += w.sum(axis=(1, 2))
            sums[1] += np.einsum("aij,aij->a", w, centred)
            sums[2] += np.einsum("aij,aij,aij->a", w, centred, centred)
    return Moments(sums[0], sums[1], sums[2], shift, sums[3])


def add_moments(parts: Sequence[Moments]) -> Moments:
    """Add the sums of parts of the same maps, all counted from the same shift."""
    count, y, yy, n_points = (
        np.sum([getattr(p, name) for p in parts], axis=0)
        for name in ("count", "y", "yy", "n_points")
    )
    return Moments(count, y, yy, parts[0].shift, n_points)
