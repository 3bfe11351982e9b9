"""NIST StRD problems through the solver layer: as many digits as SciPy with analytic Jacobians."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import optimize

from homodyne_cli.core.minimise.coordinates import Coordinates
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import minimise
from homodyne_cli.core.numerics.arrow import Arrow
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.objective.scaling import ScalingDirections
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions
from tests.support.nist import MODELS, Problem, load

DIGITS = 6.0
TIGHT = 1e-15
ROUNDS = 2000


@dataclass(frozen=True)
class Regression:
    """Answers what the solver layer asks of an objective, for one problem."""

    problem: Problem
    free: FreeParameters

    def expand(self, x: FloatArray) -> FloatArray:
        return x

    def cost(self, x: FloatArray) -> float:
        return self._chi2(self.problem.residual(x))

    def derivatives(self, x: FloatArray) -> Projection:
        residual, jacobian = self.problem.residual(x), self.problem.jacobian(x)
        hessian, gradient = jacobian.T @ jacobian, jacobian.T @ residual
        if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
            hessian, gradient = np.zeros_like(hessian), np.zeros_like(gradient)
        none = np.zeros(0)
        arrow = Arrow(hessian, np.zeros((0, len(x), 2)), np.zeros((0, 2, 2)))
        directions = ScalingDirections(np.zeros((0, 2, 0)), groups=None)
        return Projection(none, none, self._chi2(residual), arrow, gradient, directions)

    @staticmethod
    def _chi2(residual: FloatArray) -> float:
        value = float(residual @ residual)
        return value if np.isfinite(value) else 1e300


def ours(problem: Problem, start: FloatArray) -> float:
    p = len(start)
    names = tuple(f"b{k + 1}" for k in range(p))
    free = FreeParameters(names, start, np.full(p, -np.inf), np.full(p, np.inf))
    identity = Coordinates(np.zeros(p, dtype=bool), np.zeros(p))
    options = SolverOptions(
        max_iterations=ROUNDS, ftol=TIGHT, xtol=TIGHT, gtol=TIGHT, x_scale="jac"
    )
    log = Minimisation(Regression(problem, free), options, identity)
    found = minimise(log, near=True)
    return problem.digits(found.x)


def scipys(problem: Problem, start: FloatArray) -> float:
    found = optimize.least_squares(
        problem.residual, start, jac=problem.jacobian, method="trf", x_scale="jac",
        ftol=TIGHT, xtol=TIGHT, gtol=TIGHT, max_nfev=ROUNDS,
    )  # fmt: skip
    return problem.digits(found.x)


@pytest.mark.parametrize("start", [0, 1], ids=["start1", "start2"])
@pytest.mark.parametrize("name", list(MODELS))
def test_as_many_digits_as_scipy(name: str, start: int) -> None:
    problem = load(name)
    assert np.isfinite(problem.residual(problem.certified)).all()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            reference = scipys(problem, problem.starts[start])
        except ValueError:
            reference = 0.0
        if reference < DIGITS:
            pytest.skip(f"SciPy itself reaches {reference:.1f} digits")
        assert ours(problem, problem.starts[start]) >= DIGITS
