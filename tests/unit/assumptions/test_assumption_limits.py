"""Assumptions on flow and instrument: patterns in closed form, and each limit from both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy import stats

from homodyne_cli.core.assumptions import assumptions, flow
from homodyne_cli.core.assumptions.assumptions import (
    _impossible_speckles,
    _of_weights,
    _white,
    broken_assumptions,
)
from homodyne_cli.core.assumptions.flow import (
    _amplitudes,
    _beat_patterns,
    _distance,
    _second,
    _strain_pattern,
    _unequal,
    flow_findings,
)
from homodyne_cli.core.assumptions.instrument import FittedCurves, instrument_findings
from homodyne_cli.core.checks.angle_maps import AngleMaps, FittedModel, MergedFrames
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.pair_model import pair_model
from homodyne_cli.core.noise.covariance_operator import SpeckleCovariance
from homodyne_cli.core.noise.score_tests import AngleScores, Scores
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate, white_noise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.noise_report import NoiseReport
from homodyne_cli.parameters import NAMES
from homodyne_cli.problem import Setup
from homodyne_cli.results import Solution
from tests.support.datasets import make_dataset
from tests.support.problems import make_problem

M = 100.0
PHI = np.array([2.0, 40.0, 85.0])
STEADY = np.array([300.0, 0.0, 0.0, 3e-4, 0.0, 0.0, 2.0])
CONTRAST = np.array([0.3, 0.25, 0.35])
DATA = make_dataset(41, 3, parameters=STEADY, phi=PHI, noise=0.02)


def solution(parameters: FloatArray = STEADY) -> Solution:
    values = dict(zip(NAMES, parameters.tolist(), strict=False))
    return Solution(values, CONTRAST, np.ones(3))


def fitted_model(parameters: FloatArray = STEADY) -> FittedModel:
    problem = make_problem("laminar_flow" if len(parameters) == 7 else "static")
    return FittedModel.of(DATA, problem, solution(parameters))


@pytest.mark.parametrize("angle", [0, 1, 2])
def test_patterns_are_those_of_closed_forms(angle: int) -> None:
    """Of a steady flow, over frames merged in twos: their middles are as far apart."""
    model, merged = fitted_model(), MergedFrames.of(DATA.t, 21)
    pairs = pair_model(merged.curves(model.curves), angle, "he2024")
    maps = cast("AngleMaps", SimpleNamespace(pairs=pairs))
    lag = 0.2 * np.abs(np.subtract.outer(np.arange(20), np.arange(20)))
    h = 0.5 * 0.0054 * 2e6 * np.cos(np.deg2rad(2.0 - PHI[angle])) * 3e-4 * lag
    decay, step = np.exp(-0.5 * 0.0054**2 * 300.0 * lag), 1e-5

    def contrast_of(factor: float) -> FloatArray:
        return np.asarray(CONTRAST[angle] * (decay * np.sinc(factor * h / np.pi)) ** 2)

    (strain,) = _strain_pattern(model, merged, maps, angle)
    expected = (contrast_of(1.0 + step) - contrast_of(1.0 - step)) / (2.0 * step)
    np.testing.assert_allclose(strain, expected, atol=1e-9)
    beats = _beat_patterns(model, merged, maps, angle, sheared=True)
    g1 = CONTRAST[angle] * decay * np.sinc(h / np.pi)
    # Seen from the middle of the gap, a quarter of the wall's motion behind it, and with it.
    np.testing.assert_allclose(beats, [g1 * np.cos(0.25 * 2.0 * h), g1], atol=1e-9)
    static = _beat_patterns(model, merged, maps, angle, sheared=False)
    np.testing.assert_allclose(static, [g1], atol=1e-9)


def scores_of(pattern: FloatArray, column: FloatArray, places: list[int]) -> AngleScores:
    """Uncorrelated patterns that the fit does not absorb, of information one."""
    b, k = len(pattern), len(column)
    return AngleScores(
        pattern, column, np.zeros((b, k)), np.diag(np.arange(1.0, k + 1.0)),
        np.eye(b + k), np.ones(b), np.array(places),
    )  # fmt: skip


def test_the_distance_is_what_a_step_of_all_angles_lowers_chi2_by() -> None:
    angles = [
        scores_of(np.zeros(1), np.array([0.3, -0.2]), [0, 1]),
        scores_of(np.zeros(1), np.array([0.1, 0.4, 0.5]), [0, 2, 3]),
    ]
    # Unknown 0 has 1 + 1 of information and 0.4 of slope, the others 2, 2 and 3.
    expected = M * (0.4**2 / 2.0 + 0.2**2 / 2.0 + 0.4**2 / 2.0 + 0.5**2 / 3.0)
    assert _distance(angles, M) == pytest.approx(expected)


def scores(amplitude: float, pull: float, others: tuple[float, ...] = (0.0, 0.0)) -> Scores:
    """Three patterns: others' pulls, of amplitudes far larger, and one of both given."""
    root = pull / (M * amplitude)
    values = np.array([0.01 * others[0], pull * root, 0.01 * others[1]])
    return Scores(values, np.diag([1e-4, root**2, 1e-4]), np.ones(3))


