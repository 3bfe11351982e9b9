"""Two-time maps packed as square tiles of the upper triangle, spread over the devices.

Tiles go to the devices in chunks, each scanned by one call of the pass: all chunks lie there from
the start, or (data kept on disk) are read ahead of the pass, every time it goes by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from homodyne_cli.core.gram_pass.tile_sums import Fixed, TileBatch
from homodyne_cli.core.maps.pair_noise import pair_weights, rms_sigma
from homodyne_cli.core.maps.tiling import (
    a_few,
    add_moments,
    cut_blocks,
    sum_moments,
    tile_count,
    tile_places,
    typical,
)
from homodyne_cli.core.numerics.backend import devices as all_devices
from homodyne_cli.core.numerics.threads import core_threads, made_ahead
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, MapSource, Moments

#: Tiles per step of the pass: a GPU wants large steps, a CPU small ones that stay in cache.
STEP_TILES_ACCELERATOR = 16
#: Most steps that one call of the pass scans on each device; larger data take several calls. A call
#: costs about 0.15 ms whatever it scans.
CHUNK_STEPS = 8
#: Chunks read ahead of the pass.
_AHEAD = 2


class Chunk(NamedTuple):
    """What one call of the pass scans: tiles, and how many steps of each device hold any."""

    steps: TileBatch
    filled: jax.Array


class _Blocks(NamedTuple):
    """Tiles on the host, one along the leading axis each; see `TileBatch`."""

    rows: IndexArray
    columns: IndexArray
    y: MapArray
    weight: MapArray | None


@dataclass(frozen=True)
class Layout:
    """How tiles are cut into chunks: steps per chunk, tiles per step, devices."""

    chunk_steps: int
    step_tiles: int
    mesh: Mesh

    @property
    def n_devices(self) -> int:
        """Number of devices."""
        return int(self.mesh.devices.size)

    @property
    def spread(self) -> NamedSharding:
        """Leading axis over the devices."""
        return NamedSharding(self.mesh, P("devices"))

    @property
    def replicated(self) -> NamedSharding:
        """The same on every device."""
        return NamedSharding(self.mesh, P())

    @property
    def chunk_tiles(self) -> int:
        """Most tiles of a chunk."""
        return self.chunk_steps * self.step_tiles * self.n_devices

    def chunk(self, tiles: _Blocks) -> Chunk:
        """Place up to `chunk_tiles` tiles on the devices."""
        n_steps = -(-len(tiles.rows) // self.step_tiles)
        filled = -(-n_steps // self.n_devices)

        def place(part: np.ndarray, fill: float) -> jax.Array:
            shape = (self.n_devices, self.chunk_steps, self.step_tiles, *part.shape[1:])
            if len(part) < self.chunk_tiles:
                # A device's tiles are a block of its own; what is missing is at the end.
                padded = np.full((filled * self.step_tiles * self.n_devices, *part.shape[1:]), fill)
                padded = padded.astype(part.dtype)
                padded[: len(part)] = part
                full = np.zeros(shape, part.dtype)
                full[:, :filled] = padded.reshape((self.n_devices, filled, *shape[2:]))
            else:
                full = part.reshape(shape)
            if part.ndim > 1:
                full = full.swapaxes(2, 3)
            placed: jax.Array = jax.device_put(full, self.spread)
            return placed

        weight = None if tiles.weight is None else place(tiles.weight, 0.0)
        steps = TileBatch(
            place(tiles.rows, 0), place(tiles.columns, 0), place(tiles.y, np.nan), weight
        )
        held = np.clip(n_steps - filled * np.arange(self.n_devices), 0, filled)
        return Chunk(steps, jax.device_put(held.astype(np.int32), self.spread))


@dataclass(frozen=True)
class _Streamed(Iterable[Chunk]):
    """Chunks that are read from disk while the ones before are computed."""

    maps: MapSource
    layout: Layout

    def __iter__(self) -> Iterator[Chunk]:
        rows, columns = tile_places(self.maps.shape[1])

        def read(first: int) -> Chunk:
            last = min(first + self.layout.chunk_tiles, len(rows))
            y = self.maps.tiles(first, last)
            return self.layout.chunk(_Blocks(rows[first:last], columns[first:last], y, None))

        with ThreadPoolExecutor(max_workers=1) as reader:
            firsts = range(0, len(rows), self.layout.chunk_tiles)
            yield from made_ahead(reader, read, firsts, _AHEAD)


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
    fixed
        On every device, the same for all passes.
    t, frames
        (n,) frame times, and (m,) indices into it that the tiles count.
    length
        Frames that the compiled code takes: a power of two.
    moments
        Sums that do not depend on the parameters.
    layout
        Shape of a chunk, and the devices.
    """

    chunks: Iterable[Chunk]
    fixed: Fixed
    t: FloatArray
    frames: IndexArray
    length: int
    phi: FloatArray
    q: FloatArray
    gap: float
    moments: Moments
    layout: Layout

    @property
    def n_points(self) -> int:
        """Number of fitted pairs over all angles."""
        return int(self.moments.n_points.sum())


