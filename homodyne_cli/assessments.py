"""What is known and judged after a fit: the run read back, its diagnosis, its checks, its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, Provenance, Rows
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import FitRecord, FitResult, Seconds, Solution

Measure = Literal["gradient", "sensitivity"]
CheckStatus = Literal["pass", "warn", "fail", "n/a"]
FitState = Literal["converged", "not converged", "failed"]


@dataclass(frozen=True)
class StoredRun:
    """A finished fit with its data: read back from a directory, or still in memory.

    Attributes
    ----------
    problem
        What was asked of the fit, as far as the run says; the rest are defaults.
    dataset
        Maps, angles, times, geometry; sigma is the run's, or None if it has none.
    solution
        Parameters, contrast and offset as the run reported them.
    record
        What the run says about itself.
    """

    problem: FitProblem
    dataset: Dataset
    solution: Solution
    record: FitRecord

    @property
    def title(self) -> str:
        """Where it is, and what was fitted."""
        return f"{self.record.directory}: {self.problem.mode}, convention {self.problem.convention}"


@dataclass(frozen=True)
class Origin:
    """How a run was made.

    Attributes
    ----------
    written_by, device
        The program with its version, and what computed.
    created
        Date and time, ISO 8601; empty if not recorded.
    command_line
        Its words.
    inputs
        SHA-256 of the files that were read, by their path: the config, then the data.
    linked
        Likewise of the files that links in the data lead to.
    folder
        Working directory, which relative paths are relative to; empty if not recorded.
    versions
        Of the program and what it computes with, by name.
    """

    written_by: str = ""
    device: str = ""
    created: str = ""
    command_line: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    linked: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedFit:
    """What a run directory says.

    Attributes
    ----------
    directory
        The run, as it was named.
    result
        NaN where the run does not say.
    phi
        (n_phi,) degrees.
    q, repeat
        (n_phi,) 1/Å and which of the repeats, None where there is one measurement.
    gap, dt
        Å, s.
    provenance, notes, findings
        Where the data came from, what had to be assumed, and what was doubtful.
    config
        The resolved config; empty if the run has none.
    seconds
        None if not recorded.
    """

    directory: Path
    result: FitResult
    phi: FloatArray
    q: FloatArray
    gap: float | None
    dt: float
    provenance: Mapping[str, Provenance]
    repeat: IndexArray | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    origin: Origin = Origin()
    config: Mapping[str, object] = field(default_factory=dict)
    seconds: Seconds | None = None

    @property
    def name(self) -> str:
        """Last part of the run's path."""
        return self.directory.resolve().name

    @property
    def n_frames(self) -> int:
        """Number of fitted frames."""
        return len(self.result.curves.t)

    @property
    def rows(self) -> Rows:
        """Which maps were fitted."""
        return Rows(self.phi, self.q, self.repeat)


@dataclass(frozen=True)
class CheckResult:
    """The verdict of one validation check.

    Attributes
    ----------
    id
        ``oscillations``, ``chi_squared``, ``uncertainties``, ``residuals``,
        ``gradient_balance``, ``convergence`` or ``physical``; ``rings`` or ``repeats`` of a joint
        fit; ``rheometer`` where one is given.
    value, threshold
        The figure that decided and its limit; None where there is none.
    message
        One line: the reason.
    advice
        What to do about it; empty where nothing is needed.
    """

    id: str
    status: CheckStatus
    value: float | None
    threshold: float | None
    message: str
    advice: str = ""

    @property
    def code(self) -> Code:
        """Under which it is explained."""
        return Code[self.id.upper()]


def verdict_on(checks: Sequence[CheckResult]) -> tuple[CheckStatus, str]:
    """Return the worst status of all checks, and a sentence that names those that ask for it."""
    named = {s: [c.id for c in checks if c.status == s] for s in ("fail", "warn")}
    warned = f"{len(named['warn'])} warn: {', '.join(named['warn'])}"
    if named["fail"]:
        more = f"; {warned}" if named["warn"] else ""
        count, verb = len(named["fail"]), "fails" if len(named["fail"]) == 1 else "fail"
        return "fail", f"{count} of the checks {verb}: {', '.join(named['fail'])}{more}."
    if named["warn"]:
        return "warn", f"No check fails; {warned}."
    return "pass", "All checks pass."


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` finds at the point where a fit stopped.

    Attributes
    ----------
    names
        Free parameters; the arrays below follow them.
    gradients
        d SSE / d p with contrast and offset held (SSE of unweighted residuals);
        `gradient_noise` is their standard deviation if the data were model plus noise.
    sensitivities
        Column norms of the weighted Jacobian, contrast and offset projected out.
    z
        Gradient of chi2 (projected) over its standard deviation under noise.
    x_scale_map
        Recommended scale, by the rule in `measure`; `asked_measure` is what was asked for.
    max_ratio
        Largest absolute gradient over the baseline.
    effective_ratio
        max/min of sensitivity times the run's x_scale.
    edm
        Chi2 decrease still to be had.
    condition_raw, condition_scaled
        Of the projected Jacobian, without and with the recommended scale.
    correlated
        (name, name, correlation) whose correlation is beyond 0.95 either way.
    undetermined
        Sentences naming combinations that the data do not determine.
    below_noise
        Names whose gradient is below its noise floor.
    """

    names: tuple[str, ...]
    values: FloatArray
    gradients: FloatArray
    gradient_noise: FloatArray
    sensitivities: FloatArray
    z: FloatArray
    x_scale_map: Mapping[str, float]
    measure: Measure
    asked_measure: Measure
    baseline: float
    max_ratio: float
    threshold: float
    imbalance: bool
    effective_ratio: float
    edm: float
    premature: bool
    chi2: float
    condition_raw: float
    condition_scaled: float
    correlated: tuple[tuple[str, str, float], ...]
    undetermined: tuple[str, ...]
    below_noise: tuple[str, ...]

    @property
    def codes(self) -> tuple[Code, ...]:
        """What was found; empty for a balanced fit that converged."""
        verdicts = {Code.PREMATURE: self.premature, Code.IMBALANCE: self.imbalance}
        return tuple(code for code, holds in verdicts.items() if holds)


@dataclass(frozen=True)
class Estimate:
    """A fitted value; None where the data give none."""

    value: float | None
    uncertainty: float | None
    unit: str


@dataclass(frozen=True)
class BatchRow:
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
    state: FitState
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
