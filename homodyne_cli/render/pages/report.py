"""The report on one fit or several: one page, readable offline, its figures drawn from its JSON.

The verdict comes first, then what it rests on. Tables and the sentences beside the figures are
there without scripts; figures are drawn by plotly.js (MIT), which is part of the page.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count

from homodyne_cli.assessments import CheckResult, CheckStatus, SavedFit, verdict_on
from homodyne_cli.findings.finding import Finding, Severity
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.render.comparison import (
    NOT_COMPARED,
    ComparedRow,
    Comparison,
    compare_fits,
    sigmas_text,
)
from homodyne_cli.render.findings import finding_text
from homodyne_cli.render.numbers import (
    MISSING,
    format_count,
    format_digits,
    format_number,
    format_with_uncertainty,
)
from homodyne_cli.render.pages.beside import Section
from homodyne_cli.render.pages.html import Markup, figure, script_json, table
from homodyne_cli.render.pages.page import asset, html_page
from homodyne_cli.render.pages.plot_data import RunFigures
from homodyne_cli.render.tables import PROVENANCE_LABELS, parameter_flag, sum_of

#: Nothing is fetched, and nothing sent, whatever is in the page.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
_KEYS = (
    "Figures: drag to zoom, double click to see all, point for values; with the keyboard, Tab to a "
    "figure, arrows move it, + and − zoom, 0 shows all."
)

_CLASSES: Mapping[CheckStatus, str] = {
    "pass": "pass", "warn": "warn", "fail": "fail", "n/a": "advice",
}  # fmt: skip

_SEVERITIES: Mapping[Severity, str] = {"note": "advice", "warning": "warn", "error": "fail"}


@dataclass(frozen=True)
class ReportedRun:
    """A run as a report tells of it; `figures` is its part of the page's JSON."""

    saved: SavedFit
    checks: tuple[CheckResult, ...]
    figures: RunFigures
    beside: tuple[Section, ...] = ()

    @property
    def data(self) -> Mapping[str, object]:
        """What all figures of the run are drawn from."""
        points = [drawn for section in self.beside for drawn, _ in section.figures]
        return {**self.figures.data, "points": points}


def report_page(runs: Sequence[ReportedRun]) -> str:
    """Return the page."""
    fits = [run.saved for run in runs]
    compared = compare_fits(fits)
    names = ", ".join(compared.names)
    figures = [{**run.data, "name": name} for run, name in zip(runs, compared.names, strict=True)]
    parts = [
        "<a class='skip' href='#main'>Skip to the report</a>",
        f"<main id='main'><h1>Report: {escape(names)}</h1>",
        *(_verdict(run, name) for run, name in zip(runs, compared.names, strict=True)),
        f"<p class='keys'>{_KEYS}</p>",
        "<noscript>The figures need JavaScript; all tables are here without it.</noscript>",
        *(_side_by_side(compared, runs) if len(runs) > 1 else ()),
    ]
    for index, (run, name) in enumerate(zip(runs, compared.names, strict=True)):
        parts += _run(run, index, name if len(runs) > 1 else "")
    data = script_json(to_json({"runs": figures}))
    parts += [
        "</main>",
        f"<script type='application/json' id='report-data'>{data}</script>",
        f"<script>{asset('plotly-cartesian.min.js')}</script>",
        f"<script>{asset('report.js')}</script>",
    ]
    return html_page(f"Report: {names}", parts, policy=_POLICY)


def _verdict(run: ReportedRun, name: str) -> str:
    result = run.saved.result
    status, sentence = verdict_on(run.checks)
    if not result.converged:
        status = "fail"
    ended = "Converged" if result.converged else "NOT CONVERGED"
    figures = (
        f"reduced chi2 {format_number(result.reduced_chi2, 5)} over "
        f"{format_count(result.n_points)} pairs; one more step would lower chi2 by "
        f"{format_number(result.edm, 3)} (EDM, well below 1 where a fit has converged)"
    )
    return (
        f"<div class='verdict {status}'><strong>{escape(sentence)}</strong> "
        f"<span>{escape(name)}: {ended}, {escape(result.message)}; {figures}.</span></div>"
    )


