r"""The gradient of the pass against differences of its cost, on a sample of pairs.

Central differences of a smooth chi2 are wrong by c2 h^2 + c4 h^4 + ... (truncation) and by the
rounding of chi2 over h. No single step is right for every experiment: the curvature of chi2 at a
wide start is a million times that near the truth. So the step is made smaller again and again, the
differences are extrapolated to h = 0 (Ridders, Adv. Eng. Softw. 4, 75, 1982), and from every row of
the table the entry is taken that changed least against its neighbours. The row that agrees best
with the one before is the derivative; by how much it does not, and the rounding of its step, are
its error. Beside a bound differences are one-sided, with an error in every power of h.

Where a rate is negative in part of the window chi2 has an edge for each pair of frames between
which as much is gained as lost (|dA| in the model, the floor of rates in `homodyne-2`), and
differences say nothing. The gradient is then checked at a point beside, whose offset makes the
rates positive.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.numerics.gram import column_norms, without_effect
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.errors import DerivativeError
from homodyne_cli.parameters import NAMES, RATES, Convention
from homodyne_cli.problem import FitProblem


def sample_frames(n: int, n_phi: int, pairs: int) -> IndexArray:
    """Return frame indices whose pairs over all angles number about `pairs`."""
    count = int(np.ceil(np.sqrt(2.0 * pairs / n_phi))) + 1
    return np.unique(np.linspace(0, n - 1, min(max(count, 3), n)).astype(int))


def smooth_point(
    x: FloatArray, objective: Objective, t: FloatArray, convention: Convention
) -> FloatArray | None:
    """Return `x`, or a point beside it without edges of chi2; None where bounds leave none.

    Parameters
    ----------
    t
        (n,) times of the frames in seconds.
    """
    out, free = x.copy(), objective.free
    values = dict(zip(NAMES, objective.expand(x).tolist(), strict=False))
    for amplitude, exponent, offset in RATES if convention == "homodyne-2" else RATES[:1]:
        if amplitude not in values:
            continue
        rate = values[amplitude] * t ** values[exponent] + values[offset]
        if rate.min() > 0.0:
            continue
        if offset not in free.names:
            return None
        k = free.names.index(offset)
        out[k] += policy.LIFTED * float(np.abs(rate).max()) - float(rate.min())
        if out[k] > free.upper[k]:
            return None
    return out


def check_gradient(
    sample: Objective, x: FloatArray, stage: str, *, reweighted: bool = False
) -> float:
    """Compare gradients of chi2 at `x`; return the largest disagreement.

    It is relative to |J_k| sqrt(chi2), the largest value that a gradient can have.

    Parameters
    ----------
    where
        Begins the message.
    reweighted
        Whether contrast and offset are found by reweighting, and are so much less exact.

    Raises
    ------
    DerivativeError
        If they disagree by more than differences can be wrong.
    """
    free, at = sample.free, sample.derivatives(x)
    root, hessian = np.sqrt(max(at.chi2, 1.0)), at.hessian.head[: len(x), : len(x)]
    norms, dead = column_norms(hessian), without_effect(hessian, free.width)
    tolerance = policy.REWEIGHTED_TOLERANCE if reweighted else policy.GRADIENT_TOLERANCE
    worst = 0.0
    for k in np.flatnonzero(~dead).tolist():
        largest, reach = root * norms[k], min(root / norms[k], free.width[k])
        along = _along(sample, x, k)
        numeric, error = differentiate(along, x[k], free.lower[k], free.upper[k], reach)
        gap = abs(numeric - 2.0 * at.gradient[k])
        if gap > tolerance * largest + policy.GRADIENT_ERRORS * error:
            raise DerivativeError(
                f"{stage}: d chi2/d {free.names[k]} is {2.0 * at.gradient[k]:.6g}, finite "
                f"differences give {numeric:.6g} ± {error:.2g}",
                hint="this is a defect of the program: please report it with the run's config",
            )
        worst = max(worst, gap / largest)
    return worst


def _along(sample: Objective, x: FloatArray, place: int) -> Callable[[float], float]:
    """Return chi2 as a function of one parameter."""
    return lambda value: sample.cost(np.insert(np.delete(x, place), place, value))


def differentiate(
    f: Callable[[float], float], x: float, lower: float, upper: float, reach: float
) -> tuple[float, float]:
    """Return df/dx and its error.

    Parameters
    ----------
    lower, upper
        Between which f may be evaluated.
    reach
        Length over which f changes markedly.
    """
    below, above = x - lower, upper - x
    central = min(below, above) >= policy.BESIDE_A_BOUND * reach
    room = min(below, above) if central else max(below, above)
    step = policy.FIRST_DIFFERENCE * min(reach, room)
    if not central and below > above:
        step = -step
    centre = f(x)
    best, error, previous = 0.0, np.inf, np.inf
    row: list[float] = []
    for k in range(policy.DIFFERENCES):
        h = step / policy.SHRINKAGE**k
        estimates = [(f(x + h) - f(x - h)) / (2.0 * h) if central else (f(x + h) - centre) / h]
        changes = [np.inf]
        for m, old in enumerate(row, start=1):
            factor = policy.SHRINKAGE ** (2 * m if central else m)
            estimates.append(estimates[-1] + (estimates[-1] - old) / (factor - 1.0))
            changes.append(max(abs(estimates[-1] - estimates[-2]), abs(estimates[-1] - old)))
        least = int(np.argmin(changes))
        change = max(changes[least], abs(estimates[least] - previous))
        change += policy.ROUNDING_OF_COST * abs(centre / h)
        if change < error:
            best, error = estimates[least], change
        row, previous = estimates, estimates[least]
    return best, error


def check_on_sample(
    dataset: Dataset, problem: FitProblem, objective: PairObjective, x: FloatArray, stage: str
) -> None:
    """Check the gradient on a sample of pairs, if the options ask for it.

    Raises
    ------
    DerivativeError
        If it is wrong.
    """
    options = problem.solver.diagnostics
    if options.enabled and options.check_gradients:
        frames = sample_frames(dataset.n_frames, dataset.n_phi, options.sample_size)
        sample = build_objective(dataset, problem, objective.sigma, frames)
        point = smooth_point(x, sample, dataset.t, problem.convention)
        if point is not None:
            check_gradient(sample, point, stage, reweighted=sample.robust)
