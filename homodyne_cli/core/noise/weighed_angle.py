r"""One angle of a fit with best weights: its data, its noise, and one pass over its pairs.

A pass evaluates the columns X of the model over slabs of rows above the diagonal, adds up their
products with each other, with one and with the data, and their thin products X U; from these follow
all <X, C0^-1 Y> (`pair_precision`). One and the data do not change: their thin products are kept.

Frames without any pair leave. If there are more than can be afforded, so many consecutive ones are
merged into blocks: data and columns become means over pairs of blocks, photon noise falls by their
size, pairs within a block and blocks with absent pairs are absent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.noise.angle_columns import angle_columns
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance, block_sums
from homodyne_cli.core.noise.pair_precision import PairPrecision, Sketch, pair_precision
from homodyne_cli.core.noise.speckle_estimate import PHOTON_FLOOR
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.parameters import Convention

#: Pairs worked on at once: columns stay in the cache.
_SLAB_PAIRS = 40_000
#: Blocks of frames over which what is not the main part of the noise is summed.
_SCORE_BLOCKS = 200
#: Columns whose weights are held at once.
_HELD = 3


@dataclass(frozen=True)
class AngleNoise:
    """What the weights of one angle are made from.

    Attributes
    ----------
    contrast, photon_noise, modes
        As in `SpeckleCovariance`, of single frames.
    n_speckles
        M of this angle.
    scale
        Of chi2 = scale <R, C0^-1 R>: M over the mean that the whole of C gives a pair.
    """

    contrast: float
    photon_noise: float
    modes: float
    n_speckles: float
    scale: float


@dataclass(frozen=True)
class WeighedAngle:
    """See the module.

    Attributes
    ----------
    frames, size
        (n,) frames kept, and how many of them make a block.
    values
        (m, m) data less shift above the diagonal, zero where there are none.
    present
        (m, m) 1 where a pair of blocks has data, the diagonal zero; None for all.
    precision, noise
        The inverse of its main part, and what it is made from.
    fixed, plain
        Sketch of one and the values, and (2, 2) their products.
    """

    angle: int
    q: float
    convention: Convention
    frames: IndexArray
    size: int
    values: FloatArray
    present: FloatArray | None
    shift: float
    precision: PairPrecision
    noise: AngleNoise
    fixed: Sketch
    plain: FloatArray

    @property
    def n_pairs(self) -> int:
        """Pairs of blocks with data."""
        return int(self.plain[0, 0])

    def gram(self, curves: ModelCurves, *, derivatives: bool = True) -> FloatArray:
        """Return scale <X, C0^-1 Y> of the columns [df/dp, f, 1, y] of unit contrast."""
        columns, plain = self.sketch(curves, derivatives=derivatives)
        inner, count = self.precision.inner, len(columns.thin)
        out = np.empty((count + 2, count + 2))
        out[:count, :count] = inner(plain[:, :count], columns, columns)
        out[:count, count:] = inner(plain[:, count:], columns, self.fixed)
        out[count:, count:] = inner(self.plain, self.fixed, self.fixed)
        out[count:, :count] = out[:count, count:].T
        return self.noise.scale * 0.5 * (out + out.T)

    def sketch(self, curves: ModelCurves, *, derivatives: bool) -> tuple[Sketch, FloatArray]:
        """Return the sketch of [df/dp, f], and their products with themselves, 1 and y."""
        model, curves = self._model(curves)
        m, vectors = len(self.values), self.precision.vectors
        count = 1 + derivatives * sum(
            len(s)
            for s in (curves.transport_slopes, curves.strain_slopes, curves.strain_slopes[:1])
        )
        thin, plain = np.zeros((count, *vectors.shape)), np.zeros((count, count + 2))
        step = max(_SLAB_PAIRS // (m * self.size**2), 1)
        for top in range(0, m, step):
            rows, right = slice(top, min(top + step, m)), slice(top, m)
            part = self._columns(model, curves, rows, right, derivatives=derivatives)
            thin[:, rows] += part @ vectors[right]
            thin[:, right] += part.swapaxes(1, 2) @ vectors[rows]
            flat = part.reshape(count, -1)
            plain[:, :count] += flat @ flat.T
            plain[:, count] += flat.sum(axis=1)
            plain[:, count + 1] += flat @ self.values[rows, right].ravel()
        return self.precision.sketch(thin), plain

    def score_covariance(self, curves: ModelCurves, gram: FloatArray) -> FloatArray:
        """Return the variance of scale <C0^-1 X, noise> for [df/dp, f, 1], (k, k).

        Parameters
        ----------
        gram
            Of the same columns.
        """
        model, curves = self._model(curves)
        m = len(self.values)
        merged = -(-m // _SCORE_BLOCKS)
        all_rows = slice(0, m)
        maps = self._columns(model, curves, all_rows, all_rows, derivatives=True)
        maps += maps.swapaxes(1, 2)
        maps = np.concatenate([maps, self._mask(all_rows, all_rows)[None]])
        maps[-1] += maps[-1].T
        held = [maps[first : first + _HELD] for first in range(0, len(maps), _HELD)]
        weights = [block_sums(self.precision.weights(part), merged) for part in held]
        summed = np.concatenate(weights)
        i = np.arange(len(self.frames))
        g1 = _block_means(model.g1(i[:, None], i), self.size * merged)
        operator = SpeckleCovariance(
            g1,
            self.noise.contrast,
            self.noise.photon_noise / (self.size * merged),
            self.noise.modes,
            np.ones_like(g1) if merged > 1 else 1.0 - np.eye(len(g1)),
        )
        rest = operator.apply_rest(summed)
        flat = summed.reshape(len(summed), -1)
        added = 0.5 * flat @ rest.reshape(len(rest), -1).T + operator.four_cycles(summed)
        scale, n_speckles = self.noise.scale, self.noise.n_speckles
        return scale * gram / n_speckles + scale**2 / n_speckles * 0.5 * (added + added.T)

    def _model(self, curves: ModelCurves) -> tuple[PairModel, ModelCurves]:
        if len(self.frames) < curves.transport.shape[-1]:
            curves = replace(
                curves,
                transport=curves.transport[self.frames],
                transport_slopes=curves.transport_slopes[:, self.frames],
                strain=curves.strain[self.frames],
                strain_slopes=curves.strain_slopes[:, self.frames],
            )
        return pair_model(curves, self.angle, self.q, self.convention), curves

    def _columns(
        self,
        model: PairModel,
        curves: ModelCurves,
        rows: slice,
        right: slice,
        *,
        derivatives: bool,
    ) -> FloatArray:
        """Return [df/dp, f] over rows and columns of blocks, zero on and below the diagonal."""
        i, j = (np.arange(part.start * self.size, part.stop * self.size) for part in (rows, right))
        if derivatives:
            maps = angle_columns(model, curves, self.angle, 1.0, self.q, i, j)[:-1]
        else:
            maps = model.f(i[:, None], j)[None]
        return _block_means(maps, self.size) * self._mask(rows, right)

    def _mask(self, rows: slice, right: slice) -> FloatArray:
        if self.present is not None:
            return self.present[rows, right]
        above = np.arange(right.start, right.stop) > np.arange(rows.start, rows.stop)[:, None]
        return above.astype(float)


def _block_means(values: FloatArray, size: int) -> FloatArray:
    """Return means over blocks of rows and columns; the last ones may be smaller."""
    if size == 1:
        return values
    sums = block_sums(values, size)
    return np.asarray(sums / block_sums(np.ones(values.shape[-2:]), size))


def weigh_angle(
    dataset: Dataset,
    curves: ModelCurves,
    angle: int,
    convention: Convention,
    noise: AngleNoise,
    most_blocks: int,
) -> WeighedAngle | None:
    """Prepare an angle; None if it has no pairs.

    Parameters
    ----------
    curves
        At the point that the noise is that of.
    most_blocks
        Frames, or blocks of them, that can be afforded.
    """
    data = np.asarray(dataset.c2[angle])
    known = np.triu(np.isfinite(data), 1)
    frames = np.flatnonzero(known.any(axis=0) | known.any(axis=1))
    size = max(-(-len(frames) // most_blocks), 1)
    frames = frames[: len(frames) // size * size]
    if len(frames) < 2 * size:
        return None
    if len(frames) < len(data):
        data, known = data[np.ix_(frames, frames)], known[np.ix_(frames, frames)]
    shift = float(np.mean(data, where=known, dtype=float))
    values = _block_means(np.where(known, data - shift, 0.0), size)
    if size > 1:
        known = np.triu(block_sums(known.astype(float), size) == size**2, 1)
        values = np.where(known, values, 0.0)
    m = len(values)
    whole = np.count_nonzero(known) == m * (m - 1) // 2
    model = pair_model(curves, angle, dataset.q, convention)
    f = _block_means(model.f(frames[:, None], frames), size)
    w = max(noise.photon_noise, PHOTON_FLOOR * noise.contrast) / size
    precision = pair_precision(f, noise.contrast, w, None if whole else known + known.T)
    ones = known.astype(float)
    fixed = np.stack([ones, values])
    plain = np.einsum("kij,lij->kl", fixed, fixed)
    thin = fixed @ precision.vectors + fixed.swapaxes(1, 2) @ precision.vectors
    return WeighedAngle(
        angle=angle,
        q=dataset.q,
        convention=convention,
        frames=frames,
        size=size,
        values=values.astype(dataset.c2.dtype),
        present=None if whole else ones,
        shift=shift,
        precision=precision,
        noise=noise,
        fixed=precision.sketch(thin),
        plain=plain,
    )
