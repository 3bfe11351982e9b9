"""One job: a fit, its run directory, its checks, its row. Runs in any process.

Everything heavy is imported inside: a process is given its share of the cores before JAX looks.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homodyne_cli.batch.jobs import Job
from homodyne_cli.batch.rows import save_row
from homodyne_cli.batch_row import Estimate, Row, State
from homodyne_cli.errors import FitError, HomodyneError
from homodyne_cli.version import VERSION

if TYPE_CHECKING:
    from homodyne_cli.assessments import StoredRun
    from homodyne_cli.problem import Config

MANIFEST = "manifest.json"


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


def fit_job(job: Job, settings: JobSettings) -> Row:
    """Make a fit, or take the run directory that is there if it is of the same fit.

    Returns
    -------
    Row
        Kept in the batch's folder as well. An error that the user can do something about is a
        row with its message.
    """
    started = time.perf_counter()
    fingerprint = ""
    try:
        if job.error:
            raise FitError(job.error)
        from homodyne_cli.io.config.load import load_config

        config = load_config(job.template, job.overrides)
        fingerprint = fingerprint_of(config, sha256_of)
        target = settings.run_directory(job)
        if run_fingerprint(target) != fingerprint:
            _fit(job, config, target, settings)
        row = _judged(job, target, fingerprint, started, settings)
    except HomodyneError as error:
        text = str(error) if error.hint is None else f"{error} ({error.hint})"
        row = failed_row(job, text, error.exit_code, fingerprint)
    save_row(settings.folder, row)
    return row


def failed_row(job: Job, error: str, exit_code: int, fingerprint: str = "") -> Row:
    """Return the row of a fit that has no run directory."""
    return Row(
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


def fingerprint_of(config: Config, hash_of: Callable[[Path], str]) -> str:
    """Return what tells fits apart: resolved config, data and program.

    Parameters
    ----------
    hash_of
        Returns the hash of a file's content.

    Raises
    ------
    DataError
        If the data file cannot be read.
    """
    from homodyne_cli.errors import DataError
    from homodyne_cli.io.config.dump import dump_yaml

    path = config.selection.path
    try:
        data = hash_of(path)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    return _fingerprint(dump_yaml(config.resolved), data, VERSION)


def run_fingerprint(target: Path) -> str | None:
    """Return the fingerprint of a run directory; None if there is no complete one."""
    try:
        manifest = json.loads((target / MANIFEST).read_bytes())
        config = (target / "config.yaml").read_text(encoding="utf-8")
        return _fingerprint(
            config, manifest["inputs"][-1]["sha256"], manifest["versions"]["homodyne"]
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _fingerprint(config: str, data: str, version: str) -> str:
    text = json.dumps([config, data, version])
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fit(job: Job, config: Config, target: Path, settings: JobSettings) -> None:
    from homodyne_cli.core.fit import fit
    from homodyne_cli.core.numerics.backend import fit_clock
    from homodyne_cli.io.files.directories import new_directory
    from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
    from homodyne_cli.io.maps.read_data import open_dataset
    from homodyne_cli.io.run.save_run import save_run, with_noise_source
    from homodyne_cli.render.screens.fit import draw_pictures

    with ExitStack() as held:
        force = target.exists()
        run = held.enter_context(new_directory(target, force=force, marker=MANIFEST))
        clock = held.enter_context(fit_clock(time.perf_counter()))
        memory = MemoryBudget(settings.memory or budget_of(None), run.scratch)
        dataset = held.enter_context(
            open_dataset(config.selection, config.problem.mode, None, memory)
        )
        clock.has_loaded()
        result = fit(dataset, config.problem)
        clock.has_fitted()
        save_run(
            run, config, with_noise_source(dataset, result), result, clock.seconds,
            command_line=job.command_line(target),
            draw=draw_pictures if settings.plots else None,
        )  # fmt: skip


def _judged(job: Job, target: Path, fingerprint: str, started: float, settings: JobSettings) -> Row:
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
    converged: State = "converged" if run.record.converged else "not converged"
    return Row(
        name=job.name,
        file=str(job.data),
        scan=job.scan_number,
        time=job.time,
        q=run.dataset.q,
        fingerprint=fingerprint,
        state=converged,
        exit_code=0 if run.record.converged else 1,
        parameters=_estimates(run),
        chi2=chi2,
        reduced_chi2=chi2 / evaluated.degrees_of_freedom,
        edm=checks["convergence"].value,
        checks={name: check.status for name, check in checks.items()},
        seconds=time.perf_counter() - started,
    )


def _estimates(run: StoredRun) -> Mapping[str, Estimate]:
    from homodyne_cli.parameters import BY_NAME

    errors = run.record.uncertainties
    return {
        name: Estimate(value, _known(errors.get(name)), BY_NAME[name].unit)
        for name, value in run.solution.values.items()
    }


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
