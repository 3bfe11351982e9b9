"""The global stage: no start needed, the same minimum, few passes over all data."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import PairTiles, pack
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, PassSpec
from homodyne_cli.core.gram_pass.passes import Pairs, evaluate
from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.global_search import decimated_frames, draw_starts
from homodyne_cli.core.minimise.state import StopReason
from homodyne_cli.core.objective import pair_objective
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.errors import ConfigError
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem

DATA = make_dataset(200, 3, seed=11)
#: Angles, frames, seed, and passes with derivatives over all pairs that a fit with the global stage
#: may take (docs/performance.md). Measured: 6 and 4.
PASSES = [(3, 200, 11, 8), (23, 1000, 0, 5)]
#: Five of the seven are untouched start values; plain descents from here end elsewhere.
QUOTED = (400.758, -0.014, -0.674271, 0.003, -0.909, 0.0, -0.0452923)


def test_no_start_values_lead_to_the_truth_and_the_report_says_how() -> None:
    result = fit(DATA, make_problem(start=None))
    sigma = np.array([p.uncertainty for p in result.parameters])
    assert result.converged
    assert np.all(np.abs(result.values - PUBLISHED) < 5 * sigma)
    report = result.search
    assert report is not None
    assert 1 <= report.reached <= report.refined
    assert report.runner_up is None or report.runner_up > report.chi2
    count = len(decimated_frames(200))
    assert report.n_points == 3 * count * (count - 1) // 2


def test_search_ends_where_a_plain_descent_from_the_truth_does() -> None:
    """To a millionth of an uncertainty: the path must not show in the answer."""
    searched = fit(DATA, make_problem(start=QUOTED, global_search=True))
    plain = fit(DATA, make_problem(start=tuple(PUBLISHED)))
    sigma = np.array([p.uncertainty for p in plain.parameters])
    assert searched.search is not None
    assert plain.search is None
    assert np.all(np.abs(searched.values - plain.values) < 1e-6 * sigma)


def test_the_last_step_needs_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters and scaling to a millionth of an uncertainty."""
    data, problem = make_dataset(500, 9, seed=2), make_problem(start=None)
    quick = fit(data, problem)
    monkeypatch.setattr(policy, "EDM_CERTAIN", 0.0)
    looked = fit(data, problem)
    assert looked.evaluations == quick.evaluations + 1
    sigma = np.array([p.uncertainty for p in looked.parameters])
    assert np.all(np.abs(quick.values - looked.values) < 1e-6 * sigma)
    for name in ("contrast", "offset"):
        apart = np.abs(getattr(quick, name) - getattr(looked, name))
        assert np.all(apart < 1e-6 * getattr(looked, f"{name}_uncertainty"))
    assert quick.chi2 == pytest.approx(looked.chi2, rel=1e-12)


def test_starts_cover_what_the_window_can_show() -> None:
    """Rates at mid-window, from a slow decay over all of it to a fast one within a frame.

    The offset has between minus a quarter and three quarters of the rate.
    """
    wide = np.full(7, 1e12)
    names = ("D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0")
    lower = -wide.copy()
    lower[[1, 4]], wide[[1, 4]] = -2.0, 2.0
    starts = draw_starts(DATA, FreeParameters(names, np.zeros(7), lower, wide), 256, 1)
    middle = float(np.sqrt(DATA.t[0] * DATA.t[-1]))
    window, q = float(DATA.t[-1]), 0.0054
    for k, per_rate, least in ((0, q**2, 0.1), (3, q * 2e6, 1.0)):
        exponent, offset = starts[:, k + 1], starts[:, k + 2]
        rate = starts[:, k] * middle**exponent + offset
        # The ends are reached but for a tenth of the logarithm.
        reach = np.log([least / window, 10.0 * least / DATA.dt])
        drawn = np.log(per_rate * rate)
        tenth = 0.1 * (reach[1] - reach[0])
        assert reach[0] - 1e-9 <= drawn.min() <= reach[0] + tenth
        assert reach[1] - tenth <= drawn.max() <= reach[1] + 1e-9
        share = offset / rate
        assert -0.25 <= share.min() < -0.15
        assert 0.65 < share.max() <= 0.75
        assert 1.4 < np.abs(exponent).max() <= 1.5