def pack(
    dataset: Dataset,
    *,
    frames: IndexArray | None = None,
    devices: list[jax.Device] | None = None,
    like: PairTiles | None = None,
) -> PairTiles:
    """Cut a dataset into tiles and place them on the devices, or leave them on disk.

    Parameters
    ----------
    dataset
        Maps of which only i < j is read. Where its sigma is a map, pairs are weighted by
        (rms sigma of the angle / sigma)^2, and those without one are not fitted.
    frames
        Frame indices to keep (a decimated set of pairs); None keeps all.
    devices
        Devices to spread over; None takes all of the default backend.
    like
        Tiles of the whole dataset, whose shapes the answer takes: a decimated set of pairs then
        runs the code that is compiled for the whole.
    """
    index: IndexArray = np.arange(dataset.n_frames) if frames is None else frames
    layout = _layout(len(index), devices or all_devices()) if like is None else like.layout
    chunks: Iterable[Chunk]
    if frames is None and isinstance(dataset.c2, MapSource):
        chunks, moments = _Streamed(dataset.c2, layout), dataset.c2.moments
    else:
        chunks, moments = _placed(dataset, frames, index, layout)
    return PairTiles(
        chunks=chunks,
        fixed=Fixed(
            jax.device_put(moments.shift, layout.replicated),
            jax.device_put(_distinct(dataset.q), layout.replicated),
        ),
        t=dataset.t,
        frames=index,
        length=_size_class(len(index)) if like is None else like.length,
        phi=dataset.phi,
        q=dataset.q,
        gap=0.0 if dataset.gap is None else dataset.gap,
        moments=moments,
        layout=layout,
    )


def _placed(
    dataset: Dataset, frames: IndexArray | None, index: IndexArray, layout: Layout
) -> tuple[tuple[Chunk, ...], Moments]:
    """Cut and place chunk by chunk, several at a time."""
    maps = dataset.array if frames is None else dataset.selected(frames)
    rows, columns = tile_places(len(index))
    noise = rms = None
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        noise = dataset.sigma[:, index[:, None], index[None, :]]
        rms = rms_sigma(dataset.array, dataset.sigma)[:, None, None]

    def cut(part: slice) -> _Blocks:
        corners = rows[part], columns[part]
        y = cut_blocks(maps, *corners, np.nan)
        if noise is None or rms is None:
            return _Blocks(*corners, y, None)
        weight = pair_weights(y, cut_blocks(noise, *corners, np.nan), rms)
        y[weight == 0.0] = np.nan
        return _Blocks(*corners, y, weight)

    shift = typical(cut(a_few(len(rows))).y)

    def place(first: int) -> tuple[Chunk, Moments]:
        blocks = cut(slice(first, first + layout.chunk_tiles))
        weights = [None] * len(blocks.y) if blocks.weight is None else list(blocks.weight)
        moments = sum_moments(zip(blocks.y, weights, strict=True), shift)
        return layout.chunk(blocks), moments

    with core_threads() as threads:
        placed = list(threads.map(place, range(0, len(rows), layout.chunk_tiles)))
    return tuple(chunk for chunk, _ in placed), add_moments([moments for _, moments in placed])


def _distinct(q: FloatArray) -> FloatArray:
    """Return (1,) q where all maps have the same, so that they share exp(-q^2 |dA|)."""
    return q[:1] if np.all(q == q[0]) else q


def _size_class(n: int) -> int:
    """Return the next power of two, so that data of similar length share compiled code."""
    return 1 << (n - 1).bit_length()


def _layout(n_frames: int, devices: list[jax.Device]) -> Layout:
    step_tiles = 1 if devices[0].platform == "cpu" else STEP_TILES_ACCELERATOR
    n_steps = -(-tile_count(n_frames) // (step_tiles * len(devices)))
    mesh = Mesh(np.array(devices), ("devices",))
    return Layout(min(_size_class(n_steps), CHUNK_STEPS), step_tiles, mesh)
