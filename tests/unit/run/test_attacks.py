"""Run directories made by somebody else: one error with file and key, or an answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.attacked import attacked_runs, outcome_of
from tests.support.run_mutations import mutate

SEED = 20
PER_TEST = 20


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
