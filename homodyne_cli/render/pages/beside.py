"""Sections of a report on what was compared: rings, repeats, a rheometer, values that were held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.assessments import CheckResult
from homodyne_cli.core.agreement_verdicts import check_agreement
from homodyne_cli.core.assumptions.rheometer import FlowComparison
from homodyne_cli.core.held_value import HeldValue
from homodyne_cli.findings.agreement import Agreement, ComparedQuantity
from homodyne_cli.render.numbers import format_with_uncertainty
from homodyne_cli.render.pages.html import table
from homodyne_cli.render.tables_checks import (
    HELD_COLUMNS,
    flow_columns,
    flow_rows,
    held_rows,
)

#: Times of a rheometer that a figure shows.
_DRAWN = 400
#: Parts that each have their mark on the axis.
_TICKS = 8

Json = Mapping[str, object]


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes
    ----------
    title, words
        Above it, and the sentence that it begins with.
    tables
        HTML.
    figures
        What ``report.js`` draws as points, each with a sentence that says what it shows.
    """

    title: str
    words: str
    tables: str = ""
    figures: tuple[tuple[Json, str], ...] = ()


def agreement_sections(agreements: Sequence[Agreement]) -> Iterator[Section]:
    """Yield one section for rings, and one for repeats."""
    for agreement in agreements:
        check = check_agreement(agreement)
        figures = tuple(_deviations(agreement, q) for q in agreement.quantities)
        title = f"{agreement.kind.capitalize()} against the joint fit"
        yield Section(title, f"{check.status}: {check.message}", figures=figures)


def _deviations(agreement: Agreement, quantity: ComparedQuantity) -> tuple[Json, str]:
    across = "q (1/Å)" if agreement.kind == "rings" else "repeat"
    label = f"{quantity.name} off ({quantity.unit})"
    worst = quantity.worst
    most = _said(quantity.deviation[worst], quantity.uncertainty[worst])
    text = (
        f"{quantity.name} of each of the {agreement.kind}, off the joint fit, with error bars of "
        f"one sigma; the most: {most} {quantity.unit} at {agreement.label(worst)}."
    )
    points = _series("", agreement.parts, quantity.deviation, quantity.uncertainty)
    drawn = _drawn(quantity.name, (across, label), points, level=0.0)
    few = len(agreement.parts) <= _TICKS
    return {**drawn, "ticks": agreement.parts if few else None}, text


def flow_section(flow: FlowComparison | None, checks: Sequence[CheckResult]) -> tuple[Section, ...]:
    """Return the section on a rheometer, with its verdict; none without one."""
    if flow is None:
        return ()
    unit = " (1/s)" if flow.kind == "shear rate" else ""
    few = np.unique(np.geomspace(1, len(flow.t), _DRAWN).round().astype(int)) - 1
    t, where = flow.t[few], f"from {flow.t[0]:.4g} s to {flow.t[-1]:.4g} s"
    curves = _drawn(
        f"{flow.kind.capitalize()} of fit and rheometer",
        ("time (s)", f"{flow.kind}{unit}"),
        _series("fit", t, flow.fit[few], flow.fit_uncertainty[few], kind="band"),
        _series("rheometer", t, flow.rheometer[few], None),
    )
    ratio = _drawn(
        "Fit / rheometer",
        ("time (s)", "ratio"),
        _series("", t, flow.ratio[few], flow.uncertainty[few], kind="band"),
        level=1.0,
    )
    ends = [_said(flow.ratio[k], flow.uncertainty[k]) for k in (0, -1)]
    figures = (
        (curves, f"{flow.kind.capitalize()} {where}: the fit with a band of one sigma, and the "
         "rheometer's."),
        (ratio, f"Fit over rheometer {where}, with a band of one sigma: {ends[0]} at the first "
         f"time, {ends[1]} at the last. 1 is a homogeneous flow without slip."),
    )  # fmt: skip
    words = "; ".join(f"{check.status}: {check.message}" for check in checks)
    head = flow_columns(flow)
    listed = table(head, flow_rows(flow), label="Fit and rheometer", numeric=head)
    return (Section("Rheometer", words, listed, figures),)


def held_section(held: Sequence[HeldValue]) -> tuple[Section, ...]:
    """Return the section on parameters held at a value; none if there are none."""
    if not held:
        return ()
    words = "chi2 with one parameter held and all others fitted again; chance of such a rise."
    shown = table(
        HELD_COLUMNS, held_rows(held), label="Parameters held at a value", numeric=HELD_COLUMNS[1:]
    )
    return (Section("Parameters held at a value", words, shown),)


def _said(value: float, error: float) -> str:
    number, around = format_with_uncertainty(float(value), float(error))
    return f"{number} ± {around}"


def _series(name: str, x: object, y: object, sigma: object, kind: str = "points") -> Json:
    return {"name": name, "kind": kind, "x": x, "y": y, "sigma": sigma}


def _drawn(title: str, labels: tuple[str, str], *series: Json, level: float | None = None) -> Json:
    return {
        "title": title, "xlabel": labels[0], "ylabel": labels[1], "level": level, "series": series,
    }  # fmt: skip
