"""What ``diagnose`` shows: tables and charts for people, one object for scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from homodyne_cli.assessments import Diagnosis, StoredRun
from homodyne_cli.core.diagnosis import verdict
from homodyne_cli.core.minimise.policy import BASELINE
from homodyne_cli.io.files.printable import printable
from homodyne_cli.render.bars import iteration_chart, log_bar_chart
from homodyne_cli.render.console import is_ascii, make_console, print_plain, print_sentence
from homodyne_cli.render.findings import print_codes
from homodyne_cli.render.tables_checks import RATIO_MEANS, diagnosis_table, history_table

_CHART_HEIGHT = 18


def baseline_name(diagnosis: Diagnosis, baseline: Sequence[str] | None) -> str:
    """Say what the ratios of gradients are ratios to."""
    if baseline is not None:
        return ", ".join(baseline)
    return "geometric mean of " + ", ".join(n for n in BASELINE if n in diagnosis.names)


def rule_name(diagnosis: Diagnosis) -> str:
    """Say what the recommended map is built from."""
    if diagnosis.measure == diagnosis.asked_measure:
        return diagnosis.measure
    return "sensitivity (gradients below their noise floor say nothing about scale)"


def diagnosis_answer(run: StoredRun, diagnosis: Diagnosis) -> dict[str, object]:
    """Return what ``diagnose --json`` prints."""
    return {
        "run_dir": run.record.directory and printable(run.record.directory),
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
        "codes": diagnosis.codes,
    }


def show_diagnosis(
    run: StoredRun, diagnosis: Diagnosis, baseline: Sequence[str] | None, *, quiet: bool
) -> None:
    """Print the verdict, and unless `quiet` the figures behind it."""
    console = make_console()
    if not quiet:
        print_sentence(console, run.title)
    said, todo = verdict(diagnosis)
    style = "bold red" if diagnosis.premature else ("yellow" if diagnosis.imbalance else "green")
    print_sentence(console, said, style=style)
    print_sentence(console, todo)
    print_sentence(console, f"Effective ratio: {RATIO_MEANS}.", style="dim")
    print_codes(console, diagnosis.codes)
    if not quiet:
        _details(console, run, diagnosis, baseline_name(diagnosis, baseline))


def next_words(
    run: Path, diagnosis: Diagnosis, fix: Path | None, config: Path | None
) -> tuple[str | Path, ...]:
    """Return what to type after a diagnosis.

    Parameters
    ----------
    fix
        Where the recommended map has been written to.
    config
        What the run was made from; None if that is not known.
    """
    named = config or "CONFIG"
    if not diagnosis.premature:
        return "verify", run
    if not diagnosis.imbalance:
        more = "optimization.nlsq.max_iterations=1000"
        return "fit", named, "--resume", run, "-o", f"{run}-resumed", "--set", more
    return ("diagnose", run, "-o", "fix.yaml") if fix is None else ("apply-scale", named, fix)


def _details(console: Console, run: StoredRun, diagnosis: Diagnosis, baseline: str) -> None:
    for note in run.record.notes:
        print_sentence(console, f"Note: {note}")
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
        print_sentence(
            console, f"Below the noise floor: gradients of {', '.join(diagnosis.below_noise)}."
        )
    print_sentence(console, f"Recommended map built from: {rule_name(diagnosis)}.")
    print_sentence(
        console,
        f"Condition number of the Jacobian: {diagnosis.condition_raw:.3g} raw, "
        f"{diagnosis.condition_scaled:.3g} with the recommended map.",
    )
    for one, other, value in diagnosis.correlated:
        print_sentence(console, f"Correlated: {one} and {other} ({value:+.4f})")
    for sentence in diagnosis.undetermined:
        print_sentence(console, f"Not determined: {sentence}")
