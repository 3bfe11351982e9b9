"""A run directory without a schema version, and what the program that wrote it said about it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.core.diagnosis import diagnose
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_run
from homodyne_cli.core.verification import verify
from homodyne_cli.io.run.read_run import read_run

DATA = Path(__file__).parents[2] / "data"
VERDICTS = json.loads((DATA / "old_run_verdicts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def old() -> EvaluatedRun:
    return evaluate_run(read_run(DATA / "old_run"))


def test_old_run_is_read_in_full(old: EvaluatedRun) -> None:
    record = old.run.record
    assert record.converged
    assert record.covariance is not None
    assert record.covariance.shape == (7, 7)
    assert len(record.covariance_names) == len(record.initial) == len(record.x_scale) == 7
    assert set(record.history[0].column_norms) == set(old.run.solution.values)
    assert math.isinf(record.noise.n_speckles)
    assert old.run.dataset.gap == 2e6
    assert old.run.problem.bounds["gamma_dot_t0"].upper == 0.5


def test_old_run_is_judged_as_it_was(old: EvaluatedRun) -> None:
    for check, expected in zip(verify(old), VERDICTS["verify"]["checks"], strict=True):
        assert (check.id, check.status, check.message) == (
            expected["id"],
            expected["status"],
            expected["message"],
        )
        assert check.value == pytest.approx(expected["value"], rel=1e-6)


def test_old_run_is_diagnosed_as_it_was(old: EvaluatedRun) -> None:
    diagnosis, expected = diagnose(old), VERDICTS["diagnose"]
    assert diagnosis.effective_ratio == pytest.approx(expected["effective_ratio"], rel=1e-9)
    np.testing.assert_allclose(
        diagnosis.sensitivities, list(expected["sensitivities"].values()), rtol=1e-9
    )
    assert diagnosis.x_scale_map == pytest.approx(expected["x_scale_map"], rel=1e-6)
