"""What commands say at the end: a verdict that fits the checks, and the command to type next."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.assessments import CheckResult, CheckStatus, StoredRun
from homodyne_cli.core.checks.lag_profiles import LagProfiles
from homodyne_cli.dataset import Dataset
from homodyne_cli.render.console import make_console
from homodyne_cli.render.screens import diagnosis as diagnosis_screen
from homodyne_cli.render.screens import verification
from homodyne_cli.render.tables_checks import diagnosis_table
from homodyne_cli.results import FitRecord, Solution
from tests.support.problems import make_problem
from tests.support.render_samples import Terminal, diagnosis

RUN = Path("my run")
CONFIG, FIX = Path("my.yaml"), Path("f.yaml")


def check(name: str, status: CheckStatus) -> CheckResult:
    return CheckResult(name, status, 1.0, 2.0, "why")


def stored() -> StoredRun:
    values = Solution({}, np.ones(1), np.ones(1))
    data = Dataset(
        np.zeros((1, 2, 2)), np.zeros(1), np.ones(2), np.full(1, 0.01), None, 0.1, None, {}
    )
    return StoredRun(make_problem(), data, values, FitRecord(directory=RUN))


@pytest.mark.parametrize(
    ("statuses", "strict", "said"),
    [
        (("pass", "n/a"), False, "All checks pass."),
        (("pass", "warn"), False, "No check fails; 1 warn: physical."),
        (
            ("pass", "warn"),
            True,
            "No check fails; 1 warn: physical. With --strict a warning fails.",
        ),
        (("fail", "warn"), False, "1 of the checks fails: residuals; 1 warn: physical."),
    ],
)
def test_the_verdict_never_passes_over_a_warning(
    capsys: pytest.CaptureFixture[str],
    statuses: tuple[CheckStatus, ...],
    strict: bool,
    said: str,
) -> None:
    names = ("residuals", "physical")
    checks = [check(name, status) for name, status in zip(names, statuses, strict=True)]
    lag = np.ones(1)
    profiles = LagProfiles(lag, lag[None], lag[None], lag[None], lag[None])
    verification.show_checks(
        stored(), checks, profiles, (), reduced_chi2=1.25, strict=strict, quiet=True
    )
    shown = capsys.readouterr().out
    codes = [c.code for c in checks if c.status in ("warn", "fail")]
    explained = [f"What it means: homodyne explain {' '.join(codes)}"] if codes else []
    assert shown.splitlines()[-1 - len(explained) :] == [said, *explained]
    assert "reduced χ² 1.25" in shown.replace("chi2", "χ²")


@pytest.mark.parametrize(
    ("failing", "report", "words"),
    [
        ("", None, ("report", RUN, "-o", "report.html")),
        ("residuals", None, ("report", RUN, "-o", "report.html")),
        ("convergence", Path("page.html"), ("diagnose", RUN)),
        ("residuals", Path("page.html"), ()),
    ],
)
def test_after_the_checks(failing: str, report: Path | None, words: tuple[object, ...]) -> None:
    checks = [check("physical", "pass"), *([check(failing, "fail")] if failing else [])]
    assert verification.next_words(RUN, checks, report) == words


@pytest.mark.parametrize(
    ("premature", "imbalance", "fix", "config", "words"),
    [
        (False, False, None, None, ("verify", RUN)),
        (False, True, None, CONFIG, ("verify", RUN)),
        (True, True, None, CONFIG, ("diagnose", RUN, "-o", "fix.yaml")),
        (True, True, FIX, None, ("apply-scale", "CONFIG", FIX)),
        (True, True, FIX, CONFIG, ("apply-scale", CONFIG, FIX)),
        (True, False, None, CONFIG, ("fit", CONFIG, "--resume", RUN, "-o", f"{RUN}-resumed",
                                     "--set", "optimization.nlsq.max_iterations=1000")),
    ],
)  # fmt: skip
def test_after_a_diagnosis(
    premature: bool,
    imbalance: bool,
    fix: Path | None,
    config: Path | None,
    words: tuple[object, ...],
) -> None:
    state = dataclasses.replace(diagnosis(), premature=premature, imbalance=imbalance)
    assert diagnosis_screen.next_words(RUN, state, fix, config) == words


def test_a_diagnosis_says_its_answer_first(capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis_screen.show_diagnosis(stored(), diagnosis(), None, quiet=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("my run")
    assert lines[1].startswith("Stopped early")
    assert "1 is balanced" in lines[3]


@pytest.mark.parametrize("needed", [True, False])
def test_rows_are_marked_only_where_something_is_to_be_done(
    monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    state = dataclasses.replace(diagnosis(), premature=needed, imbalance=needed)
    target = Terminal("utf-8", True)
    make_console(file=target, width=200).print(diagnosis_table(state, "D0"))
    assert ("\x1b[33m" in target.getvalue()) is needed
