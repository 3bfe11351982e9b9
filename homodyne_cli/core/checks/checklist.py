"""The seven checks of ``homodyne verify``: whether a fit is good.

Every check answers by itself, from the run, its fitted map and what the caller evaluated at the
run's parameters. ``n/a`` and ``warn`` are not failures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks.oscillations import check_oscillations
from homodyne_cli.core.checks.parameters import (
    check_convergence,
    check_physical,
    check_uncertainties,
)
from homodyne_cli.core.checks.remarks import Remark, worst_of
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.checks.speckle_verdicts import (
    SpeckleVerdict,
    check_peculiar_patterns,
    check_smooth_misfit,
)

#: Reduced chi2 that passes, and that does not fail. sigma is estimated from the data, to a few
#: percent in small maps; noise correlated along the frames may double chi2 with a good model.
CHI2_PASS = (0.7, 1.3)
CHI2_LIMIT = (0.5, 2.0)
#: Chi2 differences below this are less than the data can tell.
CHI2_RESOLUTION = 0.1
#: Effective ratio that counts as balanced (reference document).
RATIO_LIMIT = 10.0


@dataclass(frozen=True)
class BaselineFit:
    """An older run, evaluated on the pairs and sigma of the one that is verified.

    Attributes
    ----------
    name
        What to call it in messages.
    chi2
        None if the two cannot be compared.
    reason
        Why not; empty if they can.
    """

    name: str
    chi2: float | None
    reason: str = ""


@dataclass(frozen=True)
class CheckInputs:
    """What the checks look at.

    Attributes
    ----------
    run
        The finished fit.
    residuals
        Data, fitted maps and noise.
    chi2, degrees_of_freedom, edm
        Evaluated at the run's parameters with that noise.
    effective_ratio
        max/min of sensitivity times the run's x_scale; inf if a parameter has no sensitivity.
    at_bounds
        Free parameters at a bound.
    white
        The verdict on residuals as if their noise were white.
    baseline
        None if there is none.
    speckles
        What residuals say where their noise is that of speckles; None where it is white.
    """

    run: StoredRun
    residuals: Residuals
    chi2: float
    degrees_of_freedom: int
    edm: float
    effective_ratio: float
    at_bounds: tuple[str, ...]
    white: CheckResult
    baseline: BaselineFit | None = None
    speckles: SpeckleVerdict | None = None


def run_checks(inputs: CheckInputs) -> tuple[CheckResult, ...]:
    """Run the seven checks, in their fixed order.

    Returns
    -------
    tuple
        Results for ``oscillations, chi_squared, uncertainties, residuals, gradient_balance,
        convergence, physical``.
    """
    run, residuals = inputs.run, inputs.residuals
    patterns = _check_residuals(inputs)
    return (
        check_oscillations(run, residuals, None if inputs.speckles is None else patterns),
        _mind_speckles(inputs, check_chi_squared(inputs)),
        check_uncertainties(run, inputs.at_bounds),
        patterns,
        check_gradient_balance(inputs.effective_ratio),
        check_convergence(run, inputs.edm, inputs.at_bounds),
        check_physical(run, residuals, inputs.at_bounds),
    )


def _check_residuals(inputs: CheckInputs) -> CheckResult:
    if inputs.speckles is not None:
        return check_peculiar_patterns(inputs.speckles)
    return _mind_speckles(inputs, inputs.white)


def _mind_speckles(inputs: CheckInputs, result: CheckResult) -> CheckResult:
    """Say with a finding that takes noise as white where the fit found that it is not.

    The verdict stays: residuals of a wrong model grow with stride as speckle noise does, so that
    the fit counts them as such.
    """
    n_speckles = inputs.run.record.noise.n_speckles
    judged_as_white = inputs.speckles is None and np.isfinite(n_speckles)
    if result.status not in ("warn", "fail") or not judged_as_white:
        return result
    known = (
        f"the fit found noise like that of {n_speckles:.3g} speckles per angle: if there are "
        "that few, this is their noise, which the check takes as white, and the stated "
        "uncertainties include it"
    )
    return replace(result, advice=f"{result.advice}; {known}" if result.advice else known)


def check_chi_squared(inputs: CheckInputs) -> CheckResult:
    """Check chi2 against the baseline's, and reduced chi2 against 1."""
    reduced = inputs.chi2 / inputs.degrees_of_freedom
    statement = f"reduced chi2 {reduced:.4g}"
    remarks = []
    if inputs.speckles is not None:
        smooth = check_smooth_misfit(inputs.speckles)
        metric = "in that metric" if inputs.run.record.noise.weights else "as if independent"
        statement = f"{smooth.message}; {statement} {metric}"
        if smooth.status != "pass":
            remarks.append(Remark(smooth.status, statement, smooth.advice))
    elif not CHI2_PASS[0] <= reduced <= CHI2_PASS[1]:
        fails = not CHI2_LIMIT[0] <= reduced <= CHI2_LIMIT[1]
        limits = CHI2_LIMIT if fails else CHI2_PASS
        advice = (
            "the model does not explain the data to their noise: see the residual maps"
            if reduced > 1.0
            else "sigma is too large: let it be estimated (remove noise.sigma)"
        )
        message = f"{statement} is outside {limits[0]:g} to {limits[1]:g}"
        remarks.append(Remark("fail" if fails else "warn", message, advice))
    value, threshold = reduced, CHI2_LIMIT[1]
    comparison = "no baseline to compare with"
    base = inputs.baseline
    if base is not None and base.chi2 is None:
        message = f"comparison with {base.name} refused: {base.reason}"
        remarks.append(Remark("warn", message, "give a baseline run on the same data"))
    elif base is not None and base.chi2 is not None:
        drop = base.chi2 - inputs.chi2
        comparison = f"chi2 {_relative(drop, base.chi2)} {base.name}"
        if not remarks:
            value, threshold = inputs.chi2, base.chi2
        if drop < -CHI2_RESOLUTION:
            value, threshold = inputs.chi2, base.chi2
            advice = f"keep {base.name}, or restart this fit from its values"
            remarks.append(Remark("fail", comparison, advice))
        elif drop < CHI2_RESOLUTION:
            message = f"chi2 is the same as that of {base.name} ({inputs.chi2:.6g})"
            remarks.append(Remark("warn", message, "nothing was gained over the baseline"))
    worst = worst_of(remarks, f"{statement}; {comparison}")
    return CheckResult("chi_squared", worst.status, value, threshold, worst.message, worst.advice)


def _relative(drop: float, base: float) -> str:
    side = "lower" if drop > 0.0 else "higher"
    percent = 100.0 * abs(drop) / base if base > 0.0 else float("inf")
    return f"{abs(drop):.4g} ({percent:.2g}%) {side} than that of"


def check_gradient_balance(effective_ratio: float) -> CheckResult:
    """Check that the run's x_scale evened out the sensitivities."""
    limited = np.isfinite(effective_ratio)
    figure = f"{effective_ratio:.3g}" if limited else "infinite (a parameter has no effect)"
    message = f"scaled sensitivities differ by a factor {figure}"
    if effective_ratio < RATIO_LIMIT:
        return CheckResult("gradient_balance", "pass", effective_ratio, RATIO_LIMIT, message)
    return CheckResult(
        "gradient_balance",
        "fail",
        effective_ratio if limited else None,
        RATIO_LIMIT,
        message,
        "run homodyne diagnose -o fix.yaml and apply-scale, or fit with --x-scale auto",
    )
