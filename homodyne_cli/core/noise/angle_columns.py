"""The columns of one angle as whole maps: derivatives of the model, f and 1."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.dataset import FloatArray


def angle_columns(
    model: PairModel, curves: ModelCurves, angle: int, contrast: float, q: float
) -> FloatArray:
    """Return contrast * df/dp for all parameters in table order, then f and 1: (p + 2, n, n).

    All are symmetric; what is on the diagonal has no meaning.

    Parameters
    ----------
    model
        Of this angle, in the precision of the answer.
    curves
        Of all angles.
    q
        1/Å.
    """
    frames = np.arange(len(model.decay))
    g, v = model.with_slope(frames[:, None], frames)
    f = g * g
    sign = np.sign(model.decay[None, :] - model.decay[:, None])
    columns = [
        (-contrast * q**2) * f * sign * _differences(slope) for slope in curves.transport_slopes
    ]
    if model.form is not None:
        kappa, slope = curves.kappa[angle], curves.kappa_slope[angle]
        columns += [(contrast * kappa) * v * _differences(s) for s in curves.strain_slopes]
        columns.append((contrast * slope) * v * _differences(curves.strain))
    return np.stack([*columns, f, np.ones_like(f)]).astype(f.dtype)


def _differences(curve: FloatArray) -> FloatArray:
    return np.asarray(curve[None, :] - curve[:, None])
