r"""A Gauss-Newton step along the rates that the data see, in place of their parameters.

Data fix a rate r(t) = a t^e + o at times inside their window. Parameters that leave it as it is
there lie in a long valley, and the valley is curved: a step s that is straight in (a, e, o) ends on
its wall, and a descent creeps along it (70 steps where this takes 5). The rates are nearly straight
in what is measured. So the step is taken in them, at three times t_k in equal ratios rho,

    r_k -> r_k + dr_k/d(a, e, o) s

from which the parameters follow in closed form:

    e = ln[(r_3 - r_2) / (r_2 - r_1)] / ln rho,    a = (r_2 - r_1) / (t_2^e - t_1^e),
    o = r_1 - a t_1^e

Where o is held, ln a and e are straight. Any such step is s to first order, so all that holds for
Gauss-Newton steps holds for it. Where there is no power law through the new rates, or e is so near
to zero that a would be all rounding, the step stays straight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import RATES

#: First time over the last: transport at early times is seen by few pairs.
_FIRST = 0.03
#: Exponent below which amplitude and offset cancel, and change of ln a that is no small step.
_LEAST_EXPONENT, _LONGEST = 1e-3, 1.0


def step_along_rates(
    names: Sequence[str], x: FloatArray, step: FloatArray, last: float
) -> FloatArray:
    """Return the point to which a step leads.

    Parameters
    ----------
    names
        Of the free parameters.
    x, step
        (p,) in physical units.
    last
        Time of the last frame, s.
    """
    out = x + step
    # What a bound holds has no step.
    moving = {name for name, length in zip(names, step.tolist(), strict=True) if length != 0.0}
    for amplitude, exponent, offset in RATES:
        if not {amplitude, exponent} <= moving:
            continue
        places = [names.index(name) for name in (amplitude, exponent)]
        if offset in moving:
            places.append(names.index(offset))
            reached = _through_rates(x[places], step[places], last)
        else:
            reached = _of_power(x[places], step[places])
        if reached is not None:
            out[places] = reached
    return out


def _through_rates(law: FloatArray, step: FloatArray, last: float) -> FloatArray | None:
    amplitude, exponent, offset = law.tolist()
    times = last * np.array([_FIRST, np.sqrt(_FIRST), 1.0])
    powers = times**exponent
    slopes = np.stack([powers, amplitude * powers * np.log(times), np.ones(3)], axis=1)
    rates = amplitude * powers + offset + slopes @ step
    early, late = np.diff(rates).tolist()
    if not early * late > 0.0:
        return None
    exponent = float(np.log(late / early) / np.log(times[1] / times[0]))
    if abs(exponent) < _LEAST_EXPONENT:
        return None
    powers = times**exponent
    amplitude = early / float(powers[1] - powers[0])
    return np.array([amplitude, exponent, float(rates[0]) - amplitude * float(powers[0])])


def _of_power(law: FloatArray, step: FloatArray) -> FloatArray | None:
    amplitude, exponent = law.tolist()
    if not abs(step[0]) < _LONGEST * abs(amplitude):
        return None
    return np.array([amplitude * np.exp(step[0] / amplitude), exponent + step[1]])
