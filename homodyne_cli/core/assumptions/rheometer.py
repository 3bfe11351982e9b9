"""The flow that the rheometer reports beside the one that the fit sees.

The rheometer knows the motion of its walls, the fit what is between them: they agree if the flow is
homogeneous and does not slip. At the times of the rheometer inside the window of the fit the ratio
fit / rheometer of the shear rates, or of the strains from the first of these times on, has the
uncertainty of the fit's curve, from the full covariance, and the rheometer's if it states one.

The curve of the fit has three parameters, so that by the Cauchy-Schwarz inequality the largest of
its pulls, over all times, is beyond z with at most the chance that a chi-squared variable of three
degrees of freedom is beyond z^2. Where the rheometer has noise of its own, z is at least that of as
many independent pulls as there are times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import special

from homodyne_cli.assessments import CheckResult, CheckStatus, StoredRun
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import UsageError

#: Chance of a false alarm, and deviation that counts: simulated particles agree to 1.3%.
_CHANCE: Final = 0.001
_LEAST: Final = 0.02
#: Parameters of the curve of a fit, and times that a comparison needs.
_CURVE, _FEWEST = 3, 2

Flow = Literal["shear rate", "strain"]


@dataclass(frozen=True)
class RheometerCurve:
    """What a rheometer measured.

    Attributes
    ----------
    kind
        ``shear rate`` in 1/s, or ``strain`` without unit.
    t
        (m,) seconds, ascending, counted as the fit does.
    value, uncertainty
        (m,) each; the latter is zero where none is stated.
    """

    kind: Flow
    t: FloatArray
    value: FloatArray
    uncertainty: FloatArray


@dataclass(frozen=True)
class FlowComparison:
    """Fit over rheometer.

    Attributes
    ----------
    kind
        What is compared.
    t, fit, fit_uncertainty, rheometer
        (m,) each, inside the window of the fit; strains from the first time on.
    ratio, uncertainty
        (m,) of the fit to the rheometer.
    limit
        Standard deviations beyond which one of them is more than chance.
    """

    kind: Flow
    t: FloatArray
    fit: FloatArray
    fit_uncertainty: FloatArray
    rheometer: FloatArray
    ratio: FloatArray
    uncertainty: FloatArray
    limit: float

    @property
    def pulls(self) -> FloatArray:
        """(m,) deviations of the ratio from 1 in standard deviations."""
        return np.asarray((self.ratio - 1.0) / self.uncertainty)


def compare_flow(run: StoredRun, rheometer: RheometerCurve) -> FlowComparison:
    """Put the rheometer's curve beside that of a run.

    Raises
    ------
    UsageError
        The run has no flow or no covariance, or the rheometer no times inside of its window.
    """
    record, frames = run.record, run.dataset.t
    if run.problem.mode == "static" or record.covariance is None:
        lacking = "is static" if run.problem.mode == "static" else "records no covariance"
        raise UsageError(
            f"--rheometer: the run {lacking}, there is no flow with an uncertainty to compare",
            hint="fit with analysis_mode: laminar_flow",
        )
    inside = (rheometer.t >= frames[0]) & (rheometer.t <= frames[-1])
    inside &= np.isfinite(rheometer.value)
    if np.count_nonzero(inside) < _FEWEST:
        raise UsageError(
            f"--rheometer: fewer than {_FEWEST} of its times lie between {frames[0]:.4g} and "
            f"{frames[-1]:.4g} s",
            hint="its time counts from t = 0 of the fit, in the unit that the header says",
        )
    t, value = rheometer.t[inside], rheometer.value[inside]
    stated = rheometer.uncertainty[inside]
    if rheometer.kind == "strain":
        # Strains are counted from the first frame that both know.
        frames = frames[frames >= t[0]]
        start = float(np.interp(frames[0], t, value))
        after = t > frames[0]
        t, value = t[after], value[after] - start
        stated = np.hypot(stated[after], stated[0])
    curves = curves_with_bands(
        frames, run.solution.vector, run.problem.convention, record.covariance,
        record.covariance_names,
    )  # fmt: skip
    curve = curves.shear_rate if rheometer.kind == "shear rate" else curves.strain
    assert curve is not None
    fit, error = (np.interp(t, frames, part) for part in (curve.value, curve.uncertainty))
    known = value != 0.0
    t, fit, error, value, stated = (part[known] for part in (t, fit, error, value, stated))
    # c2 does not tell the direction of the flow.
    fit = fit * (1.0 if float(fit @ value) >= 0.0 else -1.0)
    limit = float(np.sqrt(special.chdtri(_CURVE, _CHANCE)))
    if np.any(stated > 0.0):
        limit = max(limit, -float(special.ndtri(0.5 * _CHANCE / max(len(t), 1))))
    ratio = fit / value
    uncertainty = np.hypot(error, ratio * stated) / np.abs(value)
    return FlowComparison(rheometer.kind, t, fit, error, value, ratio, uncertainty, limit)


def check_rheometer(flow: FlowComparison) -> CheckResult:
    """Return the verdict: homogeneous flow consistent, or where and by how much not."""
    span = f"{flow.t[0]:.3g} to {flow.t[-1]:.3g} s"
    pulls = np.nan_to_num(flow.pulls)
    weights = np.where(flow.uncertainty > 0.0, flow.uncertainty, np.inf) ** -2.0
    known = weights.sum() > 0.0
    mean = float(weights @ flow.ratio / weights.sum()) if known else float(flow.ratio.mean())
    best = float(np.min(flow.uncertainty))
    overall = f"the fit sees {mean:.3f} of the rheometer's {flow.kind} (to {best:.1g} at best)"
    beyond = (np.abs(pulls) > flow.limit) & (np.abs(flow.ratio - 1.0) > _LEAST)
    worst = int(np.argmax(np.abs(pulls)))
    figure = float(np.abs(pulls[worst]))
    status: CheckStatus = "pass"
    message = f"homogeneous flow consistent over {span}: {overall}"
    advice = ""
    if beyond.any():
        status = "fail"
        first, last = flow.t[beyond][[0, -1]]
        message = (
            f"the fit does not see the rheometer's {flow.kind} from {first:.3g} to {last:.3g} s: "
            f"at {flow.t[worst]:.3g} s {flow.ratio[worst]:.3f} ± {flow.uncertainty[worst]:.1g} of "
            f"it ({pulls[worst]:+.1f} sigma); {overall}"
        )
        advice = (
            "less than the rheometer's: slip at the walls, or a band beside the beam; more: a band "
            "in the beam; a factor that never changes: stator_rotor_gap, or the unit of the table"
        )
    return CheckResult("rheometer", status, figure, flow.limit, message, advice)
