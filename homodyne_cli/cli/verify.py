"""``homodyne verify``: the validation checklist."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import numpy as np

from homodyne_cli.assessments import CheckResult, StoredRun
from homodyne_cli.cli.diagnose import configured_gap
from homodyne_cli.cli.requests import VerifyRequest
from homodyne_cli.core.checks.lag_profiles import LagProfiles, lag_profiles
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.verification import verify
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.files.outputs import check_file, write_file
from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
from homodyne_cli.io.run.read_run import open_run
from homodyne_cli.render.bars import lag_profile
from homodyne_cli.render.console import is_ascii, make_console, print_note, print_plain
from homodyne_cli.render.report import report_page
from homodyne_cli.render.tables_checks import checks_table

FAILED = 1
_PROFILE_HEIGHT = 14
_PROFILES_SHOWN = 3


def run_verify(request: VerifyRequest) -> int:
    """Run the checks; return 1 if one fails (with `strict` also if one warns)."""
    if request.report is not None:
        check_file(request.report, force=request.force, option="--report")
    places = [request.run] if request.baseline is None else [request.run, request.baseline]
    gap, memory = configured_gap(request.config, *places), MemoryBudget(budget_of(request.memory))
    with ExitStack() as held:
        run, *older = (held.enter_context(open_run(place, gap, memory)) for place in places)
        return _verify(request, run, older[0] if older else None)


def _verify(request: VerifyRequest, run: StoredRun, older: StoredRun | None) -> int:
    evaluated = evaluate_run(run)
    checks = verify(evaluated, older)
    bad = ("fail", "warn") if request.strict else ("fail",)
    passed = not any(c.status in bad for c in checks)
    residuals = evaluated.residuals
    profiles = lag_profiles(residuals)
    if request.as_json:
        sys.stdout.write(to_json(_summary(run, checks, passed)) + "\n")
    else:
        _show(request, run, checks, profiles, passed=passed)
    if request.report is not None:
        page = report_page(run, checks, profiles, residuals, passed=passed)
        write_file(request.report, page.encode("utf-8", "backslashreplace"), force=request.force)
        if not request.as_json:
            print_note(make_console(stderr=True), f"Wrote {request.report}")
    return 0 if passed else FAILED


def _show(
    request: VerifyRequest,
    run: StoredRun,
    checks: tuple[CheckResult, ...],
    profiles: LagProfiles,
    *,
    passed: bool,
) -> None:
    console = make_console()
    print_plain(console, run.title)
    for note in run.record.notes:
        print_plain(console, f"Note: {note}")
    if not request.quiet:
        for chart in _charts(run.dataset, profiles, min(console.width, 100), is_ascii(console)):
            print_plain(console, chart + "\n")
    console.print(checks_table(checks))
    print_plain(
        console,
        "All checks pass." if passed else "Not all checks pass.",
        style="green" if passed else "bold red",
    )


def _charts(data: Dataset, profiles: LagProfiles, width: int, ascii_only: bool) -> list[str]:
    """Draw lag profiles of up to three angles, spread over those measured."""
    count = min(_PROFILES_SHOWN, data.n_phi)
    chosen = np.unique(np.linspace(0, data.n_phi - 1, count).astype(int))
    return [
        lag_profile(
            profiles.lag,
            profiles.data[a],
            profiles.fit[a],
            title=f"c2 over lag (s), phi = {data.phi[a]:.2f} deg: marks data, curve fit",
            width=width,
            height=_PROFILE_HEIGHT,
            ascii_only=ascii_only,
        )
        for a in chosen
    ]


def _summary(run: StoredRun, checks: tuple[CheckResult, ...], passed: bool) -> dict[str, object]:
    return {
        "run_dir": run.record.directory,
        "passed": passed,
        "checks": [
            {
                "id": c.id,
                "status": c.status,
                "value": c.value,
                "threshold": c.threshold,
                "message": c.message,
            }
            for c in checks
        ],
    }
