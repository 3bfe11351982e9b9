"""Default bounds hold what the data show; those that were chosen stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.objective.default_bounds import half_decay, with_default_bounds
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters, default_bounds
from tests.support.datasets import RESOLVED, make_dataset

#: 100 nm spheres in water, two Stokes-Einstein coefficients, Å²/s.
WATER = 8.6e8


def in_water(noise: float = 0.01) -> Dataset:
    experiment = Experiment(
        parameters=np.array([WATER, 0.0, 0.0]), phi=np.zeros(1), n_frames=150, q=0.003, gap=None,
        dt=2e-5, contrast=np.full(1, 0.15), offset=np.ones(1), convention="he2024",
    )  # fmt: skip
    return simulate(experiment, Noise(noise), np.random.default_rng(0)).dataset


@pytest.mark.parametrize("lag", [3e-4, 0.02, 5.0])
def test_the_half_way_lag_is_that_of_an_exponential(lag: float) -> None:
    """Bins are even in the logarithm: the answer is good to the width of one."""
    t = np.linspace(0.1, 15.0, 150) * lag
    decay = np.exp(-np.log(2.0) * np.abs(t[:, None] - t) / lag)
    data = make_dataset(150, 1)
    seen = half_decay(replace(data, c2=1.0 + 0.2 * decay[None], t=t))
    assert seen == pytest.approx(lag, rel=0.35)


def test_fast_frames_widen_default_bounds_to_the_fit() -> None:
    fixed = InitialParameters(fixed={"alpha": 0.0, "D_offset": 0.0})
    names = ("D0", "alpha", "D_offset")
    bounds = {name: default_bounds()[name] for name in names}
    result = fit(in_water(), FitProblem("static", bounds=bounds, initial=fixed))
    d0 = result.parameters[0]
    assert result.converged
    assert not d0.at_bound
    assert abs(d0.value - WATER) < 4.0 * d0.uncertainty
    assert d0.uncertainty < 0.02 * WATER


def test_all_three_parameters_are_found_in_fast_frames() -> None:
    bounds = {name: default_bounds()[name] for name in ("D0", "alpha", "D_offset")}
    result = fit(in_water(0.001), FitProblem("static", bounds=bounds))
    assert not any(p.at_bound for p in result.parameters)
    # What the power laws say apart is uncertain; the curve is not.
    middle = len(result.curves.t) // 2
    assert result.curves.transport_coefficient.value[middle] == pytest.approx(WATER, rel=0.05)


def test_what_default_bounds_hold_and_what_was_chosen_stays() -> None:
    usual = FitProblem("laminar_flow")
    data = make_dataset(60, 4, parameters=RESOLVED)
    kept = with_default_bounds(data, usual).bounds
    assert {n: (b.lower, b.upper) for n, b in kept.items()} == {
        n: (b.lower, b.upper) for n, b in usual.bounds.items()
    }
    chosen = FitProblem("static", bounds={**default_bounds(), "D0": Bounds(1.0, 1e6)})
    assert with_default_bounds(in_water(), chosen).bounds["D0"] == Bounds(1.0, 1e6)


def test_a_late_step_is_half_way_where_it_is() -> None:
    """The plateau is what the longest lags show, and nothing before the step has fallen."""
    data = make_dataset(60, 1, noise=0.0)
    lag = np.abs(data.t[:, None] - data.t)
    c2 = np.where(lag < 0.78 * lag.max(), 1.2, 1.0)[None]
    assert half_decay(replace(data, c2=c2)) == pytest.approx(0.9 * lag.max(), rel=0.1)


@pytest.mark.parametrize(("share", "widened"), [(0.65, False), (1.5, True)])
def test_shear_a_decade_inside_its_bounds_leaves_them(share: float, widened: bool) -> None:
    """Bounds end at 0.5 1/s; the half-way lag is good to the width of a bin, a fifth."""
    rate = 0.05 * share
    data = make_dataset(
        150, 1, parameters=np.array([1e2, 0.0, 0.0, rate, 0.0, 0.0, 0.0]), phi=np.zeros(1),
        noise=0.001, dt=5e-4,
    )  # fmt: skip
    bounds = with_default_bounds(data, FitProblem("laminar_flow")).bounds["gamma_dot_t0"]
    assert (bounds.upper > 0.5) is widened
    assert bounds.upper >= 10.0 * rate


@pytest.mark.parametrize("unit", [1.0, 1e7])
def test_bounds_that_are_widened_have_room_for_any_exponent(unit: float) -> None:
    """Three decades beyond the amplitudes with which t^-1.5 and t^1.5 decay in the half-way lag."""
    data, usual = in_water(), {name: default_bounds()[name] for name in ("D0", "alpha", "D_offset")}
    data = replace(data, t=unit * data.t)
    bounds = with_default_bounds(data, FitProblem("static", bounds=usual)).bounds["D0"]
    lag = half_decay(data)
    rate = np.log(2.0) / (data.q[0] ** 2 * lag)
    amplitudes = [rate * lag**-exponent for exponent in (-1.5, 1.5)]
    if bounds.upper > usual["D0"].upper:
        assert bounds.upper == pytest.approx(1e3 * max(amplitudes), rel=1e-9)
    assert (bounds.upper > usual["D0"].upper) == (unit == 1.0)
    assert bounds.lower <= rate / 10.0
    assert bounds.upper >= rate * 10.0
