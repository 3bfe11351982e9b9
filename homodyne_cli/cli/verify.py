"""``homodyne verify``: the validation checklist."""

from __future__ import annotations

import sys
from contextlib import ExitStack

import numpy as np

from homodyne_cli.assessments import CheckResult, Run
from homodyne_cli.cli.diagnose import configured_gap
from homodyne_cli.cli.requests import VerifyRequest
from homodyne_cli.core.checks.checklist import BaselineFit, CheckInputs, run_checks
from homodyne_cli.core.checks.lag_profiles import LagProfiles, lag_profiles
from homodyne_cli.core.diagnosis import diagnose, problem_of
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import hold
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import OutputError
from homodyne_cli.io.files.atomic import write_bytes_atomic
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.maps.memory import MemoryBudget, budget_of
from homodyne_cli.io.run.read_run import open_run
from homodyne_cli.parameters import names_of
from homodyne_cli.render.bars import lag_profile
from homodyne_cli.render.console import is_ascii, make_console, print_note, print_plain
from homodyne_cli.render.report import report_page
from homodyne_cli.render.tables_checks import checks_table

FAILED = 1
_PROFILE_HEIGHT = 14
_COMPARED_ROWS = 256
_PROFILES_SHOWN = 3


def run_verify(request: VerifyRequest) -> int:
    """Run the checks; return 1 if one fails (with `strict` also if one warns)."""
    if request.report is not None and request.report.exists() and not request.force:
        raise OutputError(
            f"{request.report}: exists already", hint="choose another --report, or --force"
        )
    gap, memory = configured_gap(request.config), MemoryBudget(budget_of(request.memory))
    with ExitStack() as held:
        run = held.enter_context(open_run(request.run, gap, memory))
        older = None
        if request.baseline is not None:
            older = held.enter_context(open_run(request.baseline, gap, memory))
        return _verify(request, run, older)


def _verify(request: VerifyRequest, run: Run, older: Run | None) -> int:
    inputs = check_inputs(run, older)
    checks = run_checks(inputs)
    bad = ("fail", "warn") if request.strict else ("fail",)
    passed = not any(c.status in bad for c in checks)
    profiles = lag_profiles(run.dataset, inputs.fitted, inputs.sigma)
    if request.report is not None:
        page = report_page(run, checks, profiles, inputs.fitted, inputs.sigma, passed=passed)
        write_bytes_atomic(request.report, page.encode("utf-8"))
    if request.as_json:
        sys.stdout.write(to_json(_summary(run, checks, passed)) + "\n")
    else:
        _show(request, run, checks, profiles, passed=passed)
    return 0 if passed else FAILED


def _show(
    request: VerifyRequest,
    run: Run,
    checks: tuple[CheckResult, ...],
    profiles: LagProfiles,
    *,
    passed: bool,
) -> None:
    console = make_console()
    print_plain(console, f"{run.directory}: {run.mode}, convention {run.convention}")
    for note in run.notes:
        print_plain(console, f"Note: {note}")
    if not request.quiet:
        for chart in _charts(run, profiles, min(console.width, 100), is_ascii(console)):
            print_plain(console, chart + "\n")
    console.print(checks_table(checks))
    print_plain(
        console,
        "All checks pass." if passed else "Not all checks pass.",
        style="green" if passed else "bold red",
    )
    if request.report is not None:
        print_note(make_console(stderr=True), f"Wrote {request.report}")


def check_inputs(run: Run, older: Run | None) -> CheckInputs:
    """Evaluate a run at its own parameters and scaling, and an older one on the same pairs."""
    sigma = dataset_sigma(run.dataset)
    found = diagnose(run)
    values = np.array([run.values[n] for n in names_of(run.mode)])
    objective = build_objective(run.dataset, problem_of(run), sigma)
    return CheckInputs(
        run=run,
        fitted=model_maps(run.dataset, values, run.contrast, run.offset, run.convention),
        sigma=sigma,
        chi2=_held_chi2(objective, run),
        degrees_of_freedom=objective.tiles.n_points - len(run.free) - objective.scaling.size,
        edm=found.edm,
        effective_ratio=found.effective_ratio,
        baseline=None if older is None else _baseline(run, older),
    )


def _held_chi2(objective: Objective, run: Run) -> float:
    """Return chi2 of a run's model and scaling on an objective's pairs and sigma."""
    grams = objective.plain_grams(np.array([run.values[n] for n in run.free]))
    return hold(grams, run.contrast, run.offset, objective.sigma).chi2


def _baseline(run: Run, older: Run) -> BaselineFit:
    name = str(older.directory)
    mine, theirs = run.dataset, older.dataset
    if mine.c2.shape != theirs.c2.shape or not np.allclose(mine.phi, theirs.phi):
        return BaselineFit(name, None, "it was fitted to other angles or frames")
    if not all(_same_data(mine, theirs, a) for a in range(mine.n_phi)):
        return BaselineFit(name, None, "it was fitted to other data")
    objective = build_objective(mine, problem_of(older), dataset_sigma(mine))
    return BaselineFit(name, _held_chi2(objective, older))


def _same_data(one: Dataset, other: Dataset, angle: int) -> bool:
    mine, theirs = one.c2[angle], other.c2[angle]
    for first in range(0, len(mine), _COMPARED_ROWS):
        rows = slice(first, first + _COMPARED_ROWS), slice(first, None)
        if np.triu(~np.isclose(mine[rows], theirs[rows], 1e-6, 0.0, equal_nan=True), 1).any():
            return False
    return True


def _charts(run: Run, profiles: LagProfiles, width: int, ascii_only: bool) -> list[str]:
    """Draw lag profiles of up to three angles, spread over those measured."""
    count = min(_PROFILES_SHOWN, run.dataset.n_phi)
    chosen = np.unique(np.linspace(0, run.dataset.n_phi - 1, count).astype(int))
    return [
        lag_profile(
            profiles.lag,
            profiles.data[a],
            profiles.fit[a],
            title=f"c2 over lag (s), phi = {run.dataset.phi[a]:.2f} deg: marks data, curve fit",
            width=width,
            height=_PROFILE_HEIGHT,
            ascii_only=ascii_only,
        )
        for a in chosen
    ]


def _summary(run: Run, checks: tuple[CheckResult, ...], passed: bool) -> dict[str, object]:
    return {
        "run_dir": run.directory,
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
