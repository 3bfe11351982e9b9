"""The checks that look at parameters: uncertainties, convergence and what is physical."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks.remarks import Remark, worst_of
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.minimise.policy import EDM_CONVERGED, EDM_FLAT
from homodyne_cli.core.objective.build import free_names
from homodyne_cli.core.objective.free_parameters import has_moved
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import BY_NAME
from homodyne_cli.problem import Bounds
from homodyne_cli.results import Solution

#: Relative uncertainty beyond which a parameter is not known: five deviations from zero.
UNCERTAINTY_LIMIT = 0.2
#: A value within this many uncertainties of zero is consistent with zero.
ZERO_SIGMAS = 3.0
#: Degrees: at most angles, cos(phi0 - phi) is then known to a tenth.
PHI0_LIMIT = 5.0
#: Contrast over its uncertainty below which an angle shows no decay that noise could not make.
CONTRAST_SIGMAS = 5.0
#: Contrast and offset within this of a bound are at it: c2 is of the order of one.
_SCALING_AT_BOUND = 1e-6
#: Correlation beyond which two parameters are named as trading off.
TRADES_OFF = 0.9
_HOLD = "initial_parameters.fixed_parameters"
_MEASURE = "use more frames or angles (homodyne plan says what they bring)"
_UNTANGLE = (
    "quote the combination that is determined (homodyne show), or hold one of its parameters at a "
    f"known value with --set {_HOLD}.NAME=VALUE"
)
_POSITIVE = (
    "a negative D is no diffusion, and c2 is the same for -D(t): fit again with D_offset bounded, "
    "--set 'parameter_space.bounds.D_offset=[0,{:g}]'"
)
_REFIT = "fit again with this program"


def _scaling_at_bound(value: float, bounds: Bounds) -> bool:
    return not bounds.lower + _SCALING_AT_BOUND < value < bounds.upper - _SCALING_AT_BOUND


def _outside(value: float, bounds: Bounds) -> bool:
    return not bounds.lower <= value <= bounds.upper


def _fitted_inside(run: StoredRun, at_bounds: Collection[str]) -> tuple[str, ...]:
    """Return free parameters that are not at a bound, where an uncertainty means something."""
    return tuple(n for n in free_names(run.problem) if n not in at_bounds)


def check_uncertainties(run: StoredRun, at_bounds: Collection[str] = ()) -> CheckResult:
    """Check that every free parameter is known to 20%, unless it may be zero.

    Those at a bound are the physical check's matter.
    """
    remarks = []
    worst = 0.0
    for name in _fitted_inside(run, at_bounds):
        if name not in run.record.uncertainties:
            remarks.append(Remark("warn", f"the run records no uncertainty of {name}", _REFIT))
            continue
        value, error = run.solution.values[name], run.record.uncertainties[name]
        relative = error / abs(value) if value != 0.0 else float("inf")
        if not np.isfinite(error):
            relative = float("inf")
        remark = _uncertainty_remark(run, name, value, error, relative)
        # A value that may be zero has no relative uncertainty to report.
        if remark is None or remark.status == "fail":
            worst = max(worst, relative)
        if remark is not None:
            remarks.append(remark)
    verdict = worst_of(remarks, f"the least certain parameter is known to {100.0 * worst:.2g}%")
    value_or_none = worst if np.isfinite(worst) else None
    return CheckResult(
        "uncertainties",
        verdict.status,
        value_or_none,
        UNCERTAINTY_LIMIT,
        verdict.message,
        verdict.advice,
    )


def _uncertainty_remark(
    run: StoredRun, name: str, value: float, error: float, relative: float
) -> Remark | None:
    if not np.isfinite(error):
        return Remark("fail", f"{name} is not determined by the data", _UNTANGLE)
    if relative < UNCERTAINTY_LIMIT:
        return None
    if BY_NAME[name].may_be_zero and abs(value) < ZERO_SIGMAS * error:
        low, high = value - ZERO_SIGMAS * error, value + ZERO_SIGMAS * error
        return Remark(
            "warn",
            f"{name} is consistent with zero: {low:.3g} to {high:.3g} (3 sigma)",
            f"{name} may be fixed at 0 if the physics allows",
        )
    return Remark(
        "fail",
        f"{name} = {value:.4g} ± {error:.2g} is known to {100.0 * relative:.3g}% only",
        _advice_on(run, name),
    )


def _advice_on(run: StoredRun, name: str) -> str:
    """Name the parameter that a poorly known one trades off with, and what to do about it."""
    partner, correlation = _partner(run, name)
    if partner is None:
        return _MEASURE
    held = "0" if partner in ("D_offset", "gamma_dot_t_offset") else "a value known from elsewhere"
    shown = f"{_HOLD}.{partner}={'0' if held == '0' else 'VALUE'}"
    return (
        f"{name} and {partner} trade off (correlation {correlation:+.2f}): hold {partner} at "
        f"{held} with --set {shown}; or {_MEASURE}"
    )


def _partner(run: StoredRun, name: str) -> tuple[str | None, float]:
    """Return the parameter most correlated with another one, and how much; None below 0.9."""
    names, covariance = run.record.covariance_names, run.record.covariance
    if covariance is None or name not in names:
        return None, 0.0
    k = names.index(name)
    deviations = np.sqrt(np.diag(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        row = np.nan_to_num(covariance[k] / (deviations[k] * deviations))
    row[k] = 0.0
    # An offset is what can be held: a rate is what is measured.
    offsets = [j for j in range(len(names)) if names[j].endswith("offset")]
    likely = [j for j in offsets if abs(row[j]) > TRADES_OFF] or [int(np.argmax(np.abs(row)))]
    best = max(likely, key=lambda j: abs(row[j]))
    return (names[best], float(row[best])) if abs(row[best]) > TRADES_OFF else (None, 0.0)


def _unmoved(run: StoredRun, name: str) -> bool:
    start, error = run.record.initial.get(name), run.record.uncertainties.get(name, np.nan)
    return start is not None and not has_moved(start, run.solution.values[name], error)


def check_convergence(run: StoredRun, edm: float, at_bounds: Collection[str] = ()) -> CheckResult:
    """Check the optimiser's verdict, the EDM, and that no parameter is stuck at its start.

    A parameter at a bound is the physical check's matter, an undetermined one that of the
    uncertainties. If nothing at all moved and the EDM is small, the start was the minimum.
    """
    record = run.record
    remarks = []
    remedy = "run homodyne diagnose, apply its x_scale, and fit again with more iterations"
    if not record.converged:
        remarks.append(Remark("fail", f"the optimiser reports: {record.message}", remedy))
    if not edm < EDM_CONVERGED:
        # A run that says converged at such an EDM ended in a flat valley (see `solver`).
        flat = record.converged and edm < EDM_FLAT
        message = f"one more step would still lower chi2 by {edm:.3g}"
        remarks.append(Remark("warn" if flat else "fail", message, remedy))
    inside = _fitted_inside(run, at_bounds)
    judged = [n for n in inside if np.isfinite(record.uncertainties.get(n, 0.0))]
    unmoved = [n for n in judged if _unmoved(run, n)]
    if unmoved and len(unmoved) == len(judged) and not remarks:
        message = f"no parameter moved from its start, and none needs to (EDM {edm:.2g})"
        remarks.append(Remark("warn", message, "start elsewhere to see whether it comes back"))
    elif unmoved:
        message = f"{', '.join(unmoved)} did not move from the start"
        advice = "fix what is known, or fit again with a balanced x_scale from another start"
        remarks.append(Remark("fail", message, advice))
    worst = worst_of(remarks, f"{record.message or 'converged'}; EDM {edm:.2g}")
    return CheckResult("convergence", worst.status, edm, EDM_CONVERGED, worst.message, worst.advice)


def check_physical(
    run: StoredRun, residuals: Residuals, at_bounds: Collection[str] = ()
) -> CheckResult:
    """Check bounds, D(t) > 0, contrast and offset, and how well phi0 is determined."""
    lowest, time = _lowest_diffusion(run.solution.values, residuals.dataset.t)
    remarks = _bound_remarks(run, at_bounds, negative=not lowest > 0.0)
    if not lowest > 0.0:
        message = f"D(t) falls to {lowest:.3g} Å²/s at t = {time:.3g} s"
        remarks.append(
            Remark("fail", message, _POSITIVE.format(run.problem.bounds["D_offset"].upper))
        )
    remarks += _scaling_remarks(run, residuals)
    error = run.record.uncertainties.get("phi0", 0.0)
    if "phi0" in free_names(run.problem) and not error < PHI0_LIMIT:
        known = f"known to {error:.2g} deg only" if np.isfinite(error) else "not determined"
        message = f"phi0 is {known}"
        advice = "add angles, or fix phi0 from the geometry of the cell"
        remarks.append(Remark("fail", message, advice))
    worst = worst_of(
        remarks, f"inside all bounds, D(t) at least {lowest:.3g} Å²/s, contrast and offset sound"
    )
    return CheckResult("physical", worst.status, lowest, 0.0, worst.message, worst.advice)


def _bound_remarks(run: StoredRun, at_bounds: Collection[str], *, negative: bool) -> list[Remark]:
    """Return what is at or outside of bounds.

    Parameters
    ----------
    negative
        Whether D(t) is: then wider bounds for its parameters are no remedy.
    """
    remarks = []
    for name in at_bounds:
        value, bounds = run.solution.values[name], run.problem.bounds[name]
        place = "outside" if _outside(value, bounds) else "at a bound of"
        message = f"{name} = {value:.5g} is {place} [{bounds.lower:g}, {bounds.upper:g}]"
        advice = f"widen the bounds of {name} if the physics allows, else fix it"
        if negative and name in ("D0", "D_offset"):
            advice = ""
        remarks.append(Remark("fail", message, advice))
    return remarks


def _lowest_diffusion(values: Mapping[str, float], t: FloatArray) -> tuple[float, float]:
    """Return the smallest D(t) in the window, Å²/s, and its time."""
    diffusion = values["D0"] * t ** values["alpha"] + values["D_offset"]
    k = int(diffusion.argmin())
    return float(diffusion[k]), float(t[k])


def _scaling_remarks(run: StoredRun, residuals: Residuals) -> list[Remark]:
    """Judge contrast and offset: inside and off their bounds, and the contrast seen at all."""
    data, problem, solution = residuals.dataset, run.problem, run.solution
    remarks = []
    limits = (
        ("contrast", solution.contrast, problem.contrast_bounds),
        ("offset", solution.offset, problem.offset_bounds),
    )
    for name, values, bounds in limits:
        outside = _outside if problem.per_angle_mode == "fixed" else _scaling_at_bound
        outliers = [a for a in range(data.n_phi) if outside(float(values[a]), bounds)]
        if outliers:
            listed = ", ".join(f"{values[a]:.4g} at {data.place(a)}" for a in outliers[:3])
            remainder = f" and {len(outliers) - 3} more angles" if len(outliers) > 3 else ""
            message = f"{name} {listed}{remainder} not inside [{bounds.lower:g}, {bounds.upper:g}]"
            remarks.append(Remark("fail", message, "check the data of these angles"))
    sigmas = residuals.each_angle(lambda a: _contrast_significance(solution, residuals, a))
    weak = [a for a in range(data.n_phi) if not sigmas[a] > CONTRAST_SIGMAS]
    if weak:
        message = (
            f"no significant contrast at {data.place(int(weak[0]))} "
            f"({sigmas[weak[0]]:.2g} sigma)" + (f" and {len(weak) - 1} more" if weak[1:] else "")
        )
        remarks.append(Remark("fail", message, "leave these angles out (phi_filtering)"))
    return remarks


def _contrast_significance(solution: Solution, residuals: Residuals, a: int) -> float:
    """Return contrast over its uncertainty with the parameters held, from the map's spread."""
    if solution.contrast[a] <= 0.0:
        return 0.0
    sums = np.zeros(3)
    for band in residuals.bands(a):
        values = band.fit[band.keep] - solution.offset[a]
        sums += len(values), values.sum(dtype=float), np.dot(values, values)
    count, total, squares = sums.tolist()
    spread = squares - total**2 / count if count else 0.0
    return 1.0 / float(residuals.amplitude_error(a, spread)) if spread > 0.0 else 0.0
