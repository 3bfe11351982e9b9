"""Lobes in the noise of few speckles, which many bins of phase share."""

from __future__ import annotations

import numpy as np

from homodyne_cli.core.checks.checklist import run_checks
from homodyne_cli.core.checks.oscillations import check_oscillations
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs

TRUTH = np.array([300.0, 0.0, 0.0, 3e-4, 0.0, 0.0, 2.0])
HELD = {"alpha": 0.0, "D_offset": 0.0, "beta": 0.0, "gamma_dot_t_offset": 0.0}


def test_speckles_are_not_taken_for_lobes_elsewhere() -> None:
    """Errors of white noise would call all of these right fits wrong."""
    among, as_white = [], []
    for seed in range(4):
        phi = np.array([0.0, 20.0, 50.0])
        experiment = Experiment(TRUTH, phi, 120, 0.0054, 2e6, 0.1, 0.5, 1.0)
        data = simulate(experiment, Noise(speckles=60, counts=5.0), seed).dataset
        inputs = fitted_inputs(data, make_problem(start=tuple(TRUTH), fixed=HELD))
        checks = {check.id: check.status for check in run_checks(inputs)}
        among.append(checks["oscillations"])
        as_white.append(check_oscillations(inputs.run, inputs.residuals).status)
    assert "fail" not in among
    assert set(as_white) == {"fail"}
