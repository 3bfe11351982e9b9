"""``homodyne diagnose``: did gradient imbalance stop the fit early, and what would balance it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from homodyne_cli.assessments import Diagnosis, StoredRun
from homodyne_cli.cli.requests import DiagnoseRequest
from homodyne_cli.core.diagnosis import diagnose, verdict
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.minimise.policy import BASELINE
from homodyne_cli.core.objective.build import free_names
from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.files.outputs import check_file, write_file
from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
from homodyne_cli.io.run.read_run import open_run, records_gap
from homodyne_cli.io.scale_fix.scale_fix import fix_text
from homodyne_cli.parameters import canonical_name
from homodyne_cli.render.bars import iteration_chart, log_bar_chart
from homodyne_cli.render.console import is_ascii, make_console, print_note, print_plain
from homodyne_cli.render.tables_checks import diagnosis_table, history_table

IMBALANCE = 1
_CHART_HEIGHT = 18


def run_diagnose(request: DiagnoseRequest) -> int:
    """Diagnose a run; return 1 if it is imbalanced or stopped early."""
    memory = MemoryBudget(budget_of(request.memory))
    with open_run(request.run, configured_gap(request.config, request.run), memory) as run:
        return _diagnose(request, run)


def _diagnose(request: DiagnoseRequest, run: StoredRun) -> int:
    baseline = _baseline(request.baseline, run)
    if request.output is not None:
        check_file(request.output, force=request.force)
    diagnosis = diagnose(
        evaluate_run(run),
        threshold=request.threshold,
        baseline=baseline,
        measure=request.measure,
    )
    if request.as_json:
        sys.stdout.write(to_json(_summary(run, diagnosis)) + "\n")
    else:
        _show(run, diagnosis, baseline, request)
    if request.output is not None:
        fix = _fix(request.output, run, diagnosis, baseline)
        write_file(request.output, fix.encode(), force=request.force)
        if not request.as_json:
            print_note(make_console(stderr=True), f"Wrote {request.output}")
    return IMBALANCE if diagnosis.imbalance or diagnosis.premature else 0


def configured_gap(config: Path | None, *runs: Path) -> float | None:
    """Return the gap of a config given for runs that do not record it.

    Raises
    ------
    UsageError
        If the config names no gap, or every run records its own.
    """
    if config is None:
        return None
    from homodyne_cli.io.config.load import load_config

    if all(records_gap(run) for run in runs):
        raise UsageError(
            f"--config {config}: has no effect, {runs[0]} records what it was fitted with",
            hint="it gives the gap of homodyne 2.x runs, which do not",
        )
    gap = load_config(config).selection.gap
    if gap is None:
        raise UsageError(f"--config {config}: names no stator_rotor_gap to take")
    return gap


def _baseline(text: str | None, run: StoredRun) -> tuple[str, ...] | None:
    if text is None:
        return None
    names, free = [], free_names(run.problem)
    for part in text.split(","):
        name = canonical_name(part.strip())
        if name is None or name not in free:
            raise UsageError(
                f"--baseline {part.strip()!r}: not a fitted parameter of this run",
                hint=f"they are {', '.join(free)}",
            )
        names.append(name)
    return tuple(names)


def _baseline_name(diagnosis: Diagnosis, baseline: Sequence[str] | None) -> str:
    if baseline is not None:
        return ", ".join(baseline)
    return "geometric mean of " + ", ".join(n for n in BASELINE if n in diagnosis.names)


def _rule(diagnosis: Diagnosis) -> str:
    if diagnosis.measure == diagnosis.asked_measure:
        return diagnosis.measure
    return "sensitivity (gradients below their noise floor say nothing about scale)"


def _fix(path: Path, run: StoredRun, diagnosis: Diagnosis, baseline: Sequence[str] | None) -> str:
    notes = (
        "Recommended parameter scales. Enter them with:",
        f"  homodyne apply-scale CONFIG {path.name}",
        f"Run: {run.record.directory}",
        f"Date: {datetime.now(UTC).date().isoformat()}",
        f"Rule: {_rule(diagnosis)}; baseline {_baseline_name(diagnosis, baseline)}",
        f"Largest gradient / baseline: {diagnosis.max_ratio:.4g}; "
        f"effective ratio of the run: {diagnosis.effective_ratio:.4g}; EDM {diagnosis.edm:.4g}",
    )
    return fix_text(diagnosis.x_scale_map, notes)


def _summary(run: StoredRun, diagnosis: Diagnosis) -> dict[str, object]:
    return {
        "run_dir": run.record.directory,
        "convention": run.problem.convention,
        "gradients": dict(zip(diagnosis.names, diagnosis.gradients.tolist(), strict=True)),
        "sensitivities": dict(zip(diagnosis.names, diagnosis.sensitivities.tolist(), strict=True)),
        "max_ratio": diagnosis.max_ratio,
        "imbalance_detected": diagnosis.imbalance,
        "effective_ratio": diagnosis.effective_ratio,
        "edm": diagnosis.edm,
        "premature": diagnosis.premature,
        "condition_number": {"raw": diagnosis.condition_raw, "scaled": diagnosis.condition_scaled},
        "x_scale_map": diagnosis.x_scale_map,
        "measure": diagnosis.measure,
        "below_noise": diagnosis.below_noise,
    }


def _show(
    run: StoredRun, diagnosis: Diagnosis, baseline: Sequence[str] | None, request: DiagnoseRequest
) -> None:
    console = make_console()
    said, todo = verdict(diagnosis)
    if not request.quiet:
        _details(console, run, diagnosis, _baseline_name(diagnosis, baseline))
    style = "bold red" if diagnosis.premature else ("yellow" if diagnosis.imbalance else "green")
    print_plain(console, said, style=style)
    print_plain(console, todo)


def _details(console: Console, run: StoredRun, diagnosis: Diagnosis, baseline: str) -> None:
    print_plain(console, run.title)
    for note in run.record.notes:
        print_plain(console, f"Note: {note}")
    console.print(diagnosis_table(diagnosis, baseline))
    ascii_only = is_ascii(console)
    width = min(console.width, 100)
    for title, values in (
        ("|gradient|, logarithmic", np.abs(diagnosis.gradients)),
        ("sensitivity, logarithmic", diagnosis.sensitivities),
    ):
        print_plain(console, title, style="bold")
        chart = log_bar_chart(diagnosis.names, values.tolist(), width=width, ascii_only=ascii_only)
        print_plain(console, chart + "\n")
    history = run.record.history
    if len(history) > 1 and history[0].column_norms:
        console.print(history_table(history))
        norms = {n: [s.column_norms.get(n, math.nan) for s in history] for n in diagnosis.names}
        chart = iteration_chart(
            norms,
            title="log10 of the Jacobian's column norms",
            width=width,
            height=_CHART_HEIGHT,
            ascii_only=ascii_only,
        )
        print_plain(console, "\n" + chart + "\n")
    if diagnosis.below_noise:
        print_plain(
            console, f"Below the noise floor: gradients of {', '.join(diagnosis.below_noise)}."
        )
    print_plain(console, f"Recommended map built from: {_rule(diagnosis)}.")
    print_plain(
        console,
        f"Condition number of the Jacobian: {diagnosis.condition_raw:.3g} raw, "
        f"{diagnosis.condition_scaled:.3g} with the recommended map.",
    )
    for one, other, value in diagnosis.correlated:
        print_plain(console, f"Correlated: {one} and {other} ({value:+.4f})")
    for sentence in diagnosis.undetermined:
        print_plain(console, f"Not determined: {sentence}")
