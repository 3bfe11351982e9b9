"""What diagnosis and verification say, as the library gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from homodyne_cli.assessments import CheckResult, Diagnosis, StoredRun, verdict_on
from homodyne_cli.core.diagnosis import verdict
from homodyne_cli.findings.agreement import Agreement
from homodyne_cli.library.shown import Shown, html_table
from homodyne_cli.render.numbers import format_digits
from homodyne_cli.render.screens.diagnosis import diagnosis_answer
from homodyne_cli.render.screens.verification import checks_answer


@dataclass(frozen=True, repr=False)
class DiagnosedFit(Shown):
    """Whether gradient imbalance stopped a fit early, and the scale that would balance it.

    Attributes
    ----------
    run
        What was judged.
    diagnosis
        All figures.
    """

    run: StoredRun
    diagnosis: Diagnosis

    def __repr__(self) -> str:
        return f"<DiagnosedFit: {verdict(self.diagnosis)[0]}>"

    @property
    def premature(self) -> bool:
        """Whether the fit stopped before its minimum."""
        return self.diagnosis.premature

    @property
    def x_scale_map(self) -> Mapping[str, float]:
        """The recommended scale, for ``optimization.nlsq.x_scale_map``."""
        return self.diagnosis.x_scale_map

    def _answer(self) -> dict[str, object]:
        return diagnosis_answer(self.run, self.diagnosis)

    def _columns(self) -> Mapping[str, Sequence[object]]:
        figures = self.diagnosis
        return {
            "parameter": list(figures.names),
            "value": figures.values.tolist(),
            "gradient": figures.gradients.tolist(),
            "gradient_noise": figures.gradient_noise.tolist(),
            "z": figures.z.tolist(),
            "sensitivity": figures.sensitivities.tolist(),
            "x_scale": [figures.x_scale_map[name] for name in figures.names],
        }

    def _repr_html_(self) -> str:
        columns = self._columns()
        figures = [name for name in columns if name != "parameter"]
        rows = [
            (str(name), *(format_digits(float(str(v))) for v in values))
            for name, *values in zip(*columns.values(), strict=True)
        ]
        said, todo = verdict(self.diagnosis)
        table = html_table("Diagnosis", list(columns), rows, figures)
        return f"<p><strong>{escape(said)}</strong> {escape(todo)}</p>{table}"


@dataclass(frozen=True, repr=False)
class VerifiedFit(Shown):
    """The checklist of a fit; it is true if no check fails.

    Attributes
    ----------
    run
        What was judged.
    checks
        Each with what was measured, its limit and why.
    agreements
        Of rings and of repeats that were fitted together.
    """

    run: StoredRun
    checks: tuple[CheckResult, ...]
    agreements: tuple[Agreement, ...] = ()

    def __repr__(self) -> str:
        return f"<VerifiedFit: {verdict_on(self.checks)[1]}>"

    def __bool__(self) -> bool:
        return self.passed

    def __iter__(self) -> Iterator[CheckResult]:
        """Go through the checks."""
        return iter(self.checks)

    @property
    def passed(self) -> bool:
        """Whether no check fails; warnings do not count."""
        return verdict_on(self.checks)[0] != "fail"

    def _answer(self) -> dict[str, object]:
        return checks_answer(self.run, self.checks, self.agreements, passed=self.passed)

    def _columns(self) -> Mapping[str, Sequence[object]]:
        return {
            "check": [c.id for c in self.checks],
            "status": [c.status for c in self.checks],
            "value": [c.value for c in self.checks],
            "threshold": [c.threshold for c in self.checks],
            "message": [c.message for c in self.checks],
            "advice": [c.advice for c in self.checks],
        }

    def _repr_html_(self) -> str:
        rows = [
            (c.id, "" if c.value is None else format_digits(c.value), c.status, c.message, c.advice)
            for c in self.checks
        ]
        head = ("check", "measured", "verdict", "reason", "what to do")
        said = verdict_on(self.checks)[1]
        return f"<p><strong>{escape(said)}</strong></p>" + html_table(
            "Checks", head, rows, ("measured",)
        )
