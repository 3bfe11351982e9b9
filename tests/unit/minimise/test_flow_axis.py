"""A flow axis outside of the bounds of phi0: found, and named where the bounds were chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise.flow_axis import flow_axis_findings, whole_period
from homodyne_cli.dataset import Dataset
from homodyne_cli.findings.codes import Code
from homodyne_cli.problem import Bounds, FitProblem, default_bounds
from homodyne_cli.results import FitResult
from tests.support.datasets import RESOLVED, make_dataset

TURNED = 90.0


@pytest.fixture(scope="module")
def turned() -> Dataset:
    """Angles that are counted from elsewhere: the flow is at 92 degrees."""
    data = make_dataset(60, 5, parameters=RESOLVED, noise=0.01, phi=np.linspace(0.0, 120.0, 5))
    return replace(data, phi=data.phi + TURNED)


def free_problem(**bounds: Bounds) -> FitProblem:
    return FitProblem("laminar_flow", bounds={**default_bounds(), **bounds})


def value(result: FitResult, name: str) -> tuple[float, float]:
    one = next(p for p in result.parameters if p.name == name)
    return one.value, one.uncertainty


def test_default_bounds_are_widened_to_the_flow_axis(turned: Dataset) -> None:
    result = fit(turned, free_problem())
    phi0, error = value(result, "phi0")
    assert result.converged
    assert abs(phi0 - (RESOLVED[6] + TURNED - 180.0)) < 4.0 * error
    assert 0.9 < result.reduced_chi2 < 1.1
    (finding,) = flow_axis_findings(result)
    assert finding.code is Code.FLOW_AXIS
    assert "[-90, 90]" in finding.message


def test_bounds_that_were_chosen_stay_and_the_axis_outside_is_named(turned: Dataset) -> None:
    result = fit(turned, free_problem(phi0=Bounds(-10.0, 10.0)))
    assert -10.0 <= value(result, "phi0")[0] <= 10.0
    (finding,) = flow_axis_findings(result)
    # 2 degrees and 90 are 88 degrees below the horizontal.
    assert "at phi0 = -8" in finding.message
    assert finding.option == '--set "parameter_space.bounds.phi0=[-90, 90]"'


def test_nothing_is_said_where_the_axis_is_inside(turned: Dataset) -> None:
    result = fit(replace(turned, phi=turned.phi - TURNED), free_problem())
    assert result.search is not None
    assert result.search.beyond is None
    assert list(flow_axis_findings(result)) == []


def test_the_period_lies_about_the_middle_of_the_bounds() -> None:
    assert whole_period(Bounds(20.0, 40.0)) == Bounds(-60.0, 120.0)
    assert whole_period(Bounds(-100.0, 200.0)) == Bounds(-100.0, 200.0)
