"""One job: a fit, its run directory, its checks, its row. Runs in any process."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homodyne_cli.assessments import BatchRow, Estimate, FitState
from homodyne_cli.batch.fingerprint import config_fingerprint, run_fingerprint
from homodyne_cli.batch.jobs import Job
from homodyne_cli.batch.rows import save_row
from homodyne_cli.errors import ExitCode, FitError, HomodyneError
from homodyne_cli.flow import make_run
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.run.write_run import sha256_of
from homodyne_cli.parameters import BY_NAME

if TYPE_CHECKING:
    from homodyne_cli.assessments import StoredRun


@dataclass(frozen=True)
class JobSettings:
    """What all jobs of a batch share.

    Attributes
    ----------
    folder
        The batch's, absolute.
    memory
        Bytes for one job; None for a quarter of the machine's.
    plots
        Whether heatmaps are written.
    reports
        Whether each fit gets a page of its own beside its run directory.
    """

    folder: Path
    memory: int | None = None
    plots: bool = True
    reports: bool = False

    def run_directory(self, job: Job) -> Path:
        """Return where a job's run directory is."""
        return self.folder / job.name


def report_page_of(folder: Path, name: str) -> Path:
    """Return where the page on a fit is, in the folder of a batch; ``index.html`` is of all."""
    return folder / f"{name}.report.html"


def fit_job(job: Job, settings: JobSettings) -> BatchRow:
    """Make a fit, or take the run directory that is there if it is of the same fit.

    Returns
    -------
    BatchRow
        Kept in the batch's folder as well. An error that the user can do something about is a
        row with its message.
    """
    started = time.perf_counter()
    fingerprint = ""
    try:
        if job.error:
            raise FitError(job.error)
        config = load_config(job.template, job.overrides)
        fingerprint = config_fingerprint(config, sha256_of)
        target = settings.run_directory(job)
        if run_fingerprint(target) != fingerprint:
            made = make_run(
                config, target,
                force=target.exists(), memory=settings.memory, plots=settings.plots,
                command_line=job.command_line(target),
            )  # fmt: skip
            if made.unsaved is not None:
                raise made.unsaved
        row = _judged(job, target, fingerprint, started, settings)
    except HomodyneError as error:
        text = str(error) if error.hint is None else f"{error} ({error.hint})"
        row = failed_row(job, text, error.exit_code, fingerprint)
    save_row(settings.folder, row)
    return row


def failed_row(job: Job, error: str, exit_code: int, fingerprint: str = "") -> BatchRow:
    """Return the row of a fit that has no run directory."""
    return BatchRow(
        name=job.name,
        file=str(job.data),
        scan=job.scan_number,
        time=job.time,
        q=job.q,
        fingerprint=fingerprint,
        state="failed",
        exit_code=exit_code,
        error=error,
    )


def _judged(
    job: Job, target: Path, fingerprint: str, started: float, settings: JobSettings
) -> BatchRow:
    """Read a run directory back, so that a row says what the directory holds, and check it."""
    from homodyne_cli.core.evaluation import evaluate_run
    from homodyne_cli.core.verification import verify
    from homodyne_cli.io.run.read_run import read_run

    run = read_run(target)
    evaluated = evaluate_run(run)
    checks = {check.id: check for check in verify(evaluated)}
    if settings.reports:
        from homodyne_cli.render.pages.write_report import write_judged

        page = report_page_of(settings.folder, job.name)
        write_judged(page, target, evaluated, tuple(checks.values()), force=True)
    chi2 = evaluated.chi2
    converged: FitState = "converged" if run.record.converged else "not converged"
    return BatchRow(
        name=job.name,
        file=str(job.data),
        scan=job.scan_number,
        time=job.time,
        q=float(run.dataset.q[0]) if len(run.dataset.rows.rings) == 1 else None,
        fingerprint=fingerprint,
        state=converged,
        exit_code=ExitCode.GOOD if run.record.converged else ExitCode.NEGATIVE,
        parameters=_estimates(run),
        chi2=chi2,
        reduced_chi2=chi2 / evaluated.degrees_of_freedom,
        edm=checks["convergence"].value,
        checks={name: check.status for name, check in checks.items()},
        seconds=time.perf_counter() - started,
    )


def _estimates(run: StoredRun) -> Mapping[str, Estimate]:
    errors = run.record.uncertainties
    return {
        name: Estimate(value, _known(errors.get(name)), BY_NAME[name].unit)
        for name, value in run.solution.values.items()
    }


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
