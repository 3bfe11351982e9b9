"""``homodyne diagnose``: did gradient imbalance stop the fit early, and what would balance it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from homodyne_cli.cli.options.completers import parameter_names
from homodyne_cli.cli.options.shared import (
    AsJson,
    Force,
    GapConfig,
    MemorySize,
    RunDirectory,
    comma_separated,
    configured_gap,
    memory_budget,
    refuse_needless_force,
)
from homodyne_cli.errors import ExitCode, UsageError
from homodyne_cli.parameters import canonical_name

if TYPE_CHECKING:
    from homodyne_cli.assessments import Diagnosis, StoredRun


@dataclass(frozen=True)
class DiagnoseRequest:
    """Show whether gradient imbalance stopped a fit early, and recommend an x_scale_map.

    Example: homodyne diagnose run1 -o x_scale_fix.yaml
    """

    run: RunDirectory
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the recommended map as YAML.")
    ] = None
    threshold: Annotated[
        float,
        typer.Option(metavar="RATIO", min=1.0, help="Effective ratio that counts as imbalance."),
    ] = 10.0
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Baseline parameters; default D0,D_offset,phi0.",
            autocompletion=parameter_names,
        ),
    ] = None
    measure: Annotated[
        Literal["gradient", "sensitivity"], typer.Option(help="What the map is built from.")
    ] = "gradient"
    config: GapConfig = None
    memory: MemorySize = None
    force: Force = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="The verdict alone.")] = False
    as_json: AsJson = False

    def __post_init__(self) -> None:
        """Refuse options that would not act."""
        refuse_needless_force(self.force, self.output, "-o")


def run_diagnose(request: DiagnoseRequest) -> int:
    """Diagnose a run; return 1 if it is imbalanced or stopped early."""
    from homodyne_cli.io.run.read_run import config_of_run, open_run, trial_of_runs

    with trial_of_runs(request.run) as wait_for_trial:
        from homodyne_cli.core.diagnosis import diagnose
        from homodyne_cli.core.evaluation import evaluate_run
        from homodyne_cli.io.files.outputs import check_file, write_file
        from homodyne_cli.render.console import make_console, print_json, print_next, print_note
        from homodyne_cli.render.progress import StepsProgress
        from homodyne_cli.render.screens.diagnosis import (
            diagnosis_answer,
            next_words,
            show_diagnosis,
        )

        wait_for_trial()
    if request.output is not None:
        check_file(request.output, force=request.force)
    gap, memory = configured_gap(request.config, request.run), memory_budget(request.memory)
    steps = StepsProgress(make_console(stderr=True), "reading the run")
    with steps, open_run(request.run, gap, memory) as run:
        baseline = _baseline(request.baseline, run)
        steps.show("evaluating the fit")
        diagnosis = diagnose(
            evaluate_run(run),
            threshold=request.threshold,
            baseline=baseline,
            measure=request.measure,
        )
    if request.as_json:
        print_json(diagnosis_answer(run, diagnosis))
    else:
        show_diagnosis(run, diagnosis, baseline, quiet=request.quiet)
    if request.output is not None:
        fix = _fix(request.output, run, diagnosis, baseline)
        write_file(request.output, fix.encode(), force=request.force)
        if not request.as_json:
            print_note(make_console(stderr=True), f"Wrote {request.output}")
    if not (request.as_json or request.quiet):
        config = config_of_run(request.run)
        print_next(make_console(), *next_words(request.run, diagnosis, request.output, config))
    bad = diagnosis.imbalance or diagnosis.premature
    return ExitCode.NEGATIVE if bad else ExitCode.GOOD


def _baseline(text: str | None, run: StoredRun) -> tuple[str, ...] | None:
    from homodyne_cli.core.objective.build import free_names

    if text is None:
        return None
    names, free = [], free_names(run.problem)
    for part in comma_separated(text):
        name = canonical_name(part)
        if name is None or name not in free:
            raise UsageError(
                f"--baseline {part!r}: not a fitted parameter of this run",
                hint=f"they are {', '.join(free)}",
            )
        names.append(name)
    return tuple(names)


def _fix(path: Path, run: StoredRun, diagnosis: Diagnosis, baseline: Sequence[str] | None) -> str:
    from homodyne_cli.io.scale_fix.scale_fix import fix_text
    from homodyne_cli.render.screens.diagnosis import baseline_name, rule_name

    notes = (
        "Recommended parameter scales. Enter them with:",
        f"  homodyne apply-scale CONFIG {path.name}",
        f"Run: {run.record.directory}",
        f"Date: {datetime.now(UTC).date().isoformat()}",
        f"Rule: {rule_name(diagnosis)}; baseline {baseline_name(diagnosis, baseline)}",
        f"Largest gradient / baseline: {diagnosis.max_ratio:.4g}; "
        f"effective ratio of the run: {diagnosis.effective_ratio:.4g}; EDM {diagnosis.edm:.4g}",
    )
    return fix_text(diagnosis.x_scale_map, notes)
