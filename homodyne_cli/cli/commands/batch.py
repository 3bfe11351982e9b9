"""``homodyne batch``: every scan and ring, one run directory each, one table of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homodyne_cli.cli.options.completers import data_files
from homodyne_cli.cli.options.shared import (
    AsJson,
    ConfigFile,
    MemorySize,
    NoPlots,
    Overrides,
    Quiet,
    memory_budget,
)
from homodyne_cli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from homodyne_cli.assessments import BatchRow


@dataclass(frozen=True)
class BatchRequest:
    """Fit every scan and ring; a folder with one run directory each, a table and an overview.

    The same command again does what is missing.

    Example: homodyne batch template.yaml scans/*.h5 --q all -o results
    """

    template: ConfigFile
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Data files, or patterns in quotes.", metavar="DATA",
                       autocompletion=data_files),
    ] = None  # fmt: skip
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the batch: its state and results.")
    ] = Path("homodyne_batch")
    q: Annotated[
        str | None,
        typer.Option("--q", metavar="Q,...|all", help="Rings to fit, 1/Å; default the config's."),
    ] = None
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv", help="Scans ('file') and config keys that are their own, one a row."
        ),
    ] = None
    override: Overrides = None
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", min=1, help="Fits at a time; default one per core."
        ),
    ] = None
    memory: MemorySize = None
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Scheduler of a running dask cluster.")
    ] = None
    scheduler_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same, by its scheduler file.")
    ] = None
    shard: Annotated[
        str | None, typer.Option(metavar="K/N", help="Do part K of N only, for job arrays.")
    ] = None
    collect: Annotated[
        bool, typer.Option("--collect", help="Fit nothing: make the tables of what is there.")
    ] = False
    refit: Annotated[bool, typer.Option("--refit", help="Do all fits again.")] = False
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do those again that ended with an error.")
    ] = False
    reports: Annotated[
        bool, typer.Option("--reports", help="Write NAME.report.html for every fit.")
    ] = False
    no_plots: NoPlots = False
    as_json: AsJson = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        """Refuse options of which only one could act."""
        if self.scheduler is not None and self.scheduler_file is not None:
            raise UsageError("--scheduler and --scheduler-file name the same thing: keep one")
        on_cluster = self.scheduler is not None or self.scheduler_file is not None
        if on_cluster and self.jobs is not None:
            raise UsageError("--jobs has no effect on a cluster: its workers are its own")
        if self.refit and self.retry_failed:
            raise UsageError("--refit does the failed ones again as well: keep one of them")
        if self.collect and self.reports:
            raise UsageError("--collect fits nothing: --reports has no effect")
        if self.collect and (self.refit or self.retry_failed or self.shard or on_cluster):
            raise UsageError("--collect fits nothing: leave the options of fitting out")
        if self.collect and (self.data or self.table or self.q or self.override):
            raise UsageError("--collect takes what is in the folder: leave out what chooses fits")
        if not self.collect and not self.data and self.table is None:
            raise UsageError(
                "no data files and no --table", hint="homodyne batch CONFIG scans/*.h5 -o FOLDER"
            )


def run_batch(request: BatchRequest) -> int:
    """Do what is missing, write the tables; 1 if any fit failed or did not converge."""
    from homodyne_cli.batch.rows import kept_rows
    from homodyne_cli.batch.tables import write_tables

    folder = _folder(request)
    names = None if request.collect else _fit_all(request, folder)
    rows = kept_rows(folder)
    write_tables(folder, rows)
    asked = [row for row in rows if names is None or row.name in names]
    _show(request, folder, asked)
    return ExitCode.NEGATIVE if any(row.exit_code for row in asked) else ExitCode.GOOD


def _folder(request: BatchRequest) -> Path:
    from homodyne_cli.batch.rows import ROWS
    from homodyne_cli.io.files.outputs import output_errors

    folder = request.output.absolute()
    if request.collect and not (folder / ROWS).is_dir():
        raise UsageError(f"{request.output}: not the folder of a batch", hint="name it with -o")
    if folder.is_dir() and not (folder / ROWS).is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"{request.output}: not empty, and not the folder of a batch",
            hint="choose another -o",
        )
    with output_errors(folder):
        (folder / ROWS).mkdir(parents=True, exist_ok=True)
    return folder


def _fit_all(request: BatchRequest, folder: Path) -> frozenset[str]:
    """Do what is left of the jobs; return the names of all of them."""
    from homodyne_cli.batch.execution import run_jobs, what_is_left
    from homodyne_cli.batch.executors import processes_for
    from homodyne_cli.batch.fitting import JobSettings
    from homodyne_cli.batch.jobs import find_scans, plan_jobs, read_scan_table, shard
    from homodyne_cli.io.config.load import load_config
    from homodyne_cli.render.console import make_console
    from homodyne_cli.render.progress import BatchProgress

    overrides = tuple(request.override or ())
    load_config(request.template, overrides)
    scans = find_scans(request.data or ())
    if request.table is not None:
        scans = read_scan_table(request.table, scans)
    template = request.template.absolute()
    jobs = plan_jobs(template, scans, overrides=overrides, rings=request.q)
    if request.shard is not None:
        jobs = shard(jobs, request.shard)
    count = processes_for(len(jobs), request.jobs)
    memory = memory_budget(request.memory).budget // count
    settings = JobSettings(folder, memory, not request.no_plots, request.reports)
    todo = what_is_left(jobs, settings, refit=request.refit, retry_failed=request.retry_failed)
    console = make_console(stderr=True)
    with BatchProgress(console, len(todo.left), len(todo.done), enabled=not request.quiet) as shown:
        for row in run_jobs(todo.left, settings, _executor(request, min(count, len(todo.left)))):
            shown.on_row(row)
    return frozenset(job.name for job in jobs)


def _executor(request: BatchRequest, count: int) -> Callable[[], AbstractContextManager[Executor]]:
    from homodyne_cli.batch.executors import in_processes, in_this_process, on_cluster

    if request.scheduler is not None or request.scheduler_file is not None:
        return on_cluster(request.scheduler, request.scheduler_file)
    return in_this_process if count <= 1 else in_processes(count)


def _show(request: BatchRequest, folder: Path, rows: Sequence[BatchRow]) -> None:
    from homodyne_cli.batch.tables import OVERVIEW, TABLE
    from homodyne_cli.render.console import print_json
    from homodyne_cli.render.screens.batch import show_batch

    if request.as_json:
        print_json({"batch_dir": folder, "fits": list(rows)})
    else:
        show_batch(rows, request.output / TABLE, request.output / OVERVIEW)
