"""Run directories made by somebody else: one error with file and key, or an answer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.attacked import attacked_runs, outcome_of, reading_commands
from tests.support.run_mutations import mutate

SEED = 20
PER_TEST = 20


@pytest.fixture(autouse=True)
def _no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare a process for each command: what it is for is tested in `test_trial_of_runs`."""
    monkeypatch.setattr(sys, "executable", "")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return attacked_runs(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("first", range(0, 200, PER_TEST))
def test_every_run_directory_gets_an_answer_or_one_error(
    sound: tuple[Path, Path], tmp_path: Path, first: int
) -> None:
    """The longer attack is ``benchmarks/attacks/run_directories.py``."""
    for k in range(first, first + PER_TEST):
        target = tmp_path / str(k)
        what = mutate(sound[int(k % 4 == 3)], target, np.random.default_rng([SEED, k]))
        for command in ("diagnose", "verify"):
            outcome = outcome_of((command, str(target), "--quiet"))
            assert outcome.kind in ("answer", "error"), f"{k}: {what}: {outcome.said}"
            assert "\x1b" not in outcome.said


#: Of the mutations of seed 11: exponents that overflow, and a rate that is one value on an axis.
FOUND_BY_READING = (43, 48, 117, 121, 128, 159, 163)


@pytest.mark.parametrize("k", [*FOUND_BY_READING, *range(4)])
def test_commands_that_only_read_get_along_as_well(
    sound: tuple[Path, Path], tmp_path: Path, k: int
) -> None:
    """The longer attack is ``benchmarks/attacks/run_directories.py --read``."""
    target = tmp_path / "attacked"
    what = mutate(sound[int(k % 4 == 3)], target, np.random.default_rng([11, k]))
    for command in reading_commands(target, tmp_path, sound[0], k):
        outcome = outcome_of(command)
        assert outcome.kind in ("answer", "error"), f"{command[0]}: {what}: {outcome.said}"