def test_the_search_is_reproducible() -> None:
    one, other = (fit(DATA, make_problem(start=None)) for _ in range(2))
    assert np.array_equal(one.values, other.values)
    assert one.search == other.search


def test_given_values_are_one_of_the_starts() -> None:
    """They are refined beside the drawn ones, whatever their rank."""
    given = fit(DATA, make_problem(start=QUOTED, global_search=True)).search
    drawn = fit(DATA, make_problem(start=None)).search
    assert given is not None
    assert drawn is not None
    assert given.refined == drawn.refined + 1


def test_search_switched_off_needs_start_values() -> None:
    problem = make_problem(start=None)
    problem = dataclasses.replace(problem, solver=SolverOptions(global_search=False))
    with pytest.raises(ConfigError, match="global search is off"):
        fit(DATA, problem)


@pytest.mark.parametrize(
    ("option", "reason"), [("xtol", StopReason.XTOL), ("gtol", StopReason.GTOL)]
)
def test_tolerances_that_are_chosen_end_the_fit_after_the_search(
    option: Literal["xtol", "gtol"], reason: StopReason
) -> None:
    """So loose that the first step, or the first look, is the last."""
    loose = {"xtol": SolverOptions(xtol=0.5), "gtol": SolverOptions(gtol=1e9)}[option]
    result = fit(DATA, make_problem(start=None, solver=loose))
    assert result.status == reason
    assert reason.sentence in result.message
    tight = {"xtol": SolverOptions(xtol=1e-12), "gtol": SolverOptions(gtol=1e-12)}[option]
    default = fit(DATA, make_problem(start=None))
    sigma = np.array([p.uncertainty for p in default.parameters])
    other = fit(DATA, make_problem(start=None, solver=tight))
    assert np.all(np.abs(other.values - default.values) < 1e-6 * sigma)


def test_a_chosen_radius_sets_the_first_step_after_the_search() -> None:
    steps = []
    for scale in (1e-7, 1e-6):
        solver = SolverOptions(max_iterations=1, trust_region_scale=scale)
        steps.append(fit(DATA, make_problem(start=None, solver=solver)).history[1].step_norm)
    assert steps[1] == pytest.approx(10 * steps[0], rel=0.05)


@pytest.mark.parametrize(("angles", "frames", "seed", "most"), PASSES)
def test_a_fit_passes_over_all_data_no_more_often_than_documented(
    angles: int, frames: int, seed: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {True: 0, False: 0}
    whole = angles * frames * (frames - 1) // 2

    def counted(
        tiles: Pairs, kind: PassSpec, parameters: np.ndarray, scaling: None = None
    ) -> AngleGrams:
        if tiles.n_points == whole:
            calls[kind.derivatives] += 1
        return evaluate(tiles, kind, parameters, scaling)

    monkeypatch.setattr(pair_objective, "evaluate", counted)
    data = make_dataset(frames, angles, seed=seed, spread=0.05, single=True)
    result = fit(data, make_problem(start=None))
    assert result.converged
    assert 0 < calls[True] <= most
    assert calls[False] == 0


def shape_of(tiles: PairTiles) -> tuple[int, ...]:
    return next(iter(tiles.chunks)).steps.y.shape


def test_decimated_pairs_in_the_shapes_of_the_whole_give_the_same_sums() -> None:
    frames = decimated_frames(200)
    alone, like = pack(DATA, frames=frames), pack(DATA, frames=frames, like=pack(DATA))
    assert shape_of(like) == shape_of(pack(DATA))
    assert shape_of(alone) != shape_of(like)
    kind = PassSpec("laminar_flow", "he2024")
    one, other = (evaluate(tiles, kind, np.array(PUBLISHED)).gram for tiles in (alone, like))
    np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("n", [10, 50, 51, 60, 200, 1000, 8000])
def test_decimated_frames_are_distinct_and_reach_both_ends(n: int) -> None:
    frames = decimated_frames(n)
    assert len(frames) <= 52
    assert np.all(np.diff(frames) > 0)
    assert frames[0] == 0
    assert frames[-1] == n - 1
    assert len(frames) >= min(n, 35)