def test_amplitudes_are_scores_over_their_information() -> None:
    one = scores(0.03, 6.0, (1.0, -2.0))
    np.testing.assert_allclose(_amplitudes(one, M), [1.0, 0.03, -2.0])
    absorbed = Scores(np.ones(2), np.diag([0.0, 1.0]), np.ones(2))
    np.testing.assert_allclose(_amplitudes(absorbed, M), [0.0, 0.01])


#: Pull that three patterns exceed by the chance of a false alarm.
LIMIT = float(np.sqrt(stats.chi2.isf(0.005, 3)))


@pytest.mark.parametrize(
    ("amplitude", "pull", "unequal", "second"),
    [
        (0.0201, 6.0, True, True),
        (-0.0201, -6.0, True, True),
        (0.0199, 6.0, False, True),
        (-0.0199, -6.0, False, True),
        (0.0051, 6.0, False, True),
        (0.0049, 6.0, False, False),
        (0.5, 1.001 * LIMIT, True, True),
        (0.5, 0.999 * LIMIT, False, False),
    ],
)
def test_findings_on_the_flow_need_chance_and_size(
    amplitude: float, pull: float, unequal: bool, second: bool
) -> None:
    one = scores(amplitude, pull)
    strains = list(_unequal(one, DATA, M))
    assert [f.code for f in strains] == [Code.UNEQUAL_SHEAR] * unequal
    if unequal:
        words = f"{DATA.place(1)} sees {amplitude:+.1%} of it ({pull:+.1f} sigma; limit 2%"
        assert words in strains[0].message
    beats = list(_second(one, M))
    assert [f.code for f in beats] == [Code.SECOND_COMPONENT] * second
    if second:
        words = f"pattern of {abs(amplitude):.1%} of the contrast"
        assert words in beats[0].message
        assert f"({abs(pull):.1f} sigma; limit 0.5%" in beats[0].message


