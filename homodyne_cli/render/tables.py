"""Tables of a fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Table

from homodyne_cli.dataset import FloatArray, Provenance, Rows
from homodyne_cli.render.numbers import (
    MISSING,
    format_count,
    format_digits,
    format_number,
    format_seconds,
    format_with_uncertainty,
)
from homodyne_cli.render.table_shapes import ByWidth, plain_table
from homodyne_cli.results import (
    Combination,
    FitResult,
    FittedParameter,
    ProfileInterval,
    Rival,
    SearchReport,
    Seconds,
)

#: What resolved quantities are called.
PROVENANCE_LABELS = {
    "q": "q",
    "phi": "angles",
    "dt": "dt",
    "frames": "frames",
    "origin": "t = 0",
    "gap": "gap",
    "sigma": "noise",
    "layout": "layout",
    "masked": "left out",
}


#: What the figure stands for, beside it wherever it is shown.
EDM_MEANS = "χ² that one more step would still gain: far below 1 is converged"
#: Uncertainties without a bound that another parameter is at are told from this much more on.
_WIDENED = 1.1
#: Columns from which parameters, numbers, units and remarks fit beside each other.
_WIDE = 88
_WIDE_WITH_TRUTH = 104


def provenance_table(provenance: Mapping[str, Provenance]) -> Table:
    """Show what was read and where each figure came from."""
    table = plain_table("Data", "", "value", "from", words=("value", "from"))
    for key, resolved in provenance.items():
        table.add_row(
            PROVENANCE_LABELS.get(key, key), escape(resolved.value), escape(resolved.source)
        )
    return table


def parameter_flag(parameter: FittedParameter) -> str:
    """Say in words what is special about a fitted parameter."""
    if parameter.fixed:
        return "fixed"
    if parameter.at_bound:
        return "at bound"
    if math.isnan(parameter.uncertainty):
        return "not determined"
    if parameter.unmoved:
        return "did not move from its start"
    if parameter.uncertainty_unbounded > _WIDENED * parameter.uncertainty:
        return f"±{format_number(parameter.uncertainty_unbounded, 2)} without the bound"
    return ""


def parameter_table(result: FitResult, truth: Mapping[str, float] | None) -> ByWidth:
    """Show fitted parameters, with the truth and the pull beside them where it is known.

    What is special about a parameter stands beside it, or below where the console is narrow.
    """
    known = ("truth", "pull") if truth else ()
    numeric = ("value", "uncertainty", *known)
    columns = ("parameter", *numeric, "unit")
    said = "pull: how many uncertainties the value is off the truth" if truth else None
    wide = plain_table(
        "Parameters", *columns, "remark", right=numeric, words=("remark",), caption=said
    )
    narrow = plain_table("Parameters", *columns, right=numeric, caption=said)
    remarks = plain_table("", "parameter", "remark", words=("remark",))
    remarks.show_header = False
    for p in result.parameters:
        flag = parameter_flag(p)
        style = "yellow" if flag and not p.fixed else None
        cells: tuple[str, ...] = (p.name, *format_with_uncertainty(p.value, p.uncertainty))
        if truth:
            cells = (*cells, *_against_truth(p, truth.get(p.name, float("nan"))))
        wide.add_row(*cells, p.unit, flag, style=style)
        narrow.add_row(*cells, p.unit, style=style)
        if flag and not p.fixed:
            remarks.add_row(p.name, flag, style=style)
    below = Group(narrow, "", remarks) if remarks.row_count else Group(narrow)
    return ByWidth(wide, below, _WIDE_WITH_TRUTH if truth else _WIDE)


def profile_table(profiles: Sequence[ProfileInterval]) -> Table:
    """Show profile-likelihood intervals beside the value."""
    figures = ("value", "down to", "up to", "χ² rises by")
    table = plain_table("Profile intervals (1 sigma)", "parameter", *figures, right=figures)
    for p in profiles:
        ends = ["its bound" if e is None else format_number(e, 5) for e in (p.lower, p.upper)]
        table.add_row(p.name, format_number(p.value, 5), *ends, format_digits(p.chi2_rise))
    return table


def combination_table(combinations: Sequence[Combination]) -> Table:
    """Show what is determined of parameters that are not known apart."""
    figures = ("value", "uncertainty")
    title = "Determined together, not apart"
    table = plain_table(
        title, "combination", *figures, "unit", right=figures, words=("combination",)
    )
    for c in combinations:
        parts = zip(c.coefficients, c.names, strict=True)
        table.add_row(
            sum_of(parts), *format_with_uncertainty(c.value, c.uncertainty), escape(c.unit)
        )
    return table


def sum_of(parts: Iterable[tuple[float, str]]) -> str:
    """Write a linear combination; coefficients to the digits that a reader needs to redo it."""
    text = ""
    for coefficient, name in parts:
        size = f"{abs(coefficient):.7g}"
        sign = "-" if coefficient < 0.0 else "+"
        term = name if size == "1" else f"{size} {name}"
        text += f" {sign} {term}" if text else (term if sign == "+" else f"-{term}")
    return text


def _conditioned(result: FitResult) -> tuple[tuple[str, str], ...]:
    """Say what x_scale did to the condition number."""
    said = [
        f"{format_number(at.raw, 3)} raw, {format_number(at.scaled, 3)} scaled at the {end}"
        for end, at in result.conditioning.items()
    ]
    return (("condition number", "; ".join(said)),) if said else ()


def _against_truth(parameter: FittedParameter, truth: float) -> tuple[str, str]:
    """Return the truth and the pull (value - truth) / uncertainty."""
    known = parameter.uncertainty > 0.0
    pull = (parameter.value - truth) / parameter.uncertainty if known else float("nan")
    return format_number(truth, 6), f"{pull:+.1f}" if math.isfinite(pull) else MISSING


def scaling_table(
    rows: Rows,
    contrast: FloatArray,
    contrast_uncertainty: FloatArray,
    offset: FloatArray,
    offset_uncertainty: FloatArray,
    sigma: FloatArray,
) -> Table:
    """Show contrast, offset and noise per angle."""
    told = rows.columns
    names = (*told, "contrast", "±", "offset", "± ", "noise")
    table = plain_table("Scaling per angle", *names, right=names)
    for a, place in enumerate(zip(*told.values(), strict=True)):
        table.add_row(
            *place,
            *format_with_uncertainty(float(contrast[a]), float(contrast_uncertainty[a])),
            *format_with_uncertainty(float(offset[a]), float(offset_uncertainty[a])),
            format_digits(float(sigma[a])),
        )
    return table


def _searched(search: SearchReport | None) -> tuple[tuple[str, str], ...]:
    """Say how the global stage came to its choice."""
    if search is None:
        return ()
    reached = (
        f"{search.reached} of {search.refined} refined starts (of {search.screened} looked at) "
        "reached this minimum"
    )
    other = "no other minimum found"
    if search.runner_up is not None:
        # Minima that are close on the few pairs of the search are told apart on more of them.
        lower = ", and a higher one on more pairs" if search.runner_up < search.chi2 else ""
        other = (
            f"the {'other' if lower else 'next best'} has χ² {format_number(search.runner_up, 6)} "
            f"against {format_number(search.chi2, 6)} on {format_count(search.n_points)} pairs"
            f"{lower}"
        )
    rivals = tuple(
        ("within noise" if k == 0 else "", _rival(rival)) for k, rival in enumerate(search.rivals)
    )
    return (("search", f"{reached}; {other}"), *rivals)


def _rival(rival: Rival) -> str:
    """Say where another minimum lies that noise alone could have made the lowest."""
    values = ", ".join(f"{name} {format_number(v, 3)}" for name, v in rival.values.items())
    return f"another minimum, χ² {format_number(rival.chi2_above, 2)} higher: {values}"


def _noise(result: FitResult) -> str:
    """Say what noise the uncertainties rest on."""
    noise = result.noise
    if noise.weights is not None:
        count, spread = format_with_uncertainty(noise.n_speckles, noise.n_speckles_error)
        photons, error = format_with_uncertainty(noise.photons, noise.photons_error)
        return (
            f"{count} ± {spread} speckles per angle, {photons} ± {error} photons per speckle and "
            f"frame ({100.0 * noise.white_share:.3g}% of the variance); pairs weighed by their "
            f"covariance: uncertainties up to {format_digits(noise.gain)} times smaller than with "
            "equal weights"
        )
    if math.isinf(noise.n_speckles):
        return "independent from pair to pair: uncertainties from the inverse Hessian"
    factors = [
        p.uncertainty / p.uncertainty_hessian
        for p in result.parameters
        if p.uncertainty_hessian > 0.0 and p.uncertainty > 0.0
    ]
    compared = ""
    if factors:
        low, high = format_digits(min(factors)), format_digits(max(factors))
        compared = f"; the inverse Hessian alone would say {low} to {high} times less"
    return (
        f"{format_number(result.noise.n_speckles, 3)} effective speckles per angle, "
        f"{100.0 * result.noise.white_share:.3g}% of the variance white{compared}"
    )


def _chi2(result: FitResult) -> str:
    said = f"{format_number(result.chi2, 8)} over {format_count(result.n_points)} pairs"
    if result.noise.weights is None:
        return said
    plain = format_number(result.plain_chi2, 6)
    return f"{said}, in the metric of their covariance; as if they were independent {plain}"


def _spent(seconds: Seconds | None) -> tuple[tuple[str, str], ...]:
    """Say where the time went, if it is known."""
    if seconds is None:
        return ()
    names = ("load", "compile", "fit", "save")
    parts = ", ".join(f"{name} {format_seconds(getattr(seconds, name))}" for name in names)
    return (("time", f"{format_seconds(seconds.total)} ({parts})"),)


def fit_summary(result: FitResult, seconds: Seconds | None) -> Table:
    """Show quality, convergence and where the time went."""
    table = plain_table("Fit", "", "", words=("",))
    verdict = "converged" if result.converged else "NOT CONVERGED"
    style = "green" if result.converged else "bold red"
    rows = (
        ("status", f"[{style}]{verdict}[/]: {escape(result.message)}"),
        (
            "model",
            f"{result.mode}, convention {result.convention}, scaling {result.per_angle_mode}",
        ),
        ("χ²", _chi2(result)),
        ("reduced χ²", format_number(result.reduced_chi2, 5)),
        ("EDM", f"{format_number(result.edm, 3)} ({EDM_MEANS})"),
        ("iterations", f"{result.iterations} ({result.evaluations} evaluations)"),
        ("noise", _noise(result)),
        *_searched(result.search),
        ("loss, x_scale", f"{result.loss}, {result.x_scale_mode}"),
        *_conditioned(result),
        *_spent(seconds),
    )
    for row in rows:
        table.add_row(*row)
    return table
