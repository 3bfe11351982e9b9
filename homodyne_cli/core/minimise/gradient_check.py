"""The fused gradient against central differences of the cost, on a sample of pairs."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.dataset import IndexArray
from homodyne_cli.errors import DerivativeError

_STEP = 1e-3
_TOLERANCE = 1e-4


def sample_frames(n: int, n_phi: int, pairs: int) -> IndexArray:
    """Return frame indices whose pairs over all angles number about `pairs`."""
    count = int(np.ceil(np.sqrt(2.0 * pairs / n_phi))) + 1
    return np.unique(np.linspace(0, n - 1, min(max(count, 3), n)).astype(int))


def check_gradient(sample: Objective, x: np.ndarray, where: str) -> float:
    """Compare gradients of the projected chi2 at `x`; return the largest disagreement.

    TileBatch are a thousandth of 1/|J_k|, so chi2 changes by rounding-safe amounts, and the
    disagreement is relative to |J_k| sqrt(chi2), the largest value a gradient can have.

    Raises
    ------
    DerivativeError
        If they disagree by more than 1e-4.
    """
    free = sample.free
    at = sample.derivatives(x)
    norms = np.sqrt(np.maximum(np.diag(at.hessian)[: len(x)], 0.0))
    worst = 0.0
    for k, name in enumerate(free.names):
        if norms[k] == 0.0:
            continue
        reach = _STEP / norms[k] * max(1.0, np.sqrt(at.chi2))
        up, down = x.copy(), x.copy()
        up[k] = min(x[k] + reach, free.upper[k])
        down[k] = max(x[k] - reach, free.lower[k])
        numeric = (sample.cost(up) - sample.cost(down)) / (up[k] - down[k])
        scale = norms[k] * max(np.sqrt(at.chi2), 1.0)
        gap = abs(numeric - 2.0 * at.gradient[k]) / scale
        one_sided = up[k] - x[k] < 0.5 * reach or x[k] - down[k] < 0.5 * reach
        if gap > _TOLERANCE * (1e3 if one_sided else 1.0):
            raise DerivativeError(
                f"{where}: d chi2/d {name} is {2.0 * at.gradient[k]:.6g}, finite differences "
                f"give {numeric:.6g}",
                hint="this is a defect of the program: please report it with the run's config",
            )
        worst = max(worst, gap)
    return worst
