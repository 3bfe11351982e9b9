"""``homodyne verify``: the validation checklist."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from homodyne_cli.cli.options.completers import run_directories
from homodyne_cli.cli.options.shared import (
    AsJson,
    Force,
    GapConfig,
    MemorySize,
    RunDirectory,
    configured_gap,
    memory_budget,
    refuse_needless_force,
)
from homodyne_cli.errors import ExitCode


@dataclass(frozen=True)
class VerifyRequest:
    """Check a fit against the validation checklist.

    Example: homodyne verify run2 --baseline run1
    """

    run: RunDirectory
    baseline: Annotated[
        Path | None,
        typer.Option(
            help="Older run of the same data to compare with.", autocompletion=run_directories
        ),
    ] = None
    report: Annotated[
        Path | None, typer.Option(help="HTML page to write, readable offline.", metavar="FILE")
    ] = None
    rheometer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Compare with a table 'time (s), shear rate (1/s)' or 'time (s), strain (%)'.",
        ),
    ] = None
    test: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Hold parameters at values, one at a time: chi2 rise and chance. May be repeated.",
        ),
    ] = None
    config: GapConfig = None
    memory: MemorySize = None
    force: Force = False
    strict: Annotated[bool, typer.Option("--strict", help="A warning fails as well.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No charts.")] = False
    as_json: AsJson = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.report, "--report")


def run_verify(request: VerifyRequest) -> int:
    """Run the checks; return 1 if one fails (with `strict` also if one warns)."""
    places = [request.run] if request.baseline is None else [request.run, request.baseline]
    from homodyne_cli.io.run.read_run import open_run, trial_of_runs

    with trial_of_runs(*places) as wait_for_trial:
        from homodyne_cli.cli.options.comparisons import make_comparisons
        from homodyne_cli.core.agreement import find_agreement
        from homodyne_cli.core.assumptions.assumptions import with_assumptions
        from homodyne_cli.core.checks.lag_profiles import lag_profiles
        from homodyne_cli.core.evaluation import evaluate_run
        from homodyne_cli.core.verification import verify
        from homodyne_cli.io.files.outputs import check_file
        from homodyne_cli.render.console import make_console, print_json, print_next, print_note
        from homodyne_cli.render.progress import ASSUMPTIONS, StepsProgress
        from homodyne_cli.render.screens.verification import checks_answer, next_words, show_checks

        wait_for_trial()
    if request.report is not None:
        check_file(request.report, force=request.force, option="--report")
    gap, memory = configured_gap(request.config, *places), memory_budget(request.memory)
    notes = make_console(stderr=True)
    with ExitStack() as held:
        with StepsProgress(notes, "reading the run") as steps:
            run, *older = (held.enter_context(open_run(place, gap, memory)) for place in places)
            steps.show("evaluating the fit")
            evaluated = evaluate_run(run)
            agreements = find_agreement(evaluated)
            steps.show("checking")
            checks = verify(evaluated, older[0] if older else None, agreements)
            beside = make_comparisons(evaluated, request.rheometer, request.test or ())
            checks = (*checks, *beside.checks)
            steps.show(ASSUMPTIONS)
            dataset = with_assumptions(
                run.dataset, run.problem, run.solution, evaluated.residuals.sigma, run.record.noise,
                on_map=partial(steps.show, f"{ASSUMPTIONS}: maps"),
            )  # fmt: skip
            run = replace(run, dataset=dataset)
        bad = ("fail", "warn") if request.strict else ("fail",)
        passed = not any(check.status in bad for check in checks)
        if request.as_json:
            answer = checks_answer(run, checks, agreements, passed=passed)
            print_json({**answer, **beside.answer})
        else:
            profiles = lag_profiles(evaluated.residuals)
            show_checks(
                run, checks, profiles, agreements,
                reduced_chi2=evaluated.chi2 / evaluated.degrees_of_freedom,
                strict=request.strict, quiet=request.quiet,
                show_more=partial(beside.show, quiet=request.quiet),
            )  # fmt: skip
        if request.report is not None:
            from homodyne_cli.render.pages.write_report import write_judged

            with StepsProgress(notes, "writing the page"):
                write_judged(
                    request.report, request.run, evaluated, checks, gap,
                    sections=beside.sections, force=request.force,
                )  # fmt: skip
            if not request.as_json:
                print_note(notes, f"Wrote {request.report}: open it in a browser")
    words = next_words(request.run, checks, request.report)
    if words and not request.as_json:
        print_next(make_console(), *words)
    return ExitCode.GOOD if passed else ExitCode.NEGATIVE
