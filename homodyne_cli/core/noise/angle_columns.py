"""The columns of one angle as maps, or parts of maps: derivatives of the model, f and 1."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
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
