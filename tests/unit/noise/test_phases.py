"""What a fit tells of how far it is after the search: counts that end where they said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.judged_fit import judged_fit
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.results import Phase
from tests.support.problems import make_problem

TRUTH = np.array([3000.0, -0.4, 300.0, 1e-4, -0.25, 2e-5, 2.0])
HELD = {"D_offset": 300.0, "gamma_dot_t_offset": 2e-5}
ANGLES = np.array([0.0, 40.0, 90.0])


def phases(n_frames: int) -> list[tuple[Phase, int, int]]:
    experiment = Experiment(TRUTH, ANGLES, n_frames, 0.0054, 2e6, 0.1, 0.3, 1.0)
    data = simulate(experiment, Noise(speckles=800, counts=2.0), 3).dataset
    problem = replace(make_problem(start=tuple(TRUTH), fixed=HELD), weights="best")
    problem = replace(problem, solver=replace(problem.solver, global_search=False))
    told: list[tuple[Phase, int, int]] = []
    judged_fit(data, problem, on_phase=lambda *phase: told.append(phase))
    return told


# 170 frames are beyond those on which all pairs are used from the beginning.
@pytest.mark.parametrize("n_frames", [60, 170])
def test_covariance_and_maps_are_counted(n_frames: int) -> None:
    told = phases(n_frames)
    assert told[0] == ("noise", 0, 0)
    taken = [phase[1:] for phase in told if phase[0] == "weights"]
    assert [done for done, _ in taken] == list(range(1, len(taken) + 1))
    assert taken
    assert {most for _, most in taken} == {8}
    maps = [phase[1:] for phase in told if phase[0] == "assumptions"]
    assert maps == [(0, 0), (1, 3), (2, 3), (3, 3)]
    names = [name for name, *_ in told]
    assert names == sorted(names, key=["noise", "weights", "assumptions"].index)
