"""A right gradient passes whatever the experiment, one that is wrong by 1% does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from homodyne_cli.core.minimise.gradient_check import (
    check_gradient,
    differentiate,
    sample_frames,
    smooth_point,
)
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.objective import Objective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import DerivativeError
from homodyne_cli.parameters import Convention, Loss
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.problems import make_problem
from tests.support.random_experiments import DrawnExperiment, draw

#: What `diagnostics.sample_size` is by default.
PAIRS = 2048


@dataclass(frozen=True)
class Wrong:
    """An objective whose gradient by one parameter is off by a factor."""

    right: Objective
    place: int
    factor: float = 1.01

    @property
    def free(self) -> FreeParameters:
        return self.right.free

    def cost(self, x: FloatArray) -> float:
        return self.right.cost(x)

    def derivatives(self, x: FloatArray) -> Projection:
        at = self.right.derivatives(x)
        gradient = at.gradient.copy()
        gradient[self.place] *= self.factor
        return replace(at, gradient=gradient)

    def expand(self, x: FloatArray) -> FloatArray:
        return self.right.expand(x)


def sample_of(
    experiment: DrawnExperiment, loss: Loss = "linear", convention: Convention = "he2024"
) -> Objective:
    data = experiment.data
    start = tuple(experiment.start)
    problem = make_problem(convention=convention, start=start, solver=SolverOptions(loss=loss))
    frames = sample_frames(data.n_frames, data.n_phi, PAIRS)
    return build_objective(data, problem, dataset_sigma(data), frames)


@pytest.mark.parametrize("seed", range(30))
def test_right_gradients_pass_and_wrong_ones_do_not(seed: int) -> None:
    """At wide starts, many of them at bounds, and at the truth, where gradients are small."""
    experiment = draw(seed)
    sample = sample_of(experiment)
    place = seed % 7
    for x in (experiment.start, experiment.truth):
        assert check_gradient(sample, x, "here") < 1e-5
    with pytest.raises(DerivativeError, match=f"there: d chi2/d {sample.free.names[place]} is"):
        check_gradient(Wrong(sample, place), experiment.truth, "there")


@pytest.mark.parametrize(
    ("loss", "convention"),
    [("huber", "he2024"), ("soft_l1", "he2024"), ("cauchy", "he2024"), ("linear", "homodyne-2")],
)
def test_right_gradients_of_other_losses_and_conventions_pass(
    loss: Loss, convention: Convention
) -> None:
    experiment = draw(3)
    sample = sample_of(experiment, loss, convention)
    check_gradient(sample, experiment.start, "here", reweighted=loss != "linear")


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
def test_edges_of_chi2_are_no_defects(convention: Convention) -> None:
    """D negative early on: |dA| has edges, at which differences are anything."""
    data = make_dataset(46, 5, parameters=RESOLVED, phi=np.array([-30.0, -15.0, 0.0, 30.0, 60.0]))
    first, last = float(data.t[0]), float(data.t[30])
    # As much gained as lost between frames 1 and 31, all but a millionth.
    offset = -691.0 / 3.0 * (last**3 - first**3) / (last - first) * (1.0 + 1e-6)
    parameters = np.array([691.0, 2.0, offset, 4.6e-4, -0.54, 6e-4, 1.97])
    problem = make_problem(convention=convention, start=tuple(parameters))
    sample = build_objective(data, problem, dataset_sigma(data))
    if convention == "he2024":
        with pytest.raises(DerivativeError):
            check_gradient(sample, parameters, "at an edge")
    point = smooth_point(parameters, sample, data.t, convention)
    assert point is not None
    rate = point[0] * data.t ** point[1] + point[2]
    # As far from zero as differences reach: rates differ by a tenth over their steps.
    assert rate.min() > 0.05 * np.ptp(rate)
    np.testing.assert_array_equal(np.delete(point, 2), np.delete(parameters, 2))
    check_gradient(sample, point, "beside it")
    held = make_problem(start=tuple(parameters), fixed={"D_offset": offset})
    sample = build_objective(data, held, dataset_sigma(data))
    assert smooth_point(np.delete(parameters, 2), sample, data.t, convention) is None


def test_a_smooth_point_stays_where_it_is() -> None:
    sample = sample_of(draw(1))
    x = draw(1).truth
    found = smooth_point(x, sample, draw(1).data.t, "he2024")
    assert found is not None
    np.testing.assert_array_equal(found, x)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.3, 1.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_derivatives_and_their_errors(x: float, scale: float) -> None:
    """Of exp(sin) on [0, 1], at bounds and beside them, with a reach far too long or too short."""
    value, error = differentiate(lambda v: float(np.exp(np.sin(5.0 * v))), x, 0.0, 1.0, scale)
    exact = 5.0 * np.cos(5.0 * x) * np.exp(np.sin(5.0 * x))
    assert abs(value - exact) < 10.0 * error
    assert error < 1e-5


@pytest.mark.parametrize("x", [-3.0, -2.999, -2.5, -2.001, -2.0])
def test_differences_stay_inside_the_bounds(x: float) -> None:
    """At the bounds and a thousandth of their width beside them, of a function that ends there."""

    def inside(v: float) -> float:
        assert -3.0 <= v <= -2.0
        return float(np.exp(np.sin(5.0 * v)))

    value, error = differentiate(inside, x, -3.0, -2.0, 1.0)
    exact = 5.0 * np.cos(5.0 * x) * np.exp(np.sin(5.0 * x))
    assert abs(value - exact) < max(10.0 * error, 1e-6)
    assert error < 1e-5
