"""One self-contained HTML page on a verified fit: tables and pictures, readable offline."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.core.checks.lag_profiles import LagProfiles
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.objective.build import free_names
from homodyne_cli.parameters import BY_NAME
from homodyne_cli.render.heatmaps import drawn_frames, heatmap_pages
from homodyne_cli.render.numbers import MISSING, format_digits, format_number
from homodyne_cli.render.page import html_page

_DPI = 100


def report_page(
    run: StoredRun,
    checks: Sequence[CheckResult],
    profiles: LagProfiles,
    residuals: Residuals,
    *,
    passed: bool,
) -> str:
    """Return the page.

    Parameters
    ----------
    profiles
        Data and fit averaged over ages.
    residuals
        Data, fitted maps and the noise that residuals are divided by.
    passed
        The verdict on the whole.
    """
    record = run.record
    name = "" if record.directory is None else record.directory.name
    title = f"homodyne verify: {name}"
    verdict = "All checks pass." if passed else "Not all checks pass."
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(run.title)}, written by {escape(record.written_by)}; "
        f"{escape(record.message)}.</p>",
        *(f"<p>Note: {escape(note)}</p>" for note in record.notes),
        f"<p class='{'pass' if passed else 'fail'}'>{verdict}</p>",
        "<h2>Checks</h2>",
        _checks(checks),
        "<h2>Parameters</h2>",
        _parameters(run),
        "<h2>Contrast, offset and noise per angle</h2>",
        _scaling(run, residuals.sigma),
        *_angles(profiles, residuals),
    ]
    return html_page(title, parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[str]) -> str:
    """Return a table; cells are HTML already."""
    kinds = [" class='n'" if column in numeric else "" for column in head]
    top = "".join(f"<th{k}>{escape(c)}</th>" for k, c in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{k}>{c}</td>" for k, c in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f"<table>\n<tr>{top}</tr>\n{body}</table>"


def _checks(checks: Sequence[CheckResult]) -> str:
    rows = [
        (
            escape(check.id),
            MISSING if check.value is None else format_digits(check.value),
            MISSING if check.threshold is None else format_digits(check.threshold),
            f"<span class='{check.status}'>{check.status}</span>",
            escape(check.message)
            + (f"<div class='advice'>{escape(check.advice)}</div>" if check.advice else ""),
        )
        for check in checks
    ]
    head = ("check", "measured", "threshold", "verdict", "reason")
    return _table(head, rows, ("measured", "threshold"))


def _parameters(run: StoredRun) -> str:
    rows, free = [], free_names(run.problem)
    for name, value in run.solution.values.items():
        uncertainty = run.record.uncertainties.get(name, float("nan"))
        bounds = run.problem.bounds[name]
        rows.append(
            (
                escape(name),
                format_number(value, 6),
                format_number(uncertainty, 2) if np.isfinite(uncertainty) else MISSING,
                escape(BY_NAME[name].unit),
                f"{format_digits(bounds.lower)} … {format_digits(bounds.upper)}",
                "" if name in free else "fixed",
            )
        )
    head = ("parameter", "value", "uncertainty", "unit", "bounds", "")
    return _table(head, rows, ("value", "uncertainty", "bounds"))


def _scaling(run: StoredRun, sigma: np.ndarray) -> str:
    columns = (run.dataset.phi, run.solution.contrast, run.solution.offset, sigma)
    rows = [
        (f"{phi:.2f}", f"{contrast:.5g}", f"{offset:.6g}", f"{noise:.3g}")
        for phi, contrast, offset, noise in zip(*columns, strict=True)
    ]
    head = ("phi (deg)", "contrast", "offset", "noise")
    return _table(head, rows, head)


def _angles(profiles: LagProfiles, residuals: Residuals) -> Iterable[str]:
    data = residuals.dataset
    frames = drawn_frames(data.n_frames)
    shown = data.selected(frames), residuals.fit_between(frames)
    maps = heatmap_pages(data.phi, data.t[frames], *shown, residuals.sigma)
    for a, (phi, image) in enumerate(zip(data.phi, maps, strict=True)):
        yield f"<h2>phi = {phi:.2f}°</h2>"
        yield _picture(image, f"maps of data, fit and residual at {phi:.2f} degrees")
        yield _picture(_profile(profiles, a), f"c2 over lag at {phi:.2f} degrees")


def _picture(image: bytes, text: str) -> str:
    code = base64.b64encode(image).decode("ascii")
    return f"<img alt='{escape(text)}' src='data:image/png;base64,{code}'>"


def _profile(profiles: LagProfiles, angle: int) -> bytes:
    """Draw data and fit over lag, and what is left between them, of one angle."""
    figure = Figure(figsize=(13.0, 3.6), dpi=_DPI, layout="constrained")
    above, below = figure.subplots(1, 2)
    data, fit = profiles.data[angle], profiles.fit[angle]
    error = profiles.error[angle]
    above.plot(profiles.lag, data, ".", markersize=3, color="0.4", label="data")
    above.plot(profiles.lag, fit, "-", color="C3", label="fit")
    above.set(title="mean over ages", xlabel="lag (s)", ylabel="c2")
    above.legend()
    below.axhline(0.0, color="0.5", linewidth=0.8)
    below.plot(profiles.lag, (data - fit) / error, "-", linewidth=0.8)
    below.set(title="(data - fit) / standard error of white noise", xlabel="lag (s)")
    image = BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()
