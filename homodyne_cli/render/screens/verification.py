"""What ``verify`` shows: lag profiles and a checklist for people, one object for scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from homodyne_cli.assessments import CheckResult, CheckStatus, StoredRun, verdict_on
from homodyne_cli.core.checks.lag_profiles import LagProfiles
from homodyne_cli.dataset import Dataset
from homodyne_cli.findings.agreement import Agreement
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.files.printable import printable
from homodyne_cli.render.bars import lag_profile
from homodyne_cli.render.console import is_ascii, make_console, print_plain, print_sentence
from homodyne_cli.render.findings import print_codes, print_findings
from homodyne_cli.render.numbers import format_number
from homodyne_cli.render.screens.agreement import agreements_answer, show_agreements
from homodyne_cli.render.screens.inputs import input_answer
from homodyne_cli.render.tables_checks import checks_table

_PROFILE_HEIGHT = 14
_PROFILES_SHOWN = 3
_STYLES: dict[CheckStatus, str] = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def checks_answer(
    run: StoredRun, checks: Sequence[CheckResult], agreements: Sequence[Agreement], *, passed: bool
) -> dict[str, object]:
    """Return what ``verify --json`` prints."""
    return {
        "run_dir": run.record.directory and printable(run.record.directory),
        "passed": passed,
        "checks": [
            {
                "id": c.id,
                "code": c.code,
                "status": c.status,
                "value": c.value,
                "threshold": c.threshold,
                "message": printable(c.message),
            }
            for c in checks
        ],
        **agreements_answer(agreements),
        **input_answer(run.dataset),
    }


def show_checks(
    run: StoredRun,
    checks: Sequence[CheckResult],
    profiles: LagProfiles,
    agreements: Sequence[Agreement],
    *,
    reduced_chi2: float,
    strict: bool,
    quiet: bool,
    show_more: Callable[[Console], None] = lambda _: None,
) -> None:
    """Print lag profiles (unless `quiet`), what was compared, every check and the verdict.

    Parameters
    ----------
    show_more
        Prints what was compared beside rings and repeats.
    strict
        A warning fails as well.
    """
    console = make_console()
    print_sentence(console, f"{run.title}, reduced χ² {format_number(reduced_chi2, 5)}")
    for note in run.record.notes:
        print_sentence(console, f"Note: {note}")
    # What checks say is not said twice.
    findings = [f for f in run.dataset.findings or () if f.code not in (Code.RINGS, Code.REPEATS)]
    print_findings(console, findings)
    if not quiet:
        for chart in _charts(run.dataset, profiles, min(console.width, 100), is_ascii(console)):
            print_plain(console, chart + "\n")
    show_agreements(console, agreements)
    show_more(console)
    console.print(checks_table(checks))
    status, said = verdict_on(checks)
    if status == "warn" and strict:
        status, said = "fail", f"{said} With --strict a warning fails."
    print_sentence(console, said, style=_STYLES[status])
    print_codes(console, (check.code for check in checks if check.status in ("fail", "warn")))


def next_words(run: Path, checks: Sequence[CheckResult], report: Path | None) -> tuple[object, ...]:
    """Return what to type after the checks; nothing where a report has been written."""
    failed = {check.id for check in checks if check.status == "fail"}
    if failed & {"convergence", "gradient_balance"}:
        return "diagnose", run
    return ("report", run, "-o", "report.html") if report is None else ()


def _charts(data: Dataset, profiles: LagProfiles, width: int, ascii_only: bool) -> list[str]:
    """Draw lag profiles of up to three angles, spread over those measured."""
    count = min(_PROFILES_SHOWN, data.n_phi)
    chosen = np.unique(np.linspace(0, data.n_phi - 1, count).astype(int))
    places = {a: data.rows.place(a, "phi = {:.2f} deg") for a in chosen.tolist()}
    return [
        lag_profile(
            profiles.lag,
            profiles.data[a],
            profiles.fit[a],
            title=f"c2 over lag (s), {place}",
            width=width,
            height=_PROFILE_HEIGHT,
            ascii_only=ascii_only,
        )
        for a, place in places.items()
    ]
