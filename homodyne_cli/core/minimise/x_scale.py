"""Parameter scales, gradient imbalance and the predicted chi2 decrease (EDM)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from homodyne_cli.core.numerics.gram import _RANK_TOLERANCE
from homodyne_cli.dataset import FloatArray

#: Limits of a recommended x_scale.
SCALE_LIMITS = (1e-8, 1e2)
#: Parameters whose gradients make the default baseline, as far as the mode has them.
BASELINE = ("D0", "D_offset", "phi0")


def gradient_x_scale(
    gradients: Mapping[str, float], baseline: Sequence[str] | None = None
) -> dict[str, float]:
    """Return x_scale_k = baseline / |g_k|, clipped to [1e-8, 1e2].

    Parameters
    ----------
    gradients
        Gradient of the sum of squares by parameter.
    baseline
        Parameters whose geometric-mean |gradient| is the baseline; None takes D0, D_offset and
        phi0, those of them that are there.
    """
    level = baseline_level(gradients, baseline)
    scale: dict[str, float] = {}
    for name, gradient in gradients.items():
        raw = level / abs(gradient) if gradient else np.inf
        scale[name] = float(np.clip(raw, *SCALE_LIMITS))
    return scale


def baseline_level(gradients: Mapping[str, float], baseline: Sequence[str] | None = None) -> float:
    """Return the geometric mean of |gradient| over the baseline parameters."""
    names = [n for n in (BASELINE if baseline is None else baseline) if n in gradients]
    magnitudes = np.array([abs(gradients[n]) for n in names])
    magnitudes = magnitudes[magnitudes > 0.0]
    if len(magnitudes) == 0:
        return 1.0
    return float(np.exp(np.mean(np.log(magnitudes))))


def column_norm_scale(hessian: FloatArray, x: FloatArray, width: FloatArray) -> FloatArray:
    """Return 1/|J_k|, the scale that makes every column of the Jacobian equally long.

    A column that vanishes at `x` says nothing about its scale; the size of the parameter, or
    a thousandth of its bounds' width, stands in.
    """
    norm = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    fallback = np.maximum(np.abs(x), 1e-3 * width)
    dead = norm <= _RANK_TOLERANCE * max(float(norm.max(initial=0.0)), 1e-300) / fallback.max()
    return np.where(dead, fallback, 1.0 / np.where(dead, 1.0, norm))


def effective_ratio(sensitivity: FloatArray, x_scale: FloatArray) -> float:
    """Return max/min of sensitivity times x_scale; 1 is perfectly balanced."""
    product = np.abs(sensitivity * x_scale)
    if len(product) == 0:
        return 1.0
    return float(product.max() / product.min()) if np.all(product > 0.0) else float("inf")
