"""What a batch knows of one of its fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["converged", "not converged", "failed"]


@dataclass(frozen=True)
class Estimate:
    """A fitted value; None where the data give none."""

    value: float | None
    uncertainty: float | None
    unit: str


@dataclass(frozen=True)
class Row:
    """What a batch knows of one fit.

    Attributes
    ----------
    name
        Of the job and of its run directory.
    scan
        Number in the file's name, if there is one.
    time
        When the data file was written last (UTC, ISO 8601); None if it is not there.
    fingerprint
        Of config, data and program.
    state, exit_code
        How it ended; the code is that of ``homodyne fit``.
    error
        Message and hint of a fit that failed.
    checks
        Verdict of each check of ``homodyne verify``, by its id.
    seconds
        Wall-clock time of fit and checks.
    """

    name: str
    file: str
    scan: int | None
    time: str | None
    q: float | None
    fingerprint: str
    state: State
    exit_code: int
    error: str = ""
    parameters: Mapping[str, Estimate] = field(default_factory=dict)
    chi2: float | None = None
    reduced_chi2: float | None = None
    edm: float | None = None
    checks: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """The worst of all: failed, fail, warn or pass."""
        if self.state != "converged":
            return "failed" if self.state == "failed" else "fail"
        statuses = set(self.checks.values())
        return next((s for s in ("fail", "warn") if s in statuses), "pass")
