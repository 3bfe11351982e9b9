r"""From a start to the minimum of chi2.

**The step.** Over a short distance chi2(x + s) = chi2 + 2 g^T s + s^T H s with g = J^T r and
H = J^T J, contrast and offset projected out. Its minimum within the bounds is the Gauss-Newton
step, and the decrease that it predicts,

    EDM = g^T H^-1 g        (without bounds: the expected distance to the minimum, MINUIT's idea),

is the distance to the minimum in units of noise: one parameter off by a share s of its uncertainty
costs s^2. No rule here looks at gradients or steps in units of their own, so none depends on the
units of the parameters.

**Far from the minimum** the quadratic cannot be trusted, and SciPy's trust region (`trust_region`)
takes steps of limited length in coordinates u / scale, `x_scale: auto` being 1/|J_k|: a scale in
which every parameter matters as much. Where J changes so much on the way that the scale no longer
balances its columns, the phase ends as `UNBALANCED` and another begins with a fresh scale.

**Near the minimum** undamped Gauss-Newton steps are better: SciPy keeps away from bounds by a term
in its Hessian that damps steps along valleys even where bounds are far, and takes five steps where
Gauss-Newton takes two. They go along the rates that the data see (`rate_steps`), and are kept while
each takes a fifth off the EDM, or chi2 falls by a fifth of what was predicted; where one does
neither, the trust region takes over from there (`gauss_newton`). They pass over a scale, a radius,
xtol and gtol, so that a minimisation for which one of these was chosen is left to the trust region.

**The end.** SciPy stops where chi2 falls by less than ftol of itself, which with ten million pairs
is a few hundredths of an uncertainty short of the minimum. Full steps go on from there while the
EDM falls (`polish`), so that the answer does not depend on the path that led to it. In a valley
along which chi2 does not fall by what noise would notice there is no such point, and none is looked
for (`FLAT_VALLEY`).

The phases write to one log, the `Minimisation`: `x` is where it stands, `at` the pass there (chi2,
g, H), `here` what is said of it (chi2, EDM, effective ratio: how far the scale is from balancing
the columns of J), `stop` why the last phase ended. So the whole is

    near a minimum:  Gauss-Newton steps, else the trust region       -> stop
    while stop is UNBALANCED:  the trust region with a fresh scale   -> stop
    if it stopped short of the minimum along a valley:  FLAT_VALLEY
    if it stopped at the minimum:  polish

The trust region is that of M. A. Branch, T. F. Coleman and Y. Li (SIAM J. Sci. Comput. 21, 1, 1999,
doi:10.1137/S1064827595289108); the EDM is that of F. James and M. Roos (Comput. Phys. Commun. 10,
343, 1975, doi:10.1016/0010-4655(75)90039-9).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.rate_steps import step_along_rates
from homodyne_cli.core.minimise.state import (
    MinimiserState,
    StopReason,
    in_flat_valley,
    is_converged,
    linear_step,
)
from homodyne_cli.core.minimise.trust_region import run_trust_region
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions

#: What Gauss-Newton steps would pass over.
_OF_THE_TRUST_REGION = ("x_scale", "trust_region_scale", "xtol", "gtol")


def minimise(log: Minimisation, *, near: bool, to_the_end: bool = True) -> MinimiserState:
    """Go on to the minimum from where the minimisation stands.

    Parameters
    ----------
    near
        Whether that is expected to be near a minimum already.
    to_the_end
        Polish, once noise would notice no difference from the minimum.
    """
    if log.stop is StopReason.UNDER_WAY or log.iterations == 0:
        first, ratio = log.here, policy.BALANCED if log.options.adaptive else np.inf
        if near and chosen_by_default(log.options):
            enough = min(log.options.ftol * log.at.chi2, policy.EDM_CONVERGED)
            gauss_newton(log, enough if to_the_end else policy.EDM_PASSING, ratio)
        else:
            run_trust_region(log, ratio, eager=near)
        _go_on_with_fresh_scales(log, ratio, eager=near)
        short = log.stop.is_success and not _at_minimum(log)
        if short and in_flat_valley(log.since(first), log.options):
            log.stop = StopReason.FLAT_VALLEY
    if to_the_end:
        polish(log)
    return log.state()


def _go_on_with_fresh_scales(log: Minimisation, ratio: float, *, eager: bool) -> None:
    """Run the trust region again while its scale goes out of balance.

    After `RENEWALS` of these the last one runs to its end. Once, a fresh scale is also tried where
    a poor one may be the reason why SciPy is content.
    """
    second_chance = log.options.x_scale == "auto"
    for renewal in range(1, policy.RENEWALS + 2):
        early = log.here.effective_ratio > policy.BALANCED or not _at_minimum(log)
        if second_chance and log.stop.is_success and early and log.iterations_left > 0:
            second_chance = False
        elif log.stop is not StopReason.UNBALANCED:
            break
        last = renewal > policy.RENEWALS
        run_trust_region(log, np.inf if last else ratio, eager=eager, afresh=True)


def chosen_by_default(options: SolverOptions) -> bool:
    """Whether nothing was chosen that Gauss-Newton steps would pass over."""
    default = SolverOptions()
    return all(getattr(options, n) == getattr(default, n) for n in _OF_THE_TRUST_REGION)


def _at_minimum(log: Minimisation) -> bool:
    return log.here.edm < policy.EDM_CONVERGED


def gauss_newton(log: Minimisation, enough: float, ratio: float = np.inf) -> StopReason:
    """Take Gauss-Newton steps until the EDM is below `enough`; where they fail, the trust region.

    The latter stops where the effective ratio is above `ratio`.
    """
    for _ in range(min(policy.CLOSING_STEPS, log.iterations_left)):
        if log.here.edm < enough or not _gauss_newton_step(log, policy.WORTHWHILE):
            break
    at_hand = log.here.edm < enough
    if at_hand or run_trust_region(log, ratio, enough, eager=True) is StopReason.AT_HAND:
        log.stop = StopReason.FTOL
    return log.stop


def polish(log: Minimisation) -> None:
    """Go on to the minimum while the EDM falls; a fit that stopped early stays as it is."""
    if not is_converged(log.stop, log.here.edm):
        return
    for _ in range(min(policy.POLISHING_STEPS, log.iterations_left)):
        if log.here.edm < policy.EDM_NOTHING:
            break
        if _edm_after_next_step(log) < policy.EDM_CERTAIN:
            step_without_a_pass(log)
            break
        if not _gauss_newton_step(log, 1.0):
            break


def _gauss_newton_step(log: Minimisation, share: float) -> bool:
    """Take the step if it leaves less than that share of the EDM, or chi2 falls as predicted.

    Returns
    -------
    taken
        If it does neither, the minimisation stays where it is.
    """
    step, edm = linear_step(log.at, log.x, log.free)
    x = _end_of(step, log)
    entry = log.describe(x)
    # In a curved valley a full step may end on its wall.
    rounding = policy.ROUNDING_OF_CHI2 * log.at.chi2
    rise = entry.chi2 - log.at.chi2
    nearer = entry.edm < share * edm and rise <= max(min(edm, policy.EDM_CONVERGED), rounding)
    if not nearer and not -rise > max(policy.WORTH_A_STEP * edm, rounding):
        return False
    log.accept(x, entry)
    return True


def _edm_after_next_step(log: Minimisation) -> float:
    """Return the EDM after the next step if it falls by as much as with the last one."""
    if log.iterations < 1 or log.history[-2].edm == 0.0:
        return np.inf
    return log.here.edm**2 / log.history[-2].edm


def step_without_a_pass(log: Minimisation) -> None:
    """Take a step so short that everything is linear over it; EDM stays that of the last pass."""
    at, (step, edm) = log.at, linear_step(log.at, log.x, log.free)
    follow = at.response @ step
    moved = replace(
        at,
        chi2=max(at.chi2 - edm, 0.0),
        contrast=at.contrast + follow[:, 0],
        offset=at.offset + follow[:, 1],
    )
    log.relocate(replace(log.state(), x=_end_of(step, log), at=moved))


def _end_of(step: FloatArray, log: Minimisation) -> FloatArray:
    """Return the point, inside bounds, to which a step leads."""
    last = log.coordinates.last
    straight = last == 0.0
    x = log.x + step if straight else step_along_rates(log.free.names, log.x, step, last)
    return log.free.clip(x)
