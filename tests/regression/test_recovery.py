"""Parameters of simulated data are recovered, with uncertainties that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.parameters import AnalysisMode, Convention
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem
from tests.unit.minimise.test_fit import pulls

START = (5000.0, -0.2, 300.0, 0.7e-3, -0.1, 0.0, 0.0)
#: Twice the 20 seeds that suffice for the four-sigma test, so that the spread is worth testing.
CASES = [(seed, (3, 5, 10, 23)[seed % 4]) for seed in range(40)]


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
@pytest.mark.parametrize("mode", ["laminar_flow", "static"])
def test_truth_is_recovered_within_four_sigma(mode: AnalysisMode, convention: Convention) -> None:
    truth = RESOLVED if mode == "laminar_flow" else RESOLVED[:3]
    collected = []
    for seed, n_phi in CASES:
        data = make_dataset(
            100,
            n_phi,
            seed=seed,
            parameters=truth,
            convention=convention,
            spread=0.05,
            noise=0.01,
        )
        result = fit(data, make_problem(mode, convention, start=START))
        assert result.converged, (seed, result.message)
        assert 0.9 < result.reduced_chi2 < 1.1
        collected.append(pulls(result, truth))
    worst = np.abs(collected).max()
    assert worst < 4.0, worst
    # Amplitude, exponent and offset of a power law move together, so that a fit has about three
    # independent pulls (static: one and a half) and 40 fits fix the spread to 6% (9%).
    spread = float(np.sqrt(np.mean(np.square(collected))))
    assert 0.8 < spread < 1.25, spread
