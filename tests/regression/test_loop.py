"""Fit, diagnose, apply, fit again, verify: the reference document's loop, closed."""

from __future__ import annotations

from pathlib import Path

from tests.support.loop import EARLY_STOP, run_loop


def test_loop_recovers_the_truth_from_the_quoted_point(tmp_path: Path) -> None:
    loop = run_loop(tmp_path, shown=False)
    before, after = loop.before, loop.after
    assert before.iterations == EARLY_STOP
    assert before.premature
    assert before.effective_ratio > 1e6
    assert not before.passed
    assert not after.premature
    assert after.passed
    assert after.lobes == "pass"
    assert after.effective_ratio < 10.0
    assert after.chi2 < before.chi2 - 10.0
    # The least certain parameter of this experiment is known to 8%.
    assert after.worst_error < 0.25 < before.worst_error
