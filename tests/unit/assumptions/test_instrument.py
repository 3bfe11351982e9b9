"""What blur, width of q and transit are said to do, against averages of closed forms."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.assumptions.instrument import FittedCurves, instrument_findings
from homodyne_cli.dataset import FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.parameters import NAMES, AnalysisMode
from homodyne_cli.problem import FitProblem, Setup
from homodyne_cli.results import Solution
from tests.support.datasets import make_dataset
from tests.support.problems import make_problem

Q, GAP, DT, FRAMES = 0.0054, 2e6, 0.1, 40
PHI = np.array([2.0, 62.0])


def told(parameters: FloatArray, setup: Setup) -> dict[Code, str]:
    """Ask about a fit that has found these parameters."""
    data = make_dataset(FRAMES, 2, parameters=parameters, phi=PHI, noise=0.0)
    assert (data.dt, data.q[0], data.gap) == (DT, Q, GAP)
    mode: AnalysisMode = "laminar_flow" if len(parameters) == 7 else "static"
    problem: FitProblem = replace(make_problem(), mode=mode, setup=setup)
    values = dict(zip(NAMES, parameters.tolist(), strict=False))
    solution = Solution(values, np.full(2, 0.3), np.ones(2))
    found = instrument_findings(FittedCurves.of(data, problem, solution))
    return {finding.code: finding.message for finding in found}


def percent(message: str, before: str) -> float:
    """Return the figure in percent after some words."""
    match = re.search(re.escape(before) + r" ([\d.]+)%", message)
    assert match is not None, message
    return float(match.group(1))


@pytest.mark.parametrize("exposure", [0.1, 0.05])
def test_blur_is_the_average_over_two_exposures(exposure: float) -> None:
    """Of a rate that falls as 1/t: exp(-d |u|) over two exposures is sinh^2(d/2) / (d/2)^2."""
    t = DT * np.arange(1, FRAMES + 1)
    depth = 2.0 * np.diff(np.log(t)) * exposure / DT
    effect = (np.sinh(depth / 2.0) / (depth / 2.0)) ** 2 - 1.0
    blurred = effect - np.median(effect) > 0.01
    messages = told(np.array([2.0 / Q**2, -1.0, 0.0]), Setup(exposure=exposure))
    if np.mean(blurred) < 0.05:
        assert messages == {}
        return
    message = messages[Code.BLUR]
    assert f"in {np.mean(blurred):.0%} of the frames" in message
    assert f"up to t = {t[np.flatnonzero(blurred)[-1]]:.3g} s" in message
    # Second order alone is told: a twelfth less where it is 17%.
    assert percent(message, "at most") == pytest.approx(100.0 * effect.max(), rel=0.1)


def test_blur_of_the_shear_factor() -> None:
    """sinc(x)^2 falls by x^2 / 3, and x^2 is larger by a sixth of a step's square on average."""
    steady = np.array([1e-3, 0.0, 0.0, 1e-3, -1.0, 0.0, 2.0])
    t = DT * np.arange(1, FRAMES + 1)
    step = 0.5 * Q * GAP * 1e-3 * np.diff(np.log(t))
    effect = step**2 / 3.0 / 6.0
    assert effect.max() > 0.3
    message = told(steady, Setup(exposure=DT))[Code.BLUR]
    assert f"in {np.mean(effect - np.median(effect) > 0.01):.0%} of the frames" in message
    assert percent(message, "at most") == pytest.approx(100.0 * effect.max(), abs=0.6)


@pytest.mark.parametrize(("width", "rate"), [(0.15, 0.0), (0.3, 0.0), (0.3, 3e-4)])
def test_a_wide_ring_averages_over_q(width: float, rate: float) -> None:
    """Of exp(-q^2 d) sinc(q s)^2 at all lags that frames have; the worst of the angles."""
    decay, lag = 0.4, DT * np.arange(FRAMES)
    # The second angle is at 60 degrees to the flow.
    per_q = 0.5 * GAP * rate * lag * np.array([[1.0], [0.5]])

    def f(q: float) -> FloatArray:
        falls = np.exp(-((q / Q) ** 2) * decay * lag)
        return np.asarray(falls * np.sinc(q * per_q / np.pi) ** 2)

    ring = Q * (1.0 + width * (np.arange(2001) - 1000.0) / 2000.0)
    bent = np.abs(np.mean([f(q) for q in ring.tolist()], axis=0) - f(Q)).max()
    setup = Setup(exposure=1e-3, q_width=width * Q)
    flow = [rate, 0.0, 0.0, 2.0] if rate else []
    messages = told(np.array([decay / Q**2, 0.0, 0.0, *flow]), setup)
    if bent <= 0.01:
        assert messages == {}
    else:
        assert percent(messages[Code.Q_WIDTH], "by up to") == pytest.approx(100 * bent, abs=0.06)
        assert f"{width:.1%} of q wide" in messages[Code.Q_WIDTH]


@pytest.mark.parametrize("beam", [4e3, 4e5])
def test_transit_is_the_overlap_of_the_beam_with_itself_displaced(beam: float) -> None:
    """Gaussian of standard deviation b: exp(-d^2 / 8 b^2), d^2 a third of the largest on average.

    At an angle across the flow, where the sinc is nearly one and diffusion slow.
    """
    rate, decay = 1e-3, 0.01
    across = np.array([decay / Q**2, 0.0, 0.0, rate, 0.0, 0.0, 2.0])
    b = beam / (8.0 * np.log(2.0)) ** 0.5
    lag = DT * np.arange(FRAMES)
    overlap = np.exp(-((GAP * rate * lag) ** 2) / 3.0 / (8.0 * b**2)) ** 2
    x = 0.5 * Q * GAP * rate * lag * np.cos(np.deg2rad(2.0 - PHI))[:, None]
    f = np.exp(-decay * lag) * np.sinc(x / np.pi) ** 2
    effect = float((f * (1.0 - overlap)).max())
    messages = told(across, Setup(exposure=1e-3, beam_size=beam))
    if effect <= 0.01:
        assert Code.TRANSIT not in messages
    else:
        transit = percent(messages[Code.TRANSIT], "takes up to")
        assert transit == pytest.approx(100.0 * effect, abs=0.1)


@pytest.mark.parametrize(("rate", "aliased"), [(2.8e-3, False), (3.0e-3, True)])
def test_lobes_are_sampled_up_to_half_of_one(rate: float, aliased: bool) -> None:
    """A steady flow along the first of two angles: q L rate dt / 2 against pi / 2."""
    steady = np.array([1e-3, 0.0, 0.0, rate, 0.0, 0.0, 2.0])
    assert (0.5 * Q * GAP * rate * DT > np.pi / 2.0) == aliased
    messages = told(steady, Setup(exposure=1e-3))
    assert (Code.ALIASED in messages) == aliased
    if aliased:
        lobes = 0.5 * Q * GAP * rate * DT / np.pi
        assert f"up to {lobes:.2g} lobes) at 1 of 2 angles" in messages[Code.ALIASED]
