"""From a start to the minimum: descents whose scale is refreshed, then Gauss-Newton to the end.

SciPy stops where chi2 falls by less than ftol of itself, which with ten million pairs is a few
hundredths of an uncertainty short of the minimum. A few undamped Gauss-Newton steps, each taken
only if it brings the expected distance to the minimum (EDM) down, go the rest of the way, so that
the answer does not depend on the path that led there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise.state import (
    EDM_FLAT,
    FLAT,
    FTOL,
    MAX_ITERATIONS,
    NEAR,
    STALE,
    MinimiserState,
    Task,
    describe_point,
    in_flat_valley,
    linear_step,
)
from homodyne_cli.core.minimise.trust_region import Limits, descend, stand
from homodyne_cli.core.numerics.gram import solve_gram
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.results import IterationRecord

#: A fit whose next Gauss-Newton step would still gain this much chi2 has stopped early. One
#: parameter moved by 0.3 of its uncertainty costs 0.1.
EDM_CONVERGED = 0.1
#: Largest ratio of scaled column norms that counts as balanced (reference document).
BALANCED = 10.0
#: A millionth of an uncertainty, squared: nothing is left to gain.
_EDM_NOTHING = 1e-12
#: What the step before let expect is left after the next one: too little to look at.
_EDM_CERTAIN = 1e-13
_POLISHING_STEPS, _CLOSING_STEPS = 4, 20
#: Share of the EDM that may be left after a Gauss-Newton step that replaces the trust region's.
_WORTHWHILE = 0.8
_ROUNDS = 20


def is_converged(status: int, edm: float) -> bool:
    """Whether a descent that ended so is at a minimum, as far as noise would notice."""
    return status > 0 and edm < (EDM_FLAT if status == FLAT else EDM_CONVERGED)


def go_down(task: Task, *, near: bool, known: Projection | None = None) -> MinimiserState:
    """Go from the bracket's start to where noise would notice no difference from the minimum.

    With ``x_scale: auto`` a fit whose scale no longer balances the columns at its end, or that
    stopped early by its EDM, goes on once with a fresh scale. With ``adaptive_x_scale``, which
    ``auto`` implies, the scale is renewed wherever the fit moves out of balance, whatever it was at
    the start.

    Parameters
    ----------
    near
        Whether the start is expected to be near a minimum. Gauss-Newton steps are then tried first,
        unless a scale was chosen, which they would pass over.
    known
        The pass at the start, if it has been made.
    """
    options = task.options
    limits = Limits(ratio=BALANCED if options.adaptive else np.inf)
    again = options.x_scale == "auto"
    if near and again:
        found = stand(task, known)
        enough = min(options.ftol * found.chi2, EDM_CONVERGED)
        found = close_in(task, found, enough, limits.ratio)
    else:
        found = descend(task, eager=near, limits=limits, known=known)
    renewed = replace(task, options=replace(options, x_scale="auto", trust_region_scale=1.0))
    for last in (*[False] * _ROUNDS, True):
        left = task.left(found)
        ended = found.history[-1]
        early = ended.effective_ratio > BALANCED or ended.edm >= EDM_CONVERGED
        once_more = again and found.status > 0 and early
        if found.status == STALE and left < 1:
            return replace(found, status=MAX_ITERATIONS)
        if left < 1 or not (once_more or found.status == STALE):
            break
        again = again and not once_more
        limits = Limits() if last else limits
        found = _onward(renewed, found, limits, eager=near)
    early = found.history[-1].edm >= EDM_CONVERGED
    if found.status > 0 and early and in_flat_valley(found.history, options):
        found = replace(found, status=FLAT)
    return found


def close_in(
    task: Task, found: MinimiserState, enough: float, ratio: float = np.inf
) -> MinimiserState:
    """Take Gauss-Newton steps until the EDM is small enough; where they fail, the trust region.

    SciPy's trust region keeps away from bounds by a term in its Hessian that damps steps along
    valleys even where bounds are far: it takes five steps where Gauss-Newton takes two.

    Parameters
    ----------
    found
        Where to begin.
    enough
        EDM below which it ends, with status ``FTOL``.
    ratio
        Effective ratio above which the trust region stops.
    """
    for _ in range(min(_CLOSING_STEPS, task.left(found))):
        if found.history[-1].edm < enough:
            break
        went, found = _gauss_newton_step(task, found, to=_WORTHWHILE)
        if not went:
            break
    if found.history[-1].edm < enough:
        return replace(found, status=FTOL)
    if task.left(found) < 1:
        return found
    found = _onward(task, found, Limits(ratio, edm=enough), eager=True)
    return replace(found, status=FTOL) if found.status == NEAR else found


def _onward(task: Task, found: MinimiserState, limits: Limits, *, eager: bool) -> MinimiserState:
    """Run the trust region from where a descent has come to."""
    rest = task.onward(found)
    return descend(rest, eager=eager, limits=limits, known=found.at).after(found)


def polish(task: Task, found: MinimiserState) -> MinimiserState:
    """Go on to the minimum while the EDM falls; a fit that stopped early stays as it is."""
    if not is_converged(found.status, found.history[-1].edm):
        return found
    for _ in range(min(_POLISHING_STEPS, task.left(found))):
        if found.history[-1].edm < _EDM_NOTHING:
            break
        if _promised(found.history) < _EDM_CERTAIN:
            step, _ = linear_step(found.at, found.x, task.bracket)
            return _without_a_pass(found, step, task.bracket)
        went, found = _gauss_newton_step(task, found, to=1.0)
        if not went:
            break
    return found


def minimise(task: Task) -> MinimiserState:
    """Go from a start that is near to the minimum."""
    return polish(task, go_down(task, near=True))


def _gauss_newton_step(
    task: Task, found: MinimiserState, *, to: float
) -> tuple[bool, MinimiserState]:
    """Return whether a step brought the EDM down to that share of it, and the descent after it."""
    started = time.perf_counter()
    bracket, last = task.bracket, found.history[-1]
    step, _ = linear_step(found.at, found.x, bracket)
    x = np.clip(found.x + step, bracket.lower, bracket.upper)
    at = task.objective.derivatives(x)
    log_norms = task.options.diagnostics.log_jacobian_norms
    entry = replace(
        describe_point(at, x, bracket, found.seen, log_norms=log_norms),
        iteration=last.iteration + 1,
        step_norm=found.seen.distance(x, found.x),
        seconds=last.seconds + time.perf_counter() - started,
    )
    found = replace(found, evaluations=found.evaluations + 1)
    # In a curved valley a full step may end on its wall.
    rise = max(min(last.edm, EDM_CONVERGED), 1e-10 * last.chi2)
    if not (entry.edm < to * last.edm and entry.chi2 - last.chi2 <= rise):
        return False, found
    task.tell(entry)
    return True, replace(found, x=x, at=at, history=(*found.history, entry))


def _promised(history: Sequence[IterationRecord]) -> float:
    """Return the EDM after the next step if it falls by as much as with the last one."""
    if len(history) < 2 or history[-2].edm == 0.0:
        return np.inf
    return history[-1].edm ** 2 / history[-2].edm


def _without_a_pass(
    found: MinimiserState, step: FloatArray, bracket: FreeParameters
) -> MinimiserState:
    """Take a step so short that everything is linear over it; EDM stays that of the last pass."""
    p, at = len(step), found.at
    pull = at.hessian[p:, :p] @ step
    scaling = -solve_gram(at.hessian[p:, p:], pull) if len(pull) else pull
    at = replace(
        at,
        chi2=max(at.chi2 - found.history[-1].edm, 0.0),
        contrast=at.contrast + at.contrast_directions @ scaling,
        offset=at.offset + at.offset_directions @ scaling,
    )
    return replace(found, x=np.clip(found.x + step, bracket.lower, bracket.upper), at=at)