@pytest.mark.parametrize(
    ("distance", "n_phi", "parameters", "codes"),
    [
        (14.9, 3, 7, [Code.UNEQUAL_SHEAR, Code.SECOND_COMPONENT]),
        (15.1, 3, 7, []),
        (0.0, 1, 7, [Code.SECOND_COMPONENT]),
        (0.0, 3, 3, [Code.SECOND_COMPONENT]),
    ],
)
def test_the_flow_is_asked_near_the_minimum(
    distance: float, n_phi: int, parameters: int, codes: list[Code],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The first pattern angle by angle, the others summed over them."""
    n = 161
    data = make_dataset(n, n_phi, parameters=STEADY, phi=PHI[:n_phi], noise=0.02)
    problem = make_problem("laminar_flow" if parameters == 7 else "static")
    values = dict(zip(NAMES, STEADY[:parameters].tolist(), strict=False))
    model = FittedModel.of(data, problem, Solution(values, CONTRAST[:n_phi], np.ones(n_phi)))
    counts = []

    def scripted(
        _: object, __: object, ___: object, merged: MergedFrames, angle: int
    ) -> SimpleNamespace:
        assert (merged.size, len(merged.t)) == (2, 80)
        pairs = pair_model(merged.curves(model.curves), angle, "he2024")

        def of(patterns: FloatArray) -> AngleScores:
            counts.append(len(patterns))
            strain = 6.0 * (-1.0) ** angle
            slope = np.sqrt(distance / M / n_phi)
            column = np.array([slope])
            return scores_of(np.array([strain, *[5.0] * (len(patterns) - 1)]), column, [angle])

        return SimpleNamespace(pairs=pairs, scores=of)

    monkeypatch.setattr(flow, "angle_maps", scripted)
    noise = replace(white_noise(n_phi), n_speckles=M)
    residuals = Residuals(data, data.array, np.full(n_phi, 0.02))
    findings = list(flow_findings(residuals, model, noise))
    assert [f.code for f in findings] == codes
    assert counts == [3 if parameters == 7 else 2] * n_phi
    if Code.UNEQUAL_SHEAR in codes:
        # An amplitude is a score over information, which is one.
        assert f"{DATA.place(0)} sees +600.0%" in findings[0].message
    if codes:
        # Summed over the angles, scores and information alike.
        assert "pattern of 500.0% of the contrast" in findings[-1].message


def test_white_noise_is_that_of_many_speckles() -> None:
    """w / sqrt(M) is sigma, and so large against the contrast that nothing else counts."""
    sigma = np.array([0.02, 0.05, 0.03])
    residuals = Residuals(DATA, DATA.array, sigma)
    noise = _white(residuals, fitted_model())
    np.testing.assert_allclose(noise.photon_noise / np.sqrt(noise.n_speckles), sigma)
    assert noise.photon_noise.min() == pytest.approx(1e6 * CONTRAST.max())
    np.testing.assert_array_equal(noise.share, np.ones(3))
    g1 = np.ones((4, 4))
    for a, w in enumerate(noise.photon_noise.tolist()):
        assert SpeckleCovariance(g1, float(CONTRAST[a]), w, 1.0, g1 - np.eye(4)).is_white


def curves(**changes: FloatArray) -> FittedCurves:
    fit = FittedCurves.of(DATA, make_problem(), solution())
    return replace(fit, curves=replace(fit.curves, **changes))


def in_steps(n_steps: int, size: float) -> FloatArray:
    """A curve that stands still but in the last of its 40 steps."""
    steps = np.zeros(40)
    steps[40 - n_steps :] = size
    return np.concatenate([[0.0], np.cumsum(steps)])


def codes_of(fit: FittedCurves, setup: Setup) -> dict[Code, str]:
    fit = replace(fit, problem=replace(fit.problem, setup=setup))
    return {f.code: f"{f.severity}: {f.message}" for f in instrument_findings(fit)}


@pytest.mark.parametrize(("steps", "size", "told"), [(3, 1.01, True), (2, 9.0, False),
                                                     (3, 0.99, False)])  # fmt: skip
@pytest.mark.parametrize("exposure", [None, 0.05, 0.1, 0.7])
def test_blur_of_one_percent_in_a_twentieth_of_the_frames(
    steps: int, size: float, told: bool, exposure: float | None
) -> None:
    """(Gamma e)^2 / 12; an exposure is no longer than a frame, and as long where none is given."""
    share = min((exposure or 0.1) / 0.1, 1.0)
    rate = size * np.sqrt(12.0 * 0.01) / share / 0.0054**2
    fit = curves(transport=in_steps(steps, rate), strain=np.zeros(41))
    findings = codes_of(fit, Setup(exposure=exposure))
    assert (Code.BLUR in findings) == told
    if told:
        words = findings[Code.BLUR]
        assert words.startswith("warning" if exposure else "note")
        assert f"exposure of {share * 0.1:.3g} s" in words
        assert ("exposure is not given" in words) == (exposure is None)
        assert f"in {3 / 40:.0%} of the frames (up to t = {DATA.t[39]:.3g} s; at most 1%)" in words


@pytest.mark.parametrize(("steps", "size", "told"), [(3, 1.01, True), (2, 9.0, False),
                                                     (3, 0.99, False)])  # fmt: skip
def test_lobes_half_of_one_apart_in_a_twentieth_of_the_frames(
    steps: int, size: float, told: bool
) -> None:
    """At angles where kappa is large enough; the direction of the flow does not matter."""
    per_strain = 0.5 * 0.0054 * 2e6
    fit = curves(strain=-in_steps(steps, size * 0.5 * np.pi / per_strain))
    expected = np.abs(np.cos(np.deg2rad(2.0 - PHI)))[:, None] * size * 0.5 * np.pi
    np.testing.assert_allclose(fit.phase_steps[:, 40 - steps :], expected * np.ones((3, steps)))
    findings = codes_of(fit, Setup(exposure=1e-4))
    assert (Code.ALIASED in findings) == told
    if told:
        assert f"up to {size / 2.0:.2g} lobes) at 1 of 3 angles" in findings[Code.ALIASED]


def test_frames_that_are_looked_at_lie_denser_at_the_beginning() -> None:
    t, c2 = np.linspace(0.1, 100.0, 1000), np.zeros((3, 1000, 1000), dtype=np.float32)
    for fit in (curves(), replace(curves(), dataset=replace(DATA, t=t, c2=c2))):
        n = fit.dataset.n_frames
        most = min(n, 150)
        expected = sorted({int(n ** (k / (most - 1.0)) + 1e-9) - 1 for k in range(most)})
        assert fit.frames.tolist() == expected


def test_photons_and_speckles_of_a_fit_are_taken_from_its_weights() -> None:
    weights = SimpleNamespace(photon_noise=(0.2, 0.4), n_speckles=(300.0, 450.0), modes=2.0,
                              excess=0.7)  # fmt: skip
    report = NoiseReport(n_speckles=300.0, n_speckles_error=12.0)
    noise: SpeckleEstimate = _of_weights(report, weights)  # type: ignore[arg-type]
    assert (noise.n_speckles, noise.n_speckles_error) == (300.0, 12.0)
    assert (noise.modes, noise.excess) == (2.0, 0.7)
    np.testing.assert_array_equal(noise.photon_noise, [0.2, 0.4])
    np.testing.assert_array_equal(noise.of_angles, [300.0, 450.0])


@pytest.mark.parametrize(
    ("contrast", "sigma", "d0", "asked"),
    [
        (1.0, 0.02, 300.0, ["instrument", "flow"]),
        (1.01, 0.02, 300.0, ["instrument"]),
        (0.0, 0.02, 300.0, ["instrument"]),
        (0.3, 0.0, 300.0, ["instrument"]),
        (0.3, 0.02, float("nan"), []),
    ],
)
def test_what_has_no_noise_or_no_contrast_is_not_asked(
    contrast: float, sigma: float, d0: float, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []

    def question(name: str) -> Callable[..., tuple[()]]:
        def ask(*_: object) -> tuple[()]:
            questions.append(name)
            return ()

        return ask

    for name in ("instrument", "flow"):
        monkeypatch.setattr(assumptions, f"{name}_findings", question(name))
    data: Dataset = replace(DATA, findings=())
    one = replace(solution(np.array([d0, *STEADY[1:]])), contrast=np.array([0.3, contrast, 0.3]))
    told = broken_assumptions(
        data, make_problem(), one, np.array([0.02, sigma, 0.02]),
        NoiseReport(float("inf")), counted=True,
    )  # fmt: skip
    assert list(told) == []
    assert questions == asked


@pytest.mark.parametrize(("pixels", "told"), [(909.0, True), (911.0, False), (None, False)])
def test_more_speckles_than_pixels_beyond_three_errors(pixels: float | None, told: bool) -> None:
    """Of the angles' mean pixels."""
    each = None if pixels is None else pixels + np.array([-500.0, 0.0, 500.0])
    noise = replace(white_noise(3), n_speckles=1000.0, n_speckles_error=30.0)
    findings = list(_impossible_speckles(replace(DATA, pixels=each), noise))
    assert [f.code for f in findings] == [Code.TOO_MANY_SPECKLES] * told
    unknown = replace(noise, n_speckles_error=float("nan"))
    assert list(_impossible_speckles(replace(DATA, pixels=each), unknown)) == []
