"""Curves of a fit with 1-sigma bands.

A curve y(t; p) has the variance s C s' with s its derivatives by the parameters and C their
covariance. Parameters that trade off give a sound band: C knows that D0 and D_offset, say, move
against each other, and the curve depends on their sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homodyne_cli.core.model.curves import Running, rate_curve, running_integral
from homodyne_cli.curves import Curve, Curves
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import NAMES, RATES, Convention

_NAMES = (
    (("transport_coefficient", "A^2/s"), ("mean_square_displacement", "A^2")),
    (("shear_rate", "1/s"), ("strain", "")),
)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def curves_with_bands(
    t: FloatArray,
    parameters: FloatArray,
    convention: Convention,
    covariance: FloatArray,
    names: Sequence[str],
) -> Curves:
    """Evaluate the curves of a fit and propagate the covariance of its parameters to first order.

    Where parameters of somebody else's run overflow, so do the curves.

    Parameters
    ----------
    t
        (n,) seconds of the fitted frames.
    parameters
        (7,) or (3,) in table order.
    covariance, names
        (p, p) of the parameters named; the others are held and add nothing.
    """
    curves = []
    for rate, kinds in zip(RATES, _NAMES, strict=True):
        place = [NAMES.index(name) for name in rate]
        if place[-1] >= len(parameters):
            continue
        rows = [k for k, name in enumerate(rate) if name in names]
        columns = [list(names).index(rate[k]) for k in rows]
        block = covariance[np.ix_(columns, columns)]
        for (name, unit), evaluate in zip(kinds, (rate_curve, running_integral), strict=True):
            curve = evaluate(t, parameters[place], convention)
            curves.append(Curve(name, unit, curve.value, _band(curve, rows, block)))
    return Curves(t, *curves)


def _band(curve: Running, rows: list[int], covariance: FloatArray) -> FloatArray:
    slopes = curve.derivatives[rows]
    variance = np.einsum("kn,kl,ln->n", slopes, covariance, slopes)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))
