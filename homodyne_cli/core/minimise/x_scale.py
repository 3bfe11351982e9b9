"""Parameter scales: the reference document's rule, what a trust region starts with, balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import Coordinates, ScaledCoordinates
from homodyne_cli.core.numerics.gram import column_norms, without_effect
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import ConfigError
from homodyne_cli.problem import SolverOptions


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
        scale[name] = float(np.clip(raw, *policy.SCALE_LIMITS))
    return scale


def baseline_level(gradients: Mapping[str, float], baseline: Sequence[str] | None = None) -> float:
    """Return the geometric mean of |gradient| over the baseline parameters."""
    names = [n for n in (policy.BASELINE if baseline is None else baseline) if n in gradients]
    magnitudes = np.array([abs(gradients[n]) for n in names])
    magnitudes = magnitudes[magnitudes > 0.0]
    if len(magnitudes) == 0:
        return 1.0
    return float(np.exp(np.mean(np.log(magnitudes))))


def column_norm_scale(hessian: FloatArray, x: FloatArray, width: FloatArray) -> FloatArray:
    """Return 1/|J_k|, the scale that makes every column of the Jacobian equally long.

    A parameter without effect has no column to take it from; the size of the parameter, or a share
    of its bounds' width, stands in.
    """
    dead = without_effect(hessian, width)
    fallback = np.maximum(np.abs(x), policy.SCALE_WITHOUT_EFFECT * width)
    return np.where(dead, fallback, 1.0 / np.where(dead, 1.0, column_norms(hessian)))


def effective_ratio(sensitivity: FloatArray, x_scale: FloatArray) -> float:
    """Return max/min of sensitivity times x_scale; 1 is perfectly balanced."""
    product = np.abs(sensitivity * x_scale)
    if len(product) == 0:
        return 1.0
    return float(product.max() / product.min()) if np.all(product > 0.0) else float("inf")


def choose_scale(
    options: SolverOptions,
    coordinates: Coordinates,
    free: FreeParameters,
    x: FloatArray,
    at: Projection,
) -> ScaledCoordinates:
    """Return the scale for a trust region from `x`; for ``jac`` what SciPy starts from.

    A given scale is one of physical parameters, so that of u_k is x_scale_k / (dx_k/du_k): a unit
    step along u_k moves parameter k by x_scale_k.
    """
    slope = coordinates.jacobian(x)
    slopes = np.diag(slope)
    if options.x_scale == "unit":
        return ScaledCoordinates(coordinates, 1.0 / slopes, np.ones(len(x)))
    if options.x_scale == "config":
        table = options.x_scale_map
        if not table:
            raise ConfigError(
                "x_scale is 'config' but optimization.nlsq.x_scale_map is empty",
                hint="give a map (homodyne diagnose RUN -o fix.yaml) or use --x-scale auto",
            )
        given = np.array([table.get(n, 1.0) for n in free.names])
        return ScaledCoordinates(coordinates, given / slopes, given)
    hessian = at.reduced_hessian
    scale = column_norm_scale(slope.T @ hessian @ slope, x / slopes, free.width / slopes)
    return ScaledCoordinates(coordinates, scale, column_norm_scale(hessian, x, free.width))
