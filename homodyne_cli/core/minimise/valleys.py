r"""The whole valley of a power law that the data hardly determine.

Where noise is strong or the window short, amplitude, exponent and offset of a rate r = a t^e + o
trade off: chi2 is a long curved valley with shallow minima in it, and where a descent ends in it
is up to its start. The valley is curved because near e = 0 amplitude and offset grow without limit
and cancel. In other coordinates it is straight: the rates r1 and r2 early and late in the window,
and e,

    a = (r2 - r1) / (t2^e - t1^e),    o = r1 - a t1^e

of which the data know the first two whatever e is. So descents are made in these coordinates
(Levenberg-Marquardt, damping and step lengths at unit diagonal), from exponents over all that the
bounds allow, with the rates of the minimum that the search has come to, and again from the lowest
until that falls no more. Where rates are negative in part of the window chi2 has edges (|dA| in the
model), at which descents end a few hundredths above the minimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.numerics.gram import column_norms, pseudo_inverse
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import RATES


@dataclass(frozen=True)
class OpenLaw:
    """A power law in the free parameters: places of amplitude, exponent and offset, t1 and t2."""

    amplitude: int
    exponent: int
    offset: int
    times: tuple[float, float]

    def _powers(self, exponent: float) -> tuple[FloatArray, FloatArray]:
        """Return t^e at both times, and its derivative by e."""
        times = np.array(self.times)
        powers = times**exponent
        return powers, powers * np.log(times)

    def moved(self, x: FloatArray, rates: FloatArray, exponent: float) -> FloatArray:
        """Return parameters with these rates (2,) and exponent."""
        powers, _ = self._powers(exponent)
        out = x.copy()
        out[self.exponent] = exponent
        if abs(powers[1] - powers[0]) > policy.ALL_BUT_CONSTANT:
            out[self.amplitude] = (rates[1] - rates[0]) / (powers[1] - powers[0])
            out[self.offset] = rates[0] - out[self.amplitude] * powers[0]
        return out

    def rates(self, x: FloatArray) -> FloatArray:
        """Return (2,) r1 and r2."""
        powers, _ = self._powers(float(x[self.exponent]))
        return np.asarray(x[self.amplitude] * powers + x[self.offset])

    def mean_rate(self, x: FloatArray) -> float:
        """Return the mean over the window."""
        times = np.linspace(*self.times, policy.TIMES_OF_MEAN)
        return float(np.mean(x[self.amplitude] * times ** x[self.exponent] + x[self.offset]))

    def inside(self, x: FloatArray, free: FreeParameters) -> bool:
        """Whether amplitude and offset are at none of their bounds."""
        ends = [self.amplitude, self.offset]
        return bool(np.all((x > free.lower)[ends] & (x < free.upper)[ends]))

    def fill(self, jacobian: FloatArray, x: FloatArray) -> None:
        """Set the columns of dx/du: amplitude and offset make way for r1 and r2."""
        powers, slopes = self._powers(float(x[self.exponent]))
        span = powers[1] - powers[0]
        if abs(span) <= policy.ALL_BUT_CONSTANT:
            return
        a, e, o = self.amplitude, self.exponent, self.offset
        by_rates = np.array([-1.0, 1.0]) / span
        by_exponent = -x[a] * (slopes[1] - slopes[0]) / span
        jacobian[a, [a, o]] = by_rates
        jacobian[o, [a, o]] = np.array([1.0, 0.0]) - powers[0] * by_rates
        jacobian[a, e] = by_exponent
        jacobian[o, e] = -powers[0] * by_exponent - x[a] * slopes[0]


def open_laws(
    at: Projection, free: FreeParameters, share: float, times: tuple[float, float]
) -> tuple[OpenLaw, ...]:
    """Return the laws whose exponent the data leave open, all three parameters being free.

    Parameters
    ----------
    at
        The pass at a minimum on some of the pairs.
    share
        Of all pairs.
    times
        First and last of the window.
    """
    inverse = pseudo_inverse(at.reduced_hessian)
    variance = share * np.diag(inverse.matrix)
    lost = np.any(np.abs(inverse.null) > policy.PART_OF_NULL, axis=1)
    every = (free_law(names, free, times) for names in RATES)
    return tuple(
        law
        for law in every
        if law is not None
        and (lost[law.exponent] or variance[law.exponent] > policy.EXPONENT_OPEN**2)
    )


def free_law(
    names: Sequence[str], free: FreeParameters, times: tuple[float, float]
) -> OpenLaw | None:
    """Return the law of these parameters; None unless all of them are free."""
    if not set(names) <= set(free.names):
        return None
    amplitude, exponent, offset = (free.names.index(name) for name in names)
    return OpenLaw(amplitude, exponent, offset, times)


def valley_minima(
    objective: Objective, x: FloatArray, laws: Sequence[OpenLaw]
) -> list[tuple[FloatArray, float]]:
    """Return where descents over the valleys of laws end, and chi2 there, the lowest first.

    Parameters
    ----------
    x
        (p,) a point of the valleys.
    """
    ends = [descend(objective, x, laws)]
    for _ in range(policy.WALKS):
        before = min(end[1] for end in ends)
        for law in laws:
            lowest = min(ends, key=lambda end: end[1])[0]
            starts = _along(law, lowest, objective.free)
            ends += [descend(objective, start, laws) for start in starts]
        if before - min(end[1] for end in ends) < policy.FLAT_GAIN:
            break
    return sorted(ends, key=lambda end: end[1])


def reversed_minima(
    objective: Objective, x: FloatArray, law: OpenLaw
) -> list[tuple[FloatArray, float]]:
    """Return where descents from the rates of the other sign end, and chi2 there, the lowest first.

    Ends whose mean rate has the sign of that at `x` are left out.
    """
    starts = _along(law, x, objective.free, [[-1.0, -1.0]])
    ends = [descend(objective, start, (law,)) for start in starts]
    reversed_ends = [end for end in ends if law.mean_rate(end[0]) * law.mean_rate(x) < 0.0]
    return sorted(reversed_ends, key=lambda end: end[1])


def _along(
    law: OpenLaw,
    x: FloatArray,
    free: FreeParameters,
    signs: Sequence[Sequence[float]] = ((1.0, 1.0), (-1.0, 1.0)),
) -> list[FloatArray]:
    """Return points with exponents over all that the bounds allow.

    Parameters
    ----------
    signs
        Of the rates, early and late. Where the rate is small early on, |dA| hardly tells its signs
        apart.
    """
    lower = max(free.lower[law.exponent], -policy.WALKED_EXPONENT)
    upper = min(free.upper[law.exponent], policy.WALKED_EXPONENT)
    rates = law.rates(x)
    exponents = np.linspace(lower, upper, policy.WALKED).tolist()
    return [free.clip(law.moved(x, sign * rates, e)) for sign in np.array(signs) for e in exponents]


def descend(
    objective: Objective, x: FloatArray, laws: Sequence[OpenLaw]
) -> tuple[FloatArray, float]:
    """Go down in the coordinates of laws; return the point, inside bounds, and chi2."""
    free, at, damping = objective.free, objective.derivatives(x), policy.FIRST_DAMPING
    for _ in range(policy.VALLEY_STEPS):
        straight = [law for law in laws if law.inside(x, free)]
        jacobian = np.eye(len(x))
        for law in straight:
            law.fill(jacobian, x)
        hessian, slope = jacobian.T @ at.reduced_hessian @ jacobian, jacobian.T @ at.gradient
        # What a bound holds stays there.
        held = ((x <= free.lower) & (slope > 0.0)) | ((x >= free.upper) & (slope < 0.0))
        for law in straight:
            held[[law.amplitude, law.offset]] = False
        step = _damped_step(hessian, np.where(held, 0.0, slope), held, damping)
        gain = -float(slope @ step)
        target = free.clip(_stepped(x, step, straight, free))
        then = objective.derivatives(target)
        if then.chi2 < at.chi2:
            x, at, damping = target, then, damping / policy.DAMPING_FACTOR
        else:
            damping *= policy.DAMPING_FACTOR
        if gain < policy.VALLEY_EDM or damping > policy.MOST_DAMPING:
            break
    return x, at.chi2


def _damped_step(
    hessian: FloatArray, slope: FloatArray, held: np.ndarray, damping: float
) -> FloatArray:
    """Return the step of damped least squares; what is held does not move."""
    norm = column_norms(hessian)
    norm = np.where(norm > 0.0, norm, 1.0)
    unit = hessian / np.outer(norm, norm)
    unit[held], unit[:, held] = 0.0, 0.0
    unit[np.diag_indices_from(unit)] += damping
    return np.asarray(-np.linalg.solve(unit, slope / norm) / norm)


def _stepped(
    x: FloatArray, step: FloatArray, laws: Sequence[OpenLaw], free: FreeParameters
) -> FloatArray:
    """Return the point that a step in the coordinates of laws leads to."""
    out = free.clip(x + step)
    for law in laws:
        rates = law.rates(x) + step[[law.amplitude, law.offset]]
        out = law.moved(out, rates, float(out[law.exponent]))
    return out
