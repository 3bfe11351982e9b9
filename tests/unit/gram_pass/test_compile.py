"""Data of one size class share compiled code: in a batch the second fit compiles nothing."""

from __future__ import annotations

import time

import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass import passes
from homodyne_cli.core.numerics.usage import compiling_seconds
from tests.support.datasets import make_dataset
from tests.support.problems import make_problem


def test_the_second_fit_of_a_size_class_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """198 and 250 frames: other tiles, other sets of frames, the same shapes."""
    monkeypatch.setattr(passes, "HOST_PAIRS", 0)
    problem = make_problem(start=None)
    shapes = ((198, 3), (250, 3), (198, 4))
    first, same, other = (make_dataset(frames, angles, seed=1) for frames, angles in shapes)
    fit(first, problem)
    started = time.perf_counter()
    assert fit(same, problem).converged
    assert compiling_seconds(started, time.perf_counter()) == 0.0
    fit(other, problem)
    compiled = compiling_seconds(started, time.perf_counter())
    assert compiled > 0.0, "the clock sees what has to be compiled"
