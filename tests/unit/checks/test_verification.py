"""When `verify` counts speckles that a fit may not have seen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homodyne_cli.core import verification
from homodyne_cli.core.fit import fit
from homodyne_cli.noise_report import NoiseReport
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem
from tests.support.verified import moved, run_of


@pytest.mark.parametrize(
    ("counted", "factor", "asked"), [(False, 1.0, 0), (True, 1.0, 1), (False, 1.3, 1)]
)
def test_speckles_are_asked_where_white_noise_does_not_explain_all(
    counted: bool, factor: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after a fit that saw none and whose residuals are white."""
    questions: list[object] = []
    monkeypatch.setattr(verification, "judge_speckles", lambda *on: questions.append(on))
    data, problem = make_dataset(60, 3, parameters=RESOLVED, noise=0.01, seed=5), make_problem()
    run = run_of(data, problem, fit(data, make_problem(start=tuple(RESOLVED))))
    if counted:
        run = replace(run, record=replace(run.record, noise=NoiseReport(500.0, 0.5)))
    inputs = moved(run, {"D0": factor * run.solution.values["D0"]})
    assert inputs.white is not None
    assert (inputs.white.status == "pass") == (factor == 1.0)
    assert len(questions) == asked
