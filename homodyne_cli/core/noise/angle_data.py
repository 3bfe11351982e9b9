r"""The data of one angle over frames, or over blocks of them where there are too many frames.

A block is `size` consecutive frames, two or an odd number: data become means over pairs of blocks,
photon noise falls by `size`, pairs within a block and pairs of blocks with any absent pair are
absent. The model's mean over a block of more than two is that of three of its frames, at the centre
and h to either side, with weights that give the second moment of all frames and an h that nearly
gives the fourth: what is left is of sixth order in the size of a block over the time in which the
model changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance, block_sums
from homodyne_cli.core.noise.curve_products import SLAB_PAIRS, Presence, slabs
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray


@dataclass(frozen=True)
class FrameBlocks:
    """Which frames stand for the blocks, and with what weights.

    Attributes
    ----------
    frames
        (m, nodes) indices.
    weights
        (nodes,) that add up to 1.
    size
        Frames in a block; 1 where every frame stands for itself.
    """

    frames: IndexArray
    weights: FloatArray
    size: int

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.frames)

    @classmethod
    def of(cls, n: int, most: int) -> FrameBlocks:
        """Merge n frames into blocks, as few to a block as give no more than `most` blocks."""
        size = -(-n // most)
        if size == 1:
            return cls(np.arange(n)[:, None], np.ones(1), 1)
        if size == 2:
            return cls(np.arange(0, n - 1, 2)[:, None] + np.arange(2), np.full(2, 0.5), 2)
        size += 1 - size % 2
        centres = np.arange(size // 2, n - size // 2, size)
        second = (size**2 - 1) / 12.0
        h = round(((3 * size**2 - 7) / 20.0) ** 0.5)
        side = second / (2.0 * h**2)
        frames = centres[:, None] + np.array([-h, 0, h])
        return cls(frames, np.array([side, 1.0 - 2.0 * side, side]), size)

    def means(
        self, evaluate: Callable[[IndexArray, IndexArray], FloatArray], rows: slice, right: slice
    ) -> FloatArray:
        """Return means over pairs of blocks of what is evaluated at frames (R, 1) and (C,)."""
        i, j = self.frames[rows].T[:, :, None], self.frames[right].T
        values = evaluate(i[0], j[0])
        if self.size == 1:
            return values
        w = self.weights
        values *= w[0] * w[0]
        for n, m in list(np.ndindex(len(w), len(w)))[1:]:
            values += w[n] * w[m] * evaluate(i[n], j[m])
        return values

    def mirrored_means(
        self, evaluate: Callable[[IndexArray, IndexArray], FloatArray]
    ) -> FloatArray:
        """Return means over all pairs of blocks of what is symmetric, (m, m).

        Parameters
        ----------
        evaluate
            At pairs of frames, which broadcast.
        """
        m = len(self)
        out = np.empty((m, m))
        for rows, right in slabs(m):
            part = self.means(evaluate, rows, right)
            out[rows, right] = part
            out[right, rows] = part.T
        return out

    def mirrored_sums(
        self, count: int, evaluate: Callable[[slice, slice], FloatArray]
    ) -> FloatArray:
        """Return sums over pairs of blocks of maps (count, R, C), mirrored: (count, m, m).

        Parameters
        ----------
        evaluate
            The maps at some frames and at those from the first of them on; zero below the diagonal.
        """
        m, size = len(self), self.size
        sums = np.zeros((count, m, m))
        step = max(SLAB_PAIRS // (m * size**2), 1)
        for top in range(0, m, step):
            rows = slice(top * size, min(top + step, m) * size)
            part = evaluate(rows, slice(rows.start, m * size))
            sums[:, top : top + step, top:] = block_sums(part, size)
        return np.asarray(sums + sums.swapaxes(1, 2))

    def covariance(
        self, model: PairModel, contrast: float, photon_noise: float, modes: float
    ) -> SpeckleCovariance:
        """Return C over the blocks, all of their pairs present; w is that of a block."""
        g1 = self.mirrored_means(model.g1)
        present = np.ones_like(g1) if self.size > 1 else 1.0 - np.eye(len(self))
        return SpeckleCovariance(g1, contrast, photon_noise, modes, present)


@dataclass(frozen=True)
class AngleData:
    """Data of one angle.

    Attributes
    ----------
    angle
        Its number.
    blocks
        Where the values are.
    values
        (m, m) data less `shift` above the diagonal, zero where there are none.
    present
        (m, m) whether a pair has data, above the diagonal; None for all pairs.
    plain
        (2, 2) sums over pairs of products of one and the values.
    """

    angle: int
    blocks: FrameBlocks
    values: FloatArray
    present: Presence | None
    shift: float
    plain: FloatArray

    @property
    def mirrored(self) -> Presence | None:
        """(m, m) whether a pair has data, on both sides of the diagonal; None for all pairs."""
        return None if self.present is None else self.present | self.present.T


def angle_data(dataset: Dataset, angle: int, most: int) -> AngleData | None:
    """Read an angle; None if it has no pairs.

    Parameters
    ----------
    most
        Frames, or blocks of them, that can be afforded.
    """
    data = np.asarray(dataset.c2[angle])
    blocks = FrameBlocks.of(len(data), most)
    if blocks.size == 1:
        return _with_pairs(angle, blocks, data)
    # In the precision of the data, as single frames are: its rounding is a millionth of the noise.
    return _with_pairs(angle, blocks, _block_means(data, blocks.size).astype(data.dtype))


def sparse_data(dataset: Dataset, most: int) -> list[AngleData | None]:
    """Read all angles at no more than `most` frames, evenly spread."""
    frames = np.arange(0, dataset.n_frames, -(-dataset.n_frames // most))
    maps = dataset.selected(frames)
    blocks = FrameBlocks(frames[:, None], np.ones(1), 1)
    return [_with_pairs(angle, blocks, data) for angle, data in enumerate(maps)]


def _with_pairs(angle: int, blocks: FrameBlocks, data: FloatArray) -> AngleData | None:
    """Take data (m, m) over blocks, NaN where there are none; blocks without any pair leave."""
    known = np.triu(np.isfinite(data), 1)
    kept = np.flatnonzero(known.any(axis=0) | known.any(axis=1))
    if len(kept) < len(data):
        blocks = replace(blocks, frames=blocks.frames[kept])
        data, known = data[np.ix_(kept, kept)], known[np.ix_(kept, kept)]
    count = np.count_nonzero(known)
    if not count:
        return None
    m = len(data)
    shift = float(np.mean(data, where=known, dtype=float))
    values = np.where(known, data - shift, 0.0).astype(data.dtype)
    total = float(values.sum(dtype=float))
    square = float(np.einsum("ij,ij->", values, values, dtype=float))
    return AngleData(
        angle=angle,
        blocks=blocks,
        values=values,
        present=None if count == m * (m - 1) // 2 else known,
        shift=shift,
        plain=np.array([[count, total], [total, square]], dtype=float),
    )


def _block_means(data: FloatArray, size: int) -> FloatArray:
    """Return means over pairs of blocks above the diagonal, NaN where not all pairs have data."""
    m = len(data) // size
    means = np.zeros((m, m))
    for rows, right in slabs(m):
        part = data[rows.start * size : rows.stop * size, right.start * size : m * size]
        means[rows, right] = block_sums(part.astype(float), size) / size**2
    return means
