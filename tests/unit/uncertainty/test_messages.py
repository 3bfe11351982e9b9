"""What a summary says of an end, and of parameters that are held, at a bound or where they were."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from homodyne_cli.core.minimise.global_search import Search
from homodyne_cli.core.minimise.state import StopReason
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.uncertainty.covariance import Covariance
from homodyne_cli.core.uncertainty.noisy_fit import NoisyFit
from homodyne_cli.core.uncertainty.summary import _fitted, _message, _Uncertainty
from homodyne_cli.dataset import FloatArray
from homodyne_cli.results import FittedParameter
from tests.support.problems import make_problem

EARLY = ", but one more step would still lower chi2 by 0.2: stopped early"
NOWHERE = ", but every free parameter is at a bound: no minimum inside"


@pytest.mark.parametrize(
    ("stop", "edm", "inside", "said"),
    [
        (StopReason.GTOL, 1e-4, True, ""),
        (StopReason.GTOL, 0.2, True, EARLY),
        (StopReason.FLAT_VALLEY, 0.2, True, ""),
        (StopReason.MAX_ITERATIONS, 5.0, True, ""),
        (StopReason.GTOL, 1e-4, False, NOWHERE),
    ],
)
def test_an_end_is_told_with_what_casts_doubt_on_it(
    stop: StopReason, edm: float, inside: bool, said: str
) -> None:
    fit = cast(NoisyFit, SimpleNamespace(state=SimpleNamespace(stop=stop)))
    assert _message(fit, edm, ("D0",) if inside else ()) == stop.sentence + said


def known_to(variances: FloatArray) -> Covariance:
    none = np.zeros(0)
    return Covariance(np.diag(variances), none, none, (), np.diag(variances))


NAMES = ("D0", "alpha", "beta")
START, END = np.array([1e4, -0.5, 0.1]), np.array([1.2e4, -0.5, 2.0])


def fitted(*, search: bool = False, given: bool = True) -> dict[str, FittedParameter]:
    """D0 moved, alpha did not, beta went to its bound; the others are held."""
    problem = make_problem(start=tuple(np.arange(1.0, 8.0)) if given else None)
    known = _Uncertainty(
        NAMES[:2], known_to(np.array([9e4, 4e-4])), known_to(np.array([1e4, 1e-4])), {"D0": 500.0}
    )
    free = FreeParameters(NAMES, START, np.full(3, -2.0), np.array([1e6, 2.0, 2.0]))
    objective = cast(PairObjective, SimpleNamespace(free=free))
    values = {"D0": 1.2e4, "alpha": -0.5, "D_offset": 300.0, "beta": 2.0}
    led = cast(Search, SimpleNamespace(origin=END)) if search else None
    return {p.name: p for p in _fitted(problem, objective, values, known, led)}


def test_parameters_have_both_uncertainties() -> None:
    table = fitted()
    assert list(table) == ["D0", "alpha", "D_offset", "beta"]
    d0, alpha, held, at_bound = table.values()
    assert (d0.uncertainty, d0.uncertainty_hessian) == pytest.approx((300.0, 100.0))
    assert (alpha.uncertainty, alpha.uncertainty_hessian) == pytest.approx((0.02, 0.01))
    assert d0.uncertainty_unbounded == 500.0
    assert np.isnan(alpha.uncertainty_unbounded)
    assert (held.uncertainty, held.uncertainty_hessian) == (0.0, 0.0)
    assert np.isnan([at_bound.uncertainty, at_bound.uncertainty_hessian]).all()
    assert [p.fixed for p in table.values()] == [False, False, True, False]
    assert [p.at_bound for p in table.values()] == [False, False, False, True]
    assert [p.unmoved for p in table.values()] == [False, True, False, False]
    assert [p.initial for p in table.values()] == [1e4, -0.5, 300.0, 0.1]


@pytest.mark.parametrize(
    ("search", "given", "initial"),
    [(True, False, 1.2e4), (True, True, 1e4), (False, False, 1e4)],
)
def test_a_search_without_a_start_began_where_it_found_one(
    search: bool, given: bool, initial: float
) -> None:
    d0 = fitted(search=search, given=given)["D0"]
    assert d0.initial == initial
    assert d0.unmoved == (initial == 1.2e4)
