"""Jobs over an executor: what is missing is done, what breaks is tried once more.

The state of a batch is its folder. A job whose row has the fingerprint of what would be fitted now
is left alone; every other one is submitted to a `concurrent.futures.Executor`, which may be a
thread, processes or a cluster. A job that ends with an error of the user's is a row (see
`fitting`). One whose process dies is submitted a second time, alone, to a new executor, so that it
cannot take others with it; what dies twice, or ends with a defect of the program, is a row as well.

    todo -> submit all -> row | broken -> submit each alone -> row | failed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from homodyne_cli.assessments import BatchRow
from homodyne_cli.batch.fingerprint import config_fingerprint
from homodyne_cli.batch.fitting import JobSettings, failed_row, fit_job, report_page_of
from homodyne_cli.batch.jobs import Job
from homodyne_cli.batch.rows import load_row, save_row
from homodyne_cli.errors import ExitCode, HomodyneError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.run.write_run import MANIFEST, sha256_of

#: Makes an executor for at most so many jobs at a time.
MakeExecutor = Callable[[], AbstractContextManager[Executor]]


@dataclass(frozen=True)
class Todo:
    """What of a batch is done already, and what is left to do."""

    done: tuple[BatchRow, ...]
    left: tuple[Job, ...]


def what_is_left(
    jobs: Sequence[Job], settings: JobSettings, *, refit: bool = False, retry_failed: bool = False
) -> Todo:
    """Compare the rows of a batch with what its jobs would fit now.

    Parameters
    ----------
    refit
        Do all of them again.
    retry_failed
        Do those again that ended with an error.
    """
    if refit:
        return Todo((), tuple(jobs))
    hash_of = cache(sha256_of)
    done, left = [], []
    for job in jobs:
        row = load_row(settings.folder, job.name)
        if row is None or (retry_failed and row.state == "failed"):
            left.append(job)
        elif row.fingerprint == _fingerprint_now(job, hash_of) and _is_there(row, settings):
            done.append(row)
        else:
            left.append(job)
    return Todo(tuple(done), tuple(left))


def _is_there(row: BatchRow, settings: JobSettings) -> bool:
    if row.state == "failed":
        return True
    lacking = settings.reports and not report_page_of(settings.folder, row.name).is_file()
    return not lacking and (settings.folder / row.name / MANIFEST).is_file()


def _fingerprint_now(job: Job, hash_of: Callable[[Path], str]) -> str:
    """Return the fingerprint that a job would get; empty where it would end with an error first."""
    if job.error:
        return ""
    try:
        return config_fingerprint(load_config(job.template, job.overrides), hash_of)
    except HomodyneError:
        return ""


def run_jobs(jobs: Sequence[Job], settings: JobSettings, make: MakeExecutor) -> Iterator[BatchRow]:
    """Yield the row of each job as it is done."""
    broken: list[Job] = []
    with make() as executor:
        futures = {executor.submit(fit_job, job, settings): job for job in jobs}
        for future in as_completed(futures):
            job = futures[future]
            if _is_broken(future):
                broken.append(job)
            else:
                yield _row_of(job, settings, future)
    for job in broken:
        with make() as executor:
            future = executor.submit(fit_job, job, settings)
            future.exception()
            yield _row_of(job, settings, future)


def _is_broken(future: Future[BatchRow]) -> bool:
    """Whether a job has no answer because its process, not its fit, came to an end."""
    if future.cancelled():
        return True
    error = future.exception()
    # Clusters have exceptions of their own for a worker that was lost.
    return isinstance(error, (BrokenExecutor, CancelledError)) or (
        error is not None and type(error).__module__.partition(".")[0] in ("distributed", "parsl")
    )


def _row_of(job: Job, settings: JobSettings, future: Future[BatchRow]) -> BatchRow:
    error = future.exception()
    if error is None:
        return future.result()
    text = f"{type(error).__name__}: {error}"
    if _is_broken(future):
        text = f"the process that made this fit came to an end, twice ({text})"
    row = failed_row(job, text, ExitCode.INTERNAL)
    save_row(settings.folder, row)
    return row
