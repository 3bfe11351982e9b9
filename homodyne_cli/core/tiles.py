"""Two-time maps packed as square tiles of the upper triangle, spread over the devices.

Only pairs i < j are kept. Everything that is not to be fitted (diagonal, masked pairs, padding)
is NaN in the tiles, so that one rule serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from homodyne_cli.models import Dataset, FloatArray, IndexArray, MapArray

#: Side of a tile in frames. Measured: 50 is the fastest from 1000 frames on a CPU core (the
#: fields of one tile stay in cache), and the choice hardly matters for smaller data.
TILE = 50
#: Tiles per step of the pass: a GPU wants large steps, a CPU small ones that stay in cache.
STEP_TILES_ACCELERATOR = 16
#: Most steps that one call of the pass scans on each device; larger data take several calls. Each
#: call costs a few ms whatever it scans.
CHUNK_STEPS = 64


class Steps(NamedTuple):
    """Tiles in the order of the scan; leading axes (devices, steps), or fewer inside it."""

    rows: jax.Array
    columns: jax.Array
    y: jax.Array
    weight: jax.Array | None


class _Blocks(NamedTuple):
    """All tiles of a dataset on the host, one along the leading axis each; see `Steps`."""

    rows: np.ndarray
    columns: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None


@dataclass(frozen=True)
class Moments:
    """Per-angle sums over fitted pairs, in double precision.

    Attributes
    ----------
    count, y, yy
        (n_phi,) sums of w, w*y, w*y^2, where y is counted from `shift` and w is the pair weight.
    shift
        (n_phi,) mean of the data; subtracting it keeps the sums of squares accurate.
    n_points
        (n_phi,) number of fitted pairs.
    """

    count: FloatArray
    y: FloatArray
    yy: FloatArray
    shift: FloatArray
    n_points: FloatArray


@dataclass(frozen=True)
class PairTiles:
    """The pairs of a dataset in the order in which the pass reads them.

    Attributes
    ----------
    chunks
        Tiles of one call each, spread over the devices: `y` (devices, steps, n_phi, step_tiles,
        TILE, TILE) is the data as stored, NaN where not fitted; `weight`, of the same shape, the
        relative weight of each pair, or None where all are equal; `rows` and `columns`
        (devices, steps, step_tiles) the first frame of each tile.
    t
        (n,) frame times, continued to the next power of two; `frames` (m,), continued likewise, are
        the indices into it that the tiles count.
    filled
        Of each chunk, the number of steps that hold tiles; the rest is never visited.
    moments
        Sums that do not depend on the parameters.
    mesh
        Devices over which the leading axis is spread.
    """

    chunks: tuple[Steps, ...]
    filled: tuple[int, ...]
    t: FloatArray
    frames: IndexArray
    phi: FloatArray
    q: float
    gap: float
    moments: Moments
    mesh: Mesh

    @property
    def n_points(self) -> int:
        """Number of fitted pairs over all angles."""
        return int(self.moments.n_points.sum())


def _blocks(maps: MapArray, rows: np.ndarray, columns: np.ndarray, fill: float) -> np.ndarray:
    """Cut (tiles, n_phi, TILE, TILE) blocks of the strict upper triangle, padded with `fill`."""
    n_phi = len(maps)
    out = np.full((len(rows), n_phi, TILE, TILE), fill, dtype=maps.dtype)
    lower = np.tri(TILE, dtype=bool)
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        block = maps[:, i : i + TILE, j : j + TILE]
        out[k, :, : block.shape[1], : block.shape[2]] = block
        if i == j:
            out[k][:, lower] = fill
    out[~np.isfinite(out)] = fill
    return out


def _moments(y: np.ndarray, weight: np.ndarray | None) -> Moments:
    """Sum over tiles (tiles, n_phi, TILE, TILE), one tile at a time to stay small."""
    n_phi = y.shape[1]
    fitted = np.isfinite(y)
    n_points = fitted.sum(axis=(0, 2, 3)).astype(float)
    total = np.zeros(n_phi)
    for block, keep in zip(y, fitted, strict=True):
        total += np.where(keep, block, 0.0).sum(axis=(1, 2), dtype=float)
    shift = total / np.maximum(n_points, 1.0)
    sums = np.zeros((3, n_phi))
    for k, (block, keep) in enumerate(zip(y, fitted, strict=True)):
        centred = np.where(keep, block - shift[:, None, None], 0.0)
        w = keep.astype(float) if weight is None else np.where(keep, weight[k], 0.0)
        for row, power in zip(sums, (1.0, centred, centred**2), strict=True):
            row += (w * power).sum(axis=(1, 2))
    return Moments(sums[0], sums[1], sums[2], shift, n_points)


def pack(
    dataset: Dataset,
    *,
    frames: IndexArray | None = None,
    devices: list[jax.Device] | None = None,
    like: PairTiles | None = None,
) -> PairTiles:
    """Cut a dataset into tiles and place them on the devices.

    Parameters
    ----------
    dataset
        Maps of which only i < j is read. Where its sigma is a map, pairs are weighted by
        (rms sigma of the angle / sigma)^2.
    frames
        Frame indices to keep (a decimated set of pairs); None keeps all.
    devices
        Devices to spread over; None takes all of the default backend.
    like
        Tiles of the whole dataset, whose shapes the answer takes: a decimated set of pairs then
        runs the code that is compiled for the whole.
    """
    devices = devices or jax.devices()
    index: IndexArray = np.arange(dataset.n_frames) if frames is None else frames
    c2 = dataset.c2 if frames is None else dataset.c2[:, index[:, None], index[None, :]]
    n_tiles = -(-len(index) // TILE)
    upper = np.triu_indices(n_tiles)
    rows, columns = upper[0] * TILE, upper[1] * TILE
    step_tiles = 1 if devices[0].platform == "cpu" else STEP_TILES_ACCELERATOR
    y = _blocks(c2, rows, columns, np.nan)
    weight = None
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        weight = _blocks(_relative_weight(dataset, index), rows, columns, 0.0)
    mesh = Mesh(np.array(devices), ("devices",))
    layout = _layout(len(rows), mesh, step_tiles, like)
    n_frames = _size_class(len(index)) if like is None else len(like.frames)
    return PairTiles(
        chunks=_spread(_Blocks(rows, columns, y, weight), mesh, layout),
        filled=layout.filled,
        t=_continued(dataset.t),
        frames=np.pad(index, (0, n_frames - len(index)), mode="edge"),
        phi=dataset.phi,
        q=dataset.q,
        gap=0.0 if dataset.gap is None else dataset.gap,
        moments=_moments(y, weight),
        mesh=mesh,
    )


def _size_class(n: int) -> int:
    """Return the next power of two, so that data of similar length share compiled code."""
    return 1 << (n - 1).bit_length()


def _step_class(n: int) -> int:
    """Round up by at most an eighth, so that data of similar size share compiled code."""
    unit = max(_size_class(n) // 16, 1)
    return -(-n // unit) * unit


def _continued(t: FloatArray) -> FloatArray:
    """Continue the frame times to the size class; nothing refers to what is added."""
    extra = _size_class(len(t)) - len(t)
    return np.concatenate([t, t[-1] + (t[-1] - t[-2]) * np.arange(1, extra + 1)])


@dataclass(frozen=True)
class _Layout:
    """How tiles are cut into chunks: steps per chunk, tiles per step, steps that hold any."""

    chunk_steps: int
    step_tiles: int
    filled: tuple[int, ...]


def _layout(n_tiles: int, mesh: Mesh, step_tiles: int, like: PairTiles | None) -> _Layout:
    per_round = mesh.devices.size * step_tiles
    n_steps = -(-n_tiles // per_round)
    if like is None:
        chunk_steps = _step_class(-(-n_steps // -(-n_steps // CHUNK_STEPS)))
    else:
        chunk_steps = like.chunks[0].rows.shape[1]
    filled = tuple(min(chunk_steps, n_steps - k) for k in range(0, n_steps, chunk_steps))
    return _Layout(chunk_steps, step_tiles, filled)


def _spread(tiles: _Blocks, mesh: Mesh, layout: _Layout) -> tuple[Steps, ...]:
    """Cut tiles (leading axis) into chunks and place them on the devices."""
    n_devices = mesh.devices.size
    per_round = n_devices * layout.step_tiles
    per_chunk = layout.chunk_steps * per_round
    sharding = NamedSharding(mesh, P("devices"))

    def place(part: np.ndarray, filled: int, fill: float) -> jax.Array:
        full = np.zeros((per_chunk, *part.shape[1:]), part.dtype)
        full[: len(part)] = part
        full[len(part) : filled * per_round] = fill
        grouped = (layout.chunk_steps, n_devices, layout.step_tiles, *part.shape[1:])
        split = full.reshape(grouped).swapaxes(0, 1)
        if part.ndim > 1:
            split = split.swapaxes(2, 3)
        placed: jax.Array = jax.device_put(split, sharding)
        return placed

    chunks = []
    for k, filled in enumerate(layout.filled):
        part = slice(k * per_chunk, (k + 1) * per_chunk)
        weight = None if tiles.weight is None else place(tiles.weight[part], filled, 0.0)
        chunks.append(
            Steps(
                place(tiles.rows[part], filled, 0),
                place(tiles.columns[part], filled, 0),
                place(tiles.y[part], filled, np.nan),
                weight,
            )
        )
    return tuple(chunks)


def rms_sigma(sigma_map: FloatArray) -> FloatArray:
    """Return (n_phi,) sigma whose inverse square is the mean weight of each angle's pairs."""
    n = sigma_map.shape[-1]
    upper = np.triu_indices(n, 1)
    return np.array([np.mean(s[upper] ** -2.0) ** -0.5 for s in sigma_map])


def _relative_weight(dataset: Dataset, index: np.ndarray) -> FloatArray:
    assert dataset.sigma is not None
    sigma = dataset.sigma
    relative = (rms_sigma(sigma)[:, None, None] / sigma) ** 2
    return np.asarray(relative[:, index[:, None], index[None, :]], dtype=float)
