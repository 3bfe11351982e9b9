r"""One angle of a fit with best weights: its data, its noise, and one pass over its pairs.

A pass gives the sums over pairs of the columns X of the model with each other, with one and with
the data, and their thin products X U; from these follow all <X, C0^-1 Y> (`pair_precision`). One
and the data do not change: their thin products belong to the metric. Where every frame stands for
itself the columns are never formed (`curve_products`); over blocks of frames (`angle_data`) they
are.

A metric over blocks is made anew by every pass: with its thin products it is eight times as large
as the data, which all angles together have no room for where maps are merged, and a fit makes one
or two passes in each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.noise.angle_columns import block_columns
from homodyne_cli.core.noise.angle_data import AngleData, FrameBlocks
from homodyne_cli.core.noise.curve_products import (
    ColumnProducts,
    CurveMaps,
    curve_maps,
    f_products,
    mask,
    slabs,
)
from homodyne_cli.core.noise.pair_precision import PairPrecision, Sketch, pair_precision
from homodyne_cli.core.noise.speckle_estimate import PHOTON_FLOOR
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import FitError
from homodyne_cli.parameters import Convention

#: Blocks of frames over which what is not the main part of the noise is summed.
_SCORE_BLOCKS = 200


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

    def over(self, size: int) -> AngleNoise:
        """Return that of blocks of frames; photon noise has a floor."""
        w = max(self.photon_noise, PHOTON_FLOOR * self.contrast)
        return replace(self, photon_noise=w / size)


@dataclass(frozen=True)
class AngleScoreSums:
    """What a pass leaves of one angle, unit contrast.

    Attributes
    ----------
    gram
        (k + 1, k + 1) scale <X, C0^-1 Y> of [df/dp, f, 1, y].
    best
        (k, k) variance of scale <C0^-1 X, noise> for [df/dp, f, 1].
    equal_hessian, equal
        (k, k) <X, Y> and <X, C0 Y> / scale: what equal weights make of the same columns.
    """

    gram: FloatArray
    best: FloatArray
    equal_hessian: FloatArray
    equal: FloatArray


@dataclass(frozen=True)
class AngleMetric:
    """What chi2 of one angle is taken in.

    Attributes
    ----------
    precision
        The inverse of the main part of the noise.
    fixed
        Sketch of one and the values.
    """

    precision: PairPrecision
    fixed: Sketch


@dataclass(frozen=True)
class WeighedAngle:
    """See the module.

    Attributes
    ----------
    data
        The angle's pairs, and which frames they are of.
    convention
        Of the model.
    noise
        What the metric is made from.
    metric
        Returns the one that is kept, or makes it.
    """

    data: AngleData
    convention: Convention
    noise: AngleNoise
    metric: Callable[[], AngleMetric]

    @property
    def n_pairs(self) -> int:
        """Pairs of blocks with data."""
        return int(self.data.plain[0, 0])

    def gram(self, curves: ModelCurves, *, derivatives: bool = True) -> FloatArray:
        """Return scale <X, C0^-1 Y> of the columns [df/dp, f, 1, y] of unit contrast."""
        metric = self.metric()
        products = self.products(curves, metric.precision.vectors, derivatives=derivatives)
        return self._gram(metric, products.plain, metric.precision.sketch(products.thin))

    def _gram(self, metric: AngleMetric, plain: FloatArray, columns: Sketch) -> FloatArray:
        inner, fixed, count = metric.precision.inner, metric.fixed, len(columns.thin)
        out = np.empty((count + 2, count + 2))
        out[:count, :count] = inner(plain[:, :count], columns, columns)
        out[:count, count:] = inner(plain[:, count:], columns, fixed)
        out[count:, count:] = inner(self.data.plain, fixed, fixed)
        out[count:, :count] = out[:count, count:].T
        return self.noise.scale * 0.5 * (out + out.T)

    def products(
        self, curves: ModelCurves, vectors: FloatArray, *, derivatives: bool
    ) -> ColumnProducts:
        """Return the sums and thin products with U (n, r) of [df/dp, f], or of f alone."""
        data = self.data
        model = pair_model(curves, data.angle, self.convention)
        if data.blocks.size > 1:
            return self._block_products(model, curves, vectors, derivatives=derivatives)
        if derivatives:
            return self._curve_maps(model, curves).products(vectors)
        _, model = _at_frames(curves, model, data.blocks)
        return f_products(model, vectors, data.values, data.present)

    def _curve_maps(self, model: PairModel, curves: ModelCurves) -> CurveMaps:
        data, a = self.data, self.data.angle
        kept, model = _at_frames(curves, model, data.blocks)
        factors = float(curves.q[a]), float(curves.kappa[a]), float(curves.kappa_slope[a])
        return curve_maps(model, kept, factors, data.values, data.present)

    def _block_products(
        self, model: PairModel, curves: ModelCurves, vectors: FloatArray, *, derivatives: bool
    ) -> ColumnProducts:
        data = self.data
        count = 1 + derivatives * _n_derivatives(curves)
        thin, plain = np.zeros((count, *vectors.shape)), np.zeros((count, count + 2))
        for rows, right in slabs(len(data.blocks)):
            if derivatives:
                part = block_columns(model, curves, data.angle, data.blocks, rows, right)[:-1]
            else:
                part = data.blocks.means(model.f, rows, right)[None]
            part = part * mask(data.present, rows, right)
            thin[:, rows] += part @ vectors[right]
            thin[:, right] += part.swapaxes(1, 2) @ vectors[rows]
            flat = part.reshape(count, -1)
            plain[:, :count] += flat @ flat.T
            plain[:, count] += flat.sum(axis=1)
            plain[:, count + 1] += flat @ data.values[rows, right].ravel()
        return ColumnProducts(thin, plain)

    def scores(self, curves: ModelCurves) -> AngleScoreSums:
        """Return how the scores of [df/dp, f, 1] vary.

        What is not the main part is smooth: it is summed over blocks of frames.
        """
        data, metric = self.data, self.metric()
        precision = metric.precision
        model = pair_model(curves, data.angle, self.convention)
        merged = FrameBlocks.of(len(data.blocks), _SCORE_BLOCKS)
        noise = self.noise.over(data.blocks.size * merged.size)
        products, sums = self._products_and_sums(model, curves, precision.vectors, merged)
        columns = precision.sketch(products.thin)
        gram = self._gram(metric, products.plain, columns)
        sketch = columns.followed_by(metric.fixed, 1)
        weights = precision.block_weights(sums, sketch, merged.size)
        centres = data.blocks.frames[:, data.blocks.frames.shape[1] // 2]
        merged_frames = replace(merged, frames=centres[merged.frames])
        operator = merged_frames.covariance(model, noise.contrast, noise.photon_noise, noise.modes)
        rest = operator.apply_rest(weights)
        flat = weights.reshape(len(weights), -1)
        added = 0.5 * flat @ rest.reshape(len(rest), -1).T + operator.four_cycles(weights)
        scale, n_speckles = noise.scale, noise.n_speckles
        own = scale * gram[:-1, :-1] / n_speckles + scale**2 / n_speckles * 0.5 * (added + added.T)
        plain = np.vstack([products.plain[:, :-1], np.append(products.plain[:, -2], 0.0)])
        plain[-1, -1] = data.plain[0, 0]
        main = precision.main(plain, sketch, sketch)
        return AngleScoreSums(gram, own, plain, main / scale)

    def _products_and_sums(
        self, model: PairModel, curves: ModelCurves, vectors: FloatArray, merged: FrameBlocks
    ) -> tuple[ColumnProducts, FloatArray]:
        """Return the products of [df/dp, f], and [df/dp, f, 1] over merged blocks, (k, m, m).

        Sums are as exact as the thin products: weights are the small difference of the two.
        """
        data = self.data
        if data.blocks.size == 1:
            maps = self._curve_maps(model, curves)
            ones = merged.mirrored_sums(1, lambda *at: mask(data.present, *at)[None])
            sums = np.concatenate([maps.block_sums(merged.size), ones])
            return maps.products(vectors), sums

        def columns(rows: slice, right: slice) -> FloatArray:
            part = block_columns(model, curves, data.angle, data.blocks, rows, right)
            return part * mask(data.present, rows, right)

        sums = merged.mirrored_sums(_n_derivatives(curves) + 2, columns)
        return self.products(curves, vectors, derivatives=True), sums


def _at_frames(
    curves: ModelCurves, model: PairModel, blocks: FrameBlocks
) -> tuple[ModelCurves, PairModel]:
    """Return curves and model at the frames that are left."""
    frames = blocks.frames[:, 0]
    if len(frames) == len(model.decay):
        return curves, model
    kept = replace(
        curves,
        transport=curves.transport[frames],
        transport_slopes=curves.transport_slopes[:, frames],
        strain=curves.strain[frames],
        strain_slopes=curves.strain_slopes[:, frames],
    )
    return kept, replace(model, decay=model.decay[frames], phase=model.phase[frames])


def _n_derivatives(curves: ModelCurves) -> int:
    shear = len(curves.strain_slopes)
    return len(curves.transport_slopes) + shear + (shear > 0)


def weigh_angle(
    data: AngleData, curves: ModelCurves, convention: Convention, noise: AngleNoise
) -> WeighedAngle:
    """Give an angle the weights of some noise.

    Parameters
    ----------
    curves
        At the point that the noise is that of.

    Raises
    ------
    FitError
        If the model is not finite there: at once, or by the first pass over blocks.
    """
    make = partial(_angle_metric, data, curves, convention, noise)
    if data.blocks.size > 1:
        return WeighedAngle(data, convention, noise, make)
    kept = make()
    return WeighedAngle(data, convention, noise, lambda: kept)


def _angle_metric(
    data: AngleData, curves: ModelCurves, convention: Convention, noise: AngleNoise
) -> AngleMetric:
    model = pair_model(curves, data.angle, convention)
    f = data.blocks.mirrored_means(model.f)
    if not np.isfinite(f).all():
        raise FitError("the covariance of the noise is not finite where the weights were made")
    w, present = noise.over(data.blocks.size).photon_noise, data.mirrored
    precision = pair_precision(f, noise.contrast, w, present)
    u = precision.vectors
    # A map of ones but for its diagonal, if every pair has data.
    known = u.sum(axis=0) - u if present is None else present @ u
    thin = np.stack([known, (data.values + data.values.T) @ u])
    return AngleMetric(precision, precision.sketch(thin))
