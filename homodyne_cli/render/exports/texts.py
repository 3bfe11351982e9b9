"""A fit as CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping

from homodyne_cli.assessments import SavedFit
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.render.numbers import format_number, format_with_uncertainty
from homodyne_cli.results import FittedParameter

_PER_ANGLE = ("contrast", "offset", "sigma")
_SYMBOLS = {
    "D0": "D_0",
    "alpha": r"\alpha",
    "D_offset": r"D_\mathrm{offset}",
    "gamma_dot_t0": r"\dot\gamma_0",
    "beta": r"\beta",
    "gamma_dot_t_offset": r"\dot\gamma_\mathrm{offset}",
    "phi0": r"\phi_0",
}
_UNITS = {
    "D0": r"\AA$^2$/s$^{1+\alpha}$",
    "D_offset": r"\AA$^2$/s",
    "gamma_dot_t0": r"s$^{-(1+\beta)}$",
    "gamma_dot_t_offset": "s$^{-1}$",
    "phi0": r"$^\circ$",
}


def csv_text(fit: SavedFit) -> str:
    """Return one row per figure: parameters, then contrast, offset and noise per angle.

    The columns are ``quantity, phi, value, uncertainty, unit``; what is not known is left empty.
    After phi come ``q`` and ``repeat`` where there are several.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    told = {"phi": fit.phi.tolist()}
    if len(fit.rows.rings) > 1:
        told["q"] = fit.q.tolist()
    if fit.repeat is not None:
        told["repeat"] = (fit.repeat + 1).tolist()
    table.writerow(("quantity", *told, "value", "uncertainty", "unit"))
    for p in fit.result.parameters:
        table.writerow(
            (p.name, *("" for _ in told), *map(_figure, (p.value, p.uncertainty)), p.unit)
        )
    for name in _PER_ANGLE:
        values = getattr(fit.result, name)
        errors = getattr(fit.result, f"{name}_uncertainty", [float("nan")] * len(values))
        for row, value, error in zip(zip(*told.values(), strict=True), values, errors, strict=True):
            table.writerow((name, *map(_figure, (*row, value, error)), ""))
    return text.getvalue()


def _figure(value: float) -> str:
    return "" if value != value else f"{value:.10g}"


def json_text(fit: SavedFit) -> str:
    """Return all that is known of a fit but its maps; null is what is not known."""
    return to_json({"name": fit.name, **_fields(fit)}) + "\n"


def _fields(fit: SavedFit) -> dict[str, object]:
    fields = {name: getattr(fit, name) for name in fit.__dataclass_fields__}
    if len(fit.rows.rings) == 1:
        fields["q"] = fit.q[0]
    if fit.repeat is None:
        del fields["repeat"]
    return fields


def latex_text(fit: SavedFit) -> str:
    """Return a tabular of the parameters, rounded by their uncertainties."""
    result = fit.result
    listed_q = ", ".join(f"{q:.6g}" for q in fit.rows.rings)
    rows = "".join(f"{_latex_row(p)} \\\\\n" for p in result.parameters)
    quality = f"reduced $\\chi^2 = {format_number(result.reduced_chi2, 4)}$"
    return (
        f"% {len(fit.phi)} angles, {fit.n_frames} frames, q = {listed_q} 1/A, "
        f"convention {result.convention}\n"
        "\\begin{tabular}{lrl}\n\\hline\nparameter & value & unit \\\\\n\\hline\n"
        f"{rows}\\hline\n\\multicolumn{{3}}{{l}}{{{quality}}} \\\\\n\\hline\n\\end{{tabular}}\n"
    )


def _latex_row(p: FittedParameter) -> str:
    value, error = format_with_uncertainty(p.value, p.uncertainty)
    said = f"${_power(value)}$ ({error})"
    if p.uncertainty > 0.0:
        digits, _, exponent = value.partition("e")
        around = error.partition("e")[0]
        said = f"${digits} \\pm {around}$"
        if exponent:
            said = f"$({digits} \\pm {around}) \\times 10^{{{int(exponent)}}}$"
    return f"${_SYMBOLS[p.name]}$ & {said} & {_UNITS.get(p.name, '')}"


def _power(number: str) -> str:
    digits, _, exponent = number.partition("e")
    return f"{digits} \\times 10^{{{int(exponent)}}}" if exponent else digits


TEXTS: Mapping[str, Callable[[SavedFit], str]] = {
    "csv": csv_text,
    "json": json_text,
    "latex": latex_text,
}
