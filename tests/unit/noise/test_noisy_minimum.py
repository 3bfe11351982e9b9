"""The way to the minimum with best weights: shorter where frames are many, to the same answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core import noisy_minimum
from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise import policy
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.results import FitResult
from tests.support.problems import make_problem

TRUTH = np.array([3000.0, -0.4, 300.0, 1e-4, -0.25, 2e-5, 2.0])
HELD = {"D_offset": 300.0, "gamma_dot_t_offset": 2e-5}


@pytest.fixture(scope="module")
def strict() -> FitResult:
    """A fit on all frames from the minimum of equal weights on, to the end of every metric."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noisy_minimum, "MANY_FRAMES", 1000)
        patch.setattr(policy, "EDM_PASSING", 1e-9)
        patch.setattr(policy, "EDM_STILL", 1e-9)
        return fitted()


def fitted() -> FitResult:
    experiment = Experiment(TRUTH, np.array([0.0, 40.0, 90.0]), 170, 0.0054, 2e6, 0.1, 0.3, 1.0)
    data = simulate(experiment, Noise(speckles=800, counts=2.0), 3).dataset
    return fit(data, replace(make_problem(start=tuple(TRUTH), fixed=HELD), weights="best"))


@pytest.mark.parametrize("at_hand", [policy.AT_HAND, 0.0])
def test_short_ways_lead_to_the_same_answer(
    monkeypatch: pytest.MonkeyPatch, strict: FitResult, at_hand: float
) -> None:
    """A covariance that is taken anew once less moves no parameter by 3% of its uncertainty."""
    monkeypatch.setattr(policy, "AT_HAND", at_hand)
    result = fitted()
    assert result.converged
    assert result.edm < policy.EDM_PASSING
    assert result.evaluations < strict.evaluations
    for one, other in zip(result.parameters, strict.parameters, strict=True):
        if one.uncertainty and other.uncertainty:
            assert abs(one.value - other.value) < 0.03 * other.uncertainty, one.name
            assert one.uncertainty == pytest.approx(other.uncertainty, rel=0.01)
