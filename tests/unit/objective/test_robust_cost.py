"""The cost of a robust loss at its best contrast and offset, against a general minimiser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from homodyne_cli.core.gram_pass.gram_pass import AngleGrams, evaluate
from homodyne_cli.core.objective import pair_objective
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import Loss
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.oracle import model_values
from tests.support.problems import make_problem

SIGMA = 0.03


@pytest.mark.parametrize("off", [1.0, 1.15], ids=["at the truth", "beside it"])
@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_contrast_and_offset_are_the_best(
    loss: Loss, off: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of the pairs are outliers; a dozen passes are enough for any loss, up to 30 of 50."""
    rng = np.random.default_rng(1)
    plain = make_dataset(30, 2, parameters=RESOLVED, noise=SIGMA)
    wrong = np.triu(rng.uniform(size=plain.array.shape) < 0.1, 1)
    data = replace(plain, c2=plain.array + np.where(wrong, 1.0, 0.0), sigma=np.full(2, SIGMA))
    problem = make_problem(start=tuple(RESOLVED), solver=SolverOptions(loss=loss))
    objective = build_objective(data, problem, np.full(2, SIGMA))
    passes: list[object] = []

    def counted(*arguments: Any) -> AngleGrams:
        passes.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(pair_objective, "evaluate", counted)
    x = RESOLVED * np.array([off, *6 * [1.0]])
    cost = objective.cost(x)
    assert len(passes) <= 30

    f = model_values(x, data.t, data.phi, data.q, data.gap or 0.0, "he2024")
    i, j = np.triu_indices(30, 1)

    at = objective.derivatives(x)

    def of_angle(a: int) -> float:
        def residual(scaling: FloatArray) -> FloatArray:
            model = scaling[0] * f[a, i, j] + scaling[1]
            return np.asarray((model - data.array[a, i, j]) / SIGMA)

        begin = [at.contrast[a], at.offset[a]]
        best = optimize.least_squares(
            residual, begin, loss=loss, xtol=1e-12, ftol=1e-12, gtol=1e-12
        )
        return 2.0 * float(best.cost)

    # Of a few hundred; what is left is far below what noise would notice.
    assert cost == pytest.approx(sum(of_angle(a) for a in range(2)), abs=1e-4)
