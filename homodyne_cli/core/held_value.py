"""Whether a parameter may have a given value: chi2 with it held there, all others fitted again.

The difference to the minimum, in the metric that was minimised, is chi-squared with one degree of
freedom if noise is what the metric takes it for. Where the stated uncertainty s is not that of the
inverse Hessian h, the difference is s^2 / h^2 times that, as in a profile (see
`uncertainty.profile_likelihood`). Andrade creep, beta = -2/3, is such a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from homodyne_cli.core.evaluation import EvaluatedRun
from homodyne_cli.core.numerics.gram import pseudo_inverse
from homodyne_cli.core.uncertainty.profile_likelihood import ProfileCurve
from homodyne_cli.errors import UsageError


@dataclass(frozen=True)
class HeldValue:
    """What holding one parameter does.

    Attributes
    ----------
    name, value
        Which one, and where it is held.
    fitted, uncertainty
        What the run has for it; NaN where the data give no uncertainty.
    chi2_rise
        Of the minimum with the value held over that of the run.
    chi2_scale
        Rise at one standard deviation; 1 where noise is as it was taken.
    p_value
        Chance of such a rise if the value is the true one.
    """

    name: str
    value: float
    fitted: float
    uncertainty: float
    chi2_rise: float
    chi2_scale: float
    p_value: float


def hold_values(
    evaluated: EvaluatedRun, values: Sequence[tuple[str, float]]
) -> tuple[HeldValue, ...]:
    """Hold parameters at values, one after the other.

    Raises
    ------
    UsageError
        A name is not a fitted parameter, or the loss is not linear.
    """
    names = evaluated.objective.free.names
    for name, _ in values:
        if name not in names:
            raise UsageError(
                f"--test {name}: not a fitted parameter", hint=f"they are {', '.join(names)}"
            )
    if values and evaluated.objective.robust:
        raise UsageError(
            "--test: the run has a robust loss, whose chi2 has no known distribution",
            hint="fit with optimization.nlsq.loss: linear",
        )
    return tuple(_hold(evaluated, name, value) for name, value in values)


def _hold(evaluated: EvaluatedRun, name: str, value: float) -> HeldValue:
    run, at = evaluated.run, evaluated.at
    objective = evaluated.objective if evaluated.best is None else evaluated.best
    fitted, stated = run.solution.values, run.record.uncertainties.get(name, float("nan"))
    options = replace(run.problem.solver, x_scale="auto", trust_region_scale=1.0)
    curve = ProfileCurve(objective, options, fitted, at.chi2, name, rise=1.0)
    rise = max(curve(value) + 1.0, 0.0)
    place = objective.free.names.index(name)
    least = float(np.sqrt(pseudo_inverse(at.reduced_hessian).matrix[place, place]))
    known = stated > 0.0 and least > 0.0
    scale = (stated / least) ** 2 if known else 1.0
    chance = float(special.chdtrc(1, rise / scale))
    return HeldValue(name, value, fitted[name], stated, rise, scale, chance)
