"""A flow axis outside of the bounds of phi0: found, and named where the bounds were chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import fit_coordinates
from homodyne_cli.core.minimise.flow_axis import (
    axis_beyond_bounds,
    flow_axis_findings,
    whole_period,
)
from homodyne_cli.core.minimise.global_search import Search, decimated_frames
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.dataset import Dataset
from homodyne_cli.findings.codes import Code
from homodyne_cli.problem import Bounds, FitProblem, default_bounds
from homodyne_cli.results import FitResult, Rival, SearchReport
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


def beyond(data: Dataset, chi2: float, n_points: float, **bounds: Bounds) -> Rival | None:
    """Look outside after a search inside that ended at this chi2 over so many pairs."""
    problem = free_problem(**bounds)
    objective = build_objective(data, problem, dataset_sigma(data))
    report = SearchReport(256, 8, 1, chi2, None, n_points)  # type: ignore[arg-type]
    coordinates = fit_coordinates(problem, objective.free, data.t)
    return axis_beyond_bounds(
        data, problem, objective, coordinates, Search(RESOLVED, RESOLVED, report)
    )


def test_an_axis_outside_counts_where_it_takes_off_much_of_the_misfit(
    turned: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of what chi2 is above the pairs, at least 100, and that above a tenth of them."""
    monkeypatch.setattr(policy, "SCREENED", 64)
    monkeypatch.setattr(policy, "REFINED", 2)
    found = beyond(turned, 1e7, 1.0)
    assert found is not None
    lowest = 1e7 + found.chi2_above
    count = len(decimated_frames(60))
    assert lowest == pytest.approx(5 * count * (count - 1) / 2, rel=0.1)
    phi0 = found.values["phi0"]
    assert abs((phi0 - RESOLVED[6] - TURNED + 90.0) % 180.0 - 90.0) < 5.0
    # The rule in chi2 inside, pairs and whether the axis outside counts.
    for chi2, n_points, counts in (
        (1.15 * lowest, lowest, True),
        (1.12 * lowest, 1.04 * lowest, False),
        (lowest / 0.96, 0.5 * lowest / 0.96, False),
        (lowest / 0.94, 0.5 * lowest / 0.94, True),
        (lowest + 90.0, (lowest + 90.0) / 1.101, False),
        (lowest + 110.0, (lowest + 110.0) / 1.101, True),
    ):
        rival = beyond(turned, chi2, n_points)
        assert (rival is not None) == counts, (chi2, n_points)
        if rival is not None:
            assert chi2 + rival.chi2_above == pytest.approx(lowest, abs=1.0)


def test_an_axis_is_outside_of_the_bounds_or_none(
    turned: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is outside of half a turn, and a descent that comes back inside counts for none."""
    monkeypatch.setattr(policy, "SCREENED", 64)
    monkeypatch.setattr(policy, "REFINED", 2)
    assert beyond(turned, 1e7, 1.0, phi0=Bounds(-90.0, 90.0)) is None
    narrow = Bounds(-60.0, -40.0)
    outside = beyond(turned, 1e7, 1.0, phi0=narrow)
    assert outside is not None
    assert not narrow.lower <= outside.values["phi0"] <= narrow.upper
    straight = replace(turned, phi=turned.phi - TURNED)
    assert beyond(straight, 1e7, 1.0) is None
