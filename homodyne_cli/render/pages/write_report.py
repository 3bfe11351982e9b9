"""From run directories to the page that reports on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from homodyne_cli.assessments import CheckResult, SavedFit
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_run
from homodyne_cli.core.verification import verify
from homodyne_cli.io.files.outputs import write_file
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import open_run
from homodyne_cli.render.pages.beside import Section, agreement_sections
from homodyne_cli.render.pages.plot_data import map_side, run_figures
from homodyne_cli.render.pages.report import ReportedRun, report_page
from homodyne_cli.results import OnCount, unfollowed


def write_report(
    path: Path,
    runs: Sequence[Path],
    gap: float | None = None,
    memory: MemoryBudget | None = None,
    *,
    on_run: OnCount = unfollowed,
    force: bool = False,
) -> None:
    """Check runs and write the page on them; one run is held in memory at a time.

    Parameters
    ----------
    gap
        Gap in Å for runs that do not record it.
    on_run
        Told before each run how many are checked.

    Raises
    ------
    DataError
        If one of them is not a run, or damaged.
    OutputError
        If the page cannot be written.
    """
    saved = [read_result(place, gap) for place in runs]
    side = map_side(sum(len(fit.phi) for fit in saved))
    reported = []
    for number, fit in enumerate(saved):
        on_run(number, len(saved))
        with open_run(fit.directory, gap, memory) as run:
            evaluated = evaluate_run(run)
            reported.append(reported_run(fit, evaluated, verify(evaluated), side))
    write_page(path, reported, force=force)


def reported_run(
    fit: SavedFit,
    evaluated: EvaluatedRun,
    checks: Sequence[CheckResult],
    side: int | None = None,
    sections: Sequence[Section] = (),
) -> ReportedRun:
    """Return what the page holds of a run.

    Parameters
    ----------
    side
        As in `run_figures`, None for a run alone.
    sections
        On what it was compared with, beside its own rings and repeats.
    """
    residuals = evaluated.residuals
    edm = {check.id: check.value for check in checks}.get("convergence")
    chi2, freedom = evaluated.chi2, evaluated.degrees_of_freedom
    result = replace(
        fit.result,
        chi2=chi2,
        reduced_chi2=chi2 / freedom,
        edm=fit.result.edm if edm is None else edm,
        sigma=residuals.sigma,
    )
    fit = replace(fit, result=result)
    figures = run_figures(fit, residuals, side or map_side(len(fit.phi)))
    beside = (*agreement_sections(fit.result.agreements), *sections)
    return ReportedRun(fit, tuple(checks), figures, beside)


def write_page(path: Path, runs: Sequence[ReportedRun], *, force: bool) -> None:
    """Write the page; see `write_report`."""
    write_file(path, report_page(runs).encode("utf-8", "backslashreplace"), force=force)


def write_judged(
    path: Path,
    run: Path,
    evaluated: EvaluatedRun,
    checks: Sequence[CheckResult],
    gap: float | None = None,
    *,
    sections: Sequence[Section] = (),
    force: bool,
) -> None:
    """Write the page on one run that is evaluated and checked; see `reported_run`."""
    reported = reported_run(read_result(run, gap), evaluated, checks, sections=sections)
    write_page(path, [reported], force=force)