def _run(run: ReportedRun, index: int, name: str) -> Iterator[str]:
    """Yield the sections on one run."""
    fit, shown = run.saved, run.figures
    if name:
        yield f"<h2>{escape(name)}</h2>"
    curves = [figure("curve", text, run=index, index=k) for k, text in enumerate(shown.curves)]
    related = [figure("correlation", shown.correlation, run=index, square=True)]
    if shown.history:
        related.append(figure("history", shown.history, run=index, square=True))
    scaling = [figure("scaling", text, run=index, index=k) for k, text in enumerate(shown.scaling)]
    sections = {
        "Data and program": _provenance(fit),
        "Checks": _checks(run.checks),
        "Parameters": _parameters(fit) + _together(fit),
        "Curves": _grid(*curves),
        **dict(_beside(run.beside, index)),
        "Maps and lag profiles": _angles(fit, shown, index),
        "Correlation and convergence": _grid(*related),
        "Contrast, offset and noise per angle": _grid(*scaling) + _scaling(fit),
    }
    for title, part in sections.items():
        yield f"<section><h3>{escape(title)}</h3>{part}</section>"


def _beside(sections: Sequence[Section], run: int) -> Iterator[tuple[str, str]]:
    """Yield titles and contents of what was compared."""
    place = count()
    for section in sections:
        shown = [figure("points", text, run=run, index=next(place)) for _, text in section.figures]
        yield section.title, _paragraphs(section.words) + _grid(*shown) + section.tables


def _grid(*figures: str) -> str:
    return f"<div class='figures'>{''.join(figures)}</div>"


def _paragraphs(*texts: str) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)


def _provenance(fit: SavedFit) -> str:
    origin = fit.origin
    rows: list[tuple[str, str, str]] = [
        (PROVENANCE_LABELS.get(name, name), entry.value, entry.source)
        for name, entry in fit.provenance.items()
    ]
    rows += [("input", path, f"SHA-256 {digest}") for path, digest in origin.inputs.items()]
    rows += [
        ("model", f"{fit.result.mode}, convention {fit.result.convention}",
         f"contrast and offset {fit.result.per_angle_mode}, loss {fit.result.loss}"),
        ("made by", origin.written_by or MISSING, origin.device),
        ("date", origin.created or MISSING, ""),
        ("command", shlex.join(origin.command_line) or MISSING, ""),
    ]  # fmt: skip
    shown = table(("", "value", "from"), rows, label="Data and program")
    return shown + _paragraphs(*(f"Note: {note}" for note in fit.notes)) + _doubts(fit.findings)


def _doubts(findings: Sequence[Finding]) -> str:
    """Say what was doubtful in the input."""
    return "".join(
        f"<p><span class='{_SEVERITIES[finding.severity]}'>{finding.severity}:</span> "
        f"{escape(finding_text(finding))} <span class='advice'>{escape(finding.advice)}</span></p>"
        for finding in findings
    )


def _checks(checks: Sequence[CheckResult]) -> str:
    rows = [
        (
            check.id,
            Markup(f"<span class='{_CLASSES[check.status]}'>{check.status}</span>"),
            MISSING if check.value is None else format_digits(check.value),
            MISSING if check.threshold is None else format_digits(check.threshold),
            Markup(
                escape(check.message)
                + (f"<div class='advice'>{escape(check.advice)}</div>" if check.advice else "")
            ),
        )
        for check in checks
    ]
    head = ("check", "verdict", "measured", "threshold", "reason, and what to do")
    return table(head, rows, label="Checks", numeric=("measured", "threshold"))


def _parameters(fit: SavedFit) -> str:
    rows = []
    for p in fit.result.parameters:
        value, error = format_with_uncertainty(p.value, p.uncertainty)
        bounds = f"{format_digits(p.bounds.lower)} … {format_digits(p.bounds.upper)}"
        rows.append((p.name, value, error, p.unit, bounds, parameter_flag(p)))
    head = ("parameter", "value", "uncertainty", "unit", "bounds", "remark")
    numeric = ("value", "uncertainty", "bounds")
    return table(head, rows, label="Parameters", numeric=numeric)


