"""The columns of one angle as maps, or parts of maps: derivatives of the model, f and 1."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.core.noise.angle_data import FrameBlocks
from homodyne_cli.core.noise.curve_products import factored
from homodyne_cli.dataset import FloatArray, IndexArray


def angle_columns(
    model: PairModel,
    curves: ModelCurves,
    angle: int,
    contrast: float,
    rows: IndexArray | None = None,
    columns: IndexArray | None = None,
) -> FloatArray:
    """Return contrast * df/dp for all parameters in table order, then f and 1: (p + 2, n, n).

    Whole maps are symmetric; what is on the diagonal has no meaning.

    Parameters
    ----------
    model
        Of this angle, in the precision of the answer.
    curves
        Of all angles.
    rows, columns
        Frames; None for all of them.
    """
    every = np.arange(len(model.decay))
    i, j = (every if at is None else at for at in (rows, columns))

    def differences(curve: FloatArray) -> FloatArray:
        return np.asarray(curve[None, j] - curve[i, None])

    g, v = model.with_slope(i[:, None], j)
    f = g * g
    falling = (-contrast * curves.q[angle] ** 2) * f * np.sign(differences(model.decay))
    maps = [falling * differences(slope) for slope in curves.transport_slopes]
    if model.form is not None:
        kappa, slope = curves.kappa[angle], curves.kappa_slope[angle]
        maps += [(contrast * kappa) * v * differences(s) for s in curves.strain_slopes]
        maps.append((contrast * slope) * v * differences(curves.strain))
    return np.stack([*maps, f, np.ones_like(f)]).astype(f.dtype)


def block_columns(
    model: PairModel,
    curves: ModelCurves,
    angle: int,
    blocks: FrameBlocks,
    rows: slice,
    right: slice,
) -> FloatArray:
    """Return [df/dp, f, 1] of unit contrast, means over pairs of blocks: (p + 2, R, C).

    A column at a pair of frames is A (s_j - s_i) as in `curve_products`: what is averaged first are
    the two maps A, over one of the two frames, and no column is formed at pairs of frames.
    """
    i, j = blocks.frames[rows].T, blocks.frames[right].T
    factors = float(curves.q[angle]), float(curves.kappa[angle]), float(curves.kappa_slope[angle])
    kinds = [c for c in factored(curves, *factors) if len(c)]
    shape = len(kinds), len(blocks.weights), i.shape[1], j.shape[1]
    over_rows, over_columns, f = np.zeros(shape), np.zeros(shape), np.zeros(shape[2:])
    for n, row_weight in enumerate(blocks.weights):
        for m, column_weight in enumerate(blocks.weights):
            g, v = model.with_slope(i[n, :, None], j[m])
            square = np.square(g, out=g)
            square *= row_weight * column_weight
            f += square
            square *= np.sign(model.decay[j[m]] - model.decay[i[n], None])
            v *= row_weight * column_weight
            for k, a in enumerate((square, v)[: len(kinds)]):
                over_rows[k, m] += a
                over_columns[k, n] += a
    columns = []
    for k, kind in enumerate(kinds):
        # Counted from the first frame, so that differences keep their digits.
        ends = [kind[:, at] - kind[:, i[0, 0], None, None] for at in (j, i)]
        for at_columns, at_rows in zip(*ends, strict=True):
            column = over_rows[k, 0] * at_columns[0]
            for a, s in zip(over_rows[k, 1:], at_columns[1:], strict=True):
                column += a * s
            for a, s in zip(over_columns[k], at_rows, strict=True):
                column -= a * s[:, None]
            columns.append(column)
    return np.stack([*columns, f, np.ones_like(f)])
