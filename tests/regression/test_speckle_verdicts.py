"""Verdicts on drawn speckles; benchmarks/speckle_verdicts.py is the long version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.assessments import CheckResult
from homodyne_cli.core.checks.checklist import CheckInputs, run_checks
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset
from homodyne_cli.parameters import NAMES
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs

TRUTH = np.array([8000.0, -0.3, 0.0, 1e-3, -0.25, 0.0, 4.0])
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
EXPERIMENT = Experiment(TRUTH, np.array([0.0, 40.0, 90.0]), 60, 0.0054, 2e6, 0.1, 0.3, 1.0)
#: Two photons per speckle and frame.
NOISE = Noise(speckles=1500, counts=2.0)


def data_of(seed: int) -> Dataset:
    return simulate(EXPERIMENT, NOISE, seed).dataset


def checked(data: Dataset, fixed: Mapping[str, float] = HELD) -> tuple[CheckInputs, CheckResult]:
    """Fit from the truth; return what checks look at and the verdict on residuals."""
    inputs = fitted_inputs(data, make_problem(start=tuple(TRUTH), fixed=fixed))
    return inputs, next(c for c in run_checks(inputs) if c.id == "residuals")


def test_right_fits_to_speckles_pass_and_the_noise_is_known() -> None:
    speckles, photons = [], []
    for seed in range(4):
        inputs, _ = checked(data_of(seed))
        assert inputs.speckles is not None
        failed = [c.message for c in run_checks(inputs) if c.id in ("chi_squared", "residuals")
                  and c.status != "pass"]  # fmt: skip
        assert failed == []
        noise = inputs.speckles.noise
        # Four standard errors of its own.
        assert abs(noise.n_speckles - 1500.0) < 4.0 * noise.n_speckles_error
        speckles.append(noise.n_speckles)
        photons.append(np.mean(1.0 / noise.photon_noise))
    assert np.mean(speckles) == pytest.approx(1500.0, rel=0.15)
    assert np.mean(photons) == pytest.approx(2.0, rel=0.1)


def test_a_smooth_misfit_fails_chi2_and_not_residuals() -> None:
    inputs, _ = checked(data_of(0))
    verdict = inputs.speckles
    assert verdict is not None
    for effect, status in ((3.0, "fail"), (0.1, "warn")):
        loud = replace(verdict.smooth, p_value=1e-9, effect=effect)
        patterns = (loud, *verdict.peculiar)
        results = run_checks(replace(inputs, speckles=replace(verdict, patterns=patterns)))
        statuses = {c.id: c.status for c in results}
        assert (statuses["chi_squared"], statuses["residuals"]) == (status, "pass")
        assert "pattern of" in results[1].message


def test_frames_that_were_lost_are_named() -> None:
    data = data_of(9)
    c2 = np.array(data.c2)
    for frame in (19, 41):
        c2[:, frame, :] += 0.02
        c2[:, :, frame] += 0.02
    _, residuals = checked(replace(data, c2=c2))
    assert residuals.status == "fail"
    # t is counted from k = 1.
    assert "frames 20, 42" in residuals.message
    assert "bad_frames" in residuals.advice


def test_a_wrong_exponent_is_caught() -> None:
    """D falls to a fifth over the window, and is fitted as constant."""
    steep = replace(EXPERIMENT, parameters=np.array([8000.0, -0.8, 0.0, 1e-3, -0.25, 0.0, 4.0]))
    data = simulate(steep, NOISE, 3).dataset
    inputs, _ = checked(data, {**HELD, "alpha": 0.0})
    statuses = {c.id: c.status for c in run_checks(inputs)}
    assert "fail" in (statuses["chi_squared"], statuses["residuals"])


def test_white_noise_is_judged_as_before() -> None:
    inputs, residuals = checked(simulate(EXPERIMENT, Noise(white=0.02), 1).dataset)
    assert inputs.speckles is None
    assert residuals.status == "pass"


def test_a_map_that_sees_no_flow_is_judged_all_the_same() -> None:
    """At right angles to the flow no pattern of the shear rate has any effect."""
    blind = simulate(replace(EXPERIMENT, phi=np.array([94.0])), NOISE, 2).dataset
    flow = ("gamma_dot_t0", "beta", "phi0")
    held = {name: value for name, value in zip(NAMES, TRUTH.tolist(), strict=True) if name in flow}
    _, residuals = checked(blind, {**HELD, **held})
    assert residuals.status == "pass"
    assert "beyond the noise of" in residuals.message
