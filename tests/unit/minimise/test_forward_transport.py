"""Of a transport coefficient and its negative, which the model cannot tell apart, the positive."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise import policy
from homodyne_cli.dataset import FloatArray
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem

#: J = 2000 t^0.5 - 14000 is negative over all of the 6 s; no law inside the bounds is its negative,
#: but D0 and D_offset of 1e5 that cancel come near.
BACKWARD = np.array([2000.0, 0.5, -14000.0, *RESOLVED[3:]])
DATA = make_dataset(60, 5, parameters=BACKWARD, noise=0.06, seed=1)


def mean_transport(values: FloatArray) -> float:
    """Return the mean of J over the window, Å²/s."""
    amplitude, exponent, offset = values[:3]
    return float(np.mean(amplitude * DATA.t**exponent + offset))


def test_what_noise_cannot_tell_apart_goes_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the backward law is the one that made the data and a little lower."""
    problem, truth = make_problem(start=None), mean_transport(BACKWARD)
    forward = fit(DATA, problem)
    monkeypatch.setattr(policy, "BACKWARD", -np.inf)
    backward = fit(DATA, problem)
    # The exponent is hardly known, and the mean with it to 30%.
    assert mean_transport(backward.values) < 0.5 * truth < 0.0
    assert mean_transport(forward.values) > -0.5 * truth
    assert forward.converged
    assert 0.0 < forward.chi2 - backward.chi2 < policy.RIVAL
    assert forward.search is not None
    rivals = [np.array(list(rival.values.values())) for rival in forward.search.rivals]
    assert all(mean_transport(rival) > 0.0 for rival in rivals)