def _together(fit: SavedFit) -> str:
    """Say what is known of parameters that are not known apart."""
    result = fit.result
    said = [f"Not determined: {sentence}" for sentence in result.undetermined]
    said += [f"Equivalent, describing the data exactly as well: {_listed(v)}"
             for v in result.equivalents]  # fmt: skip
    said += [
        f"Profile of {p.name}: down to {_end(p.lower)}, up to {_end(p.upper)}"
        for p in result.profiles
    ]
    rows = [
        (sum_of(zip(c.coefficients, c.names, strict=True)),
         *format_with_uncertainty(c.value, c.uncertainty), c.unit)
        for c in result.combinations
    ]  # fmt: skip
    if not rows:
        return _paragraphs(*said)
    head = ("determined together, not apart", "value", "uncertainty", "unit")
    shown = table(head, rows, label="Combinations", numeric=head[1:3])
    return _paragraphs(*said) + shown


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {value:.6g}" for name, value in values.items())


def _end(value: float | None) -> str:
    return "its bound" if value is None else format_number(value, 5)


def _scaling(fit: SavedFit) -> str:
    r, told = fit.result, fit.rows.columns
    rows = [
        (
            *place,
            *format_with_uncertainty(float(r.contrast[a]), float(r.contrast_uncertainty[a])),
            *format_with_uncertainty(float(r.offset[a]), float(r.offset_uncertainty[a])),
            format_digits(float(r.sigma[a])),
        )
        for a, place in enumerate(zip(*told.values(), strict=True))
    ]
    head = (
        *(name.replace("(deg)", "(°)") for name in told),
        "contrast",
        "±",
        "offset",
        "± ",
        "noise",
    )
    return table(head, rows, label="Contrast, offset and noise per angle", numeric=head)


def _angles(fit: SavedFit, shown: RunFigures, index: int) -> str:
    options = "".join(
        f"<option value='{a}'>{fit.rows.place(a, '{:.2f}°')}</option>" for a in range(len(fit.phi))
    )
    choice = (
        f"<p class='choose'><label>Angle φ <select data-run='{index}'>{options}</select></label>"
        " (arrow keys go through them)</p>"
    )
    maps = [
        figure("map", text, run=index, kind=kind, of_angle=True, square=True)
        for kind, text in shown.maps.items()
    ]
    profiles = [
        figure("profile", text, run=index, kind=kind, of_angle=True)
        for kind, text in shown.profiles.items()
    ]
    return choice + _grid(*maps, *profiles)


def _side_by_side(compared: Comparison, runs: Sequence[ReportedRun]) -> Iterator[str]:
    yield "<h2>Side by side</h2>"
    yield _compared("Parameters", compared, compared.parameters)
    yield _compared("Quality", compared, compared.quality)
    if not compared.same_data:
        yield _paragraphs(NOT_COMPARED)
    most = max(runs, key=lambda run: len(run.figures.curves))
    texts = [f"{text.partition(',')[0]} of all runs, with bands." for text in most.figures.curves]
    yield _grid(
        *(figure("curves", text, run=runs.index(most), index=k) for k, text in enumerate(texts))
    )
    yield _compared("Data", compared, compared.data)
    if compared.config:
        yield _compared("Config keys that differ", compared, compared.config)


def _compared(title: str, compared: Comparison, rows: Sequence[ComparedRow]) -> str:
    """Show quantities of several runs; parameters with their distance from the first run."""
    first, *others = compared.names
    with_distance = any(row.apart for row in rows)
    head = ["", first]
    for name in others:
        head += [name, "from the first"] if with_distance else [name]
    cells = []
    for row in rows:
        cells.append([row.what, row.cells[0]])
        for k, cell in enumerate(row.cells[1:]):
            cells[-1] += [cell, sigmas_text(row.apart[k])] if with_distance else [cell]
    marks = [row.differs for row in rows]
    return f"<h3>{escape(title)}</h3>" + table(head, cells, label=title, differing=marks)
