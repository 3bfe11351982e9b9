"""Verdicts on whether rings agree, and repeats: checks of ``verify``, findings of ``fit``.

Rings fail by chance and by size: J and the shear rate of a ring that are off by 2% or less are what
a model that is right leaves of simulated particles. Repeats fail by chance alone: noise is all that
they differ by, and how much it is has been stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from homodyne_cli.assessments import CheckResult, CheckStatus
from homodyne_cli.findings.agreement import Agreement, ComparedKind, ComparedQuantity
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding

#: Chance that agreement fails by noise alone, and that it warns.
FAILS: Final = 0.001
_WARNS: Final = 0.01
#: Deviations that count, in the unit of each quantity.
_LEAST: Final = {"J": 2.0, "shear rate": 2.0, "phi0": 0.5}
_MEANS: Final = {
    "J": "the decay does not go with q^2: particles of many sizes, a structure factor, a second "
    "component or a decay within one frame at high q",
    "shear rate": "rings do not see one flow: slip, a shear band, or lobes that are not sampled at "
    "high q",
    "phi0": "rings see the flow from different sides: the beam's centre on the detector is off",
}


def check_agreement(agreement: Agreement) -> CheckResult:
    """Return the check ``rings`` or ``repeats`` of a run."""
    return _of_rings(agreement) if agreement.kind == "rings" else _of_repeats(agreement)


def agreement_findings(agreements: Sequence[Agreement]) -> Iterator[Finding]:
    """Yield a warning for each comparison that fails."""
    for agreement in agreements:
        check = check_agreement(agreement)
        if check.status == "fail":
            yield Finding(check.code, "warning", check.message, check.advice)


def check_without_comparison(kind: ComparedKind) -> CheckResult:
    """Return the check of rings or repeats that a fit cannot compare."""
    return CheckResult(
        kind,
        "n/a",
        None,
        None,
        f"the {kind} are not compared: with a robust loss there is no covariance of each",
        f"fit {kind} one by one (fit --each), or with optimization.nlsq.loss: linear",
    )


def findings_without_comparison(kinds: Sequence[ComparedKind]) -> Iterator[Finding]:
    """Yield a note on rings or repeats that a fit cannot compare."""
    for kind in kinds:
        check = check_without_comparison(kind)
        yield Finding(check.code, "note", check.message, check.advice)


def _of_rings(agreement: Agreement) -> CheckResult:
    tested = [q for q in agreement.quantities if q.degrees > 0]
    n_tests = len(tested) + 1
    chances = [min(n_tests * q.p_value, 1.0) for q in tested]
    several = _quantities(agreement, tested)
    overall = min(n_tests * agreement.p_value, 1.0) if agreement.degrees else 1.0
    chance = min([*chances, overall])
    status: CheckStatus = "pass"
    if chance < _WARNS:
        status = "warn"
    failing = [
        q
        for q, p in zip(tested, chances, strict=True)
        if p < FAILS and abs(q.deviation[q.worst]) >= _LEAST[q.name]
    ]
    if not failing:
        message = f"{len(agreement.parts)} rings: {several}; chance of all {chance:.2g}"
        advice = "compare fits of single rings (fit --each)" if status == "warn" else ""
        return CheckResult(Code.RINGS.name.lower(), status, chance, FAILS, message, advice)
    worst = min(failing, key=lambda q: q.p_value)
    message = (
        f"the rings disagree on {worst.name}: {_off(agreement, worst)} (chance {chance:.1g}); "
        f"of all: {several}"
    )
    advice = f"{_MEANS[worst.name]}; compare fits of single rings (fit --each)"
    return CheckResult(Code.RINGS.name.lower(), "fail", chance, FAILS, message, advice)


def _of_repeats(agreement: Agreement) -> CheckResult:
    chance, count = agreement.p_value, len(agreement.parts)
    name = Code.REPEATS.name.lower()
    if not agreement.degrees:
        message = "the repeats tell nothing apart: no parameter is determined by each of them"
        return CheckResult(name, "n/a", None, None, message)
    message = (
        f"{count} repeats scatter by {agreement.scatter:.2f} of the stated uncertainties (chi2 "
        f"{agreement.chi2:.4g} for {agreement.degrees}, chance {chance:.2g})"
    )
    if chance >= _WARNS:
        return CheckResult(name, "pass", chance, FAILS, message)
    odd = max(agreement.quantities, key=lambda q: -q.p_value, default=None)
    if odd is not None:
        message += f"; most of all {odd.name}, {_off(agreement, odd)}"
    advice = (
        "the sample or the flow was not the same, or uncertainties are too small: fit the repeats "
        f"apart (fit --each); times {agreement.scatter:.2g}, they would cover what is seen"
    )
    return CheckResult(name, "fail" if chance < FAILS else "warn", chance, FAILS, message, advice)


def _off(agreement: Agreement, quantity: ComparedQuantity) -> str:
    part = quantity.worst
    deviation, error = quantity.deviation[part], quantity.uncertainty[part]
    return f"{agreement.label(part)} is {deviation:+.2g} ± {error:.1g} {quantity.unit} off"


def _quantities(agreement: Agreement, tested: Sequence[ComparedQuantity]) -> str:
    """Say how far the parts are apart in each quantity, and how certain that is."""
    sentences = []
    for q in tested:
        pull = float(np.nan_to_num(q.deviation / q.uncertainty)[q.worst])
        sentences.append(
            f"{q.name} up to {abs(q.deviation[q.worst]):.2g} {q.unit} ({pull:+.1f} sigma)"
        )
    return ", ".join(sentences) or "nothing that they could be compared by"
