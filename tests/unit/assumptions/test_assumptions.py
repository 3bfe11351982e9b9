"""Each assumption that is violated in a simulation is told, and none in right fits."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.assumptions import assumptions
from homodyne_cli.core.assumptions.assumptions import broken_assumptions, with_assumptions
from homodyne_cli.core.fit import fit
from homodyne_cli.core.simulation import Experiment, Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.problem import FitProblem, Setup
from tests.support.oracle import signed_g1
from tests.support.problems import make_problem

TRUTH = np.array([8000.0, -0.3, 0.0, 1e-3, -0.25, 0.0, 4.0])
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
#: The exposure is short, the beam wide and the ring narrow.
SETUP = Setup(exposure=0.005, q_width=5.4e-5, beam_size=2.0e6)
EXPERIMENT = Experiment(
    parameters=TRUTH,
    phi=np.array([-20.0, 30.0, 60.0, 110.0]),
    n_frames=60,
    q=0.0054,
    gap=2.0e6,
    dt=0.1,
    contrast=0.5,
    offset=1.0,
)
WHITE = Noise(white=0.02)


def problem(setup: Setup = SETUP) -> FitProblem:
    return replace(make_problem(start=tuple(TRUTH), fixed=HELD), setup=setup)


def findings(data: Dataset, asked: FitProblem) -> dict[Code, Finding]:
    result = fit(data, asked)
    told = broken_assumptions(data, asked, result.solution, result.sigma, result.noise)
    return {finding.code: finding for finding in told}


def findings_of(
    experiment: Experiment, setup: Setup = SETUP, noise: Noise = WHITE
) -> dict[Code, Finding]:
    return findings(simulate(experiment, noise, 3).dataset, problem(setup))


def test_noise_that_the_fit_saw_to_be_white_is_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A component at rest is told all the same, with the same figures."""
    plain = simulate(EXPERIMENT, WHITE, 3).dataset
    data, asked = replace(plain, c2=plain.array + 0.02 * np.cos(plain.t)), problem()
    result = fit(data, asked)
    shown = result.solution, result.sigma, result.noise
    assert not np.isfinite(result.noise.n_speckles)
    looked = list(broken_assumptions(data, asked, *shown))
    monkeypatch.setattr(assumptions, "find_speckles", None)
    assert list(broken_assumptions(data, asked, *shown, counted=True)) == looked


@pytest.mark.parametrize(
    ("noise", "fits"),
    [(WHITE, 14), (Noise(white=0.06), 14), (Noise(speckles=3000, counts=1.0), 6)],
)
def test_none_is_told_in_right_fits(noise: Noise, fits: int) -> None:
    """34 fits; a false alarm is expected in 0.005 of the two score tests each: 0.3 in all."""
    told = []
    for seed in range(fits):
        told += list(findings(simulate(EXPERIMENT, noise, seed).dataset, problem()))
    assert told == []


def test_blur_by_the_exposure() -> None:
    found = findings_of(EXPERIMENT, replace(SETUP, exposure=0.1))
    assert list(found) == [Code.BLUR]
    assert "within one exposure of 0.1 s c2 changes" in found[Code.BLUR].message
    unknown = findings_of(EXPERIMENT, replace(SETUP, exposure=None))[Code.BLUR]
    assert "exposure is not given" in unknown.message
    assert (found[Code.BLUR].severity, unknown.severity) == ("warning", "note")


def test_lobes_between_frames() -> None:
    """10 times the shear: more than a lobe from frame to frame."""
    fast = TRUTH * np.array([0.1, 1.0, 1.0, 15.0, 1.0, 1.0, 1.0])
    experiment = replace(EXPERIMENT, parameters=fast)
    data = simulate(experiment, WHITE, 3).dataset
    asked = replace(make_problem(start=tuple(fast), fixed=HELD), setup=SETUP)
    assert Code.ALIASED in findings(data, asked)


def test_a_wide_ring_and_a_narrow_beam() -> None:
    assert list(findings_of(EXPERIMENT, replace(SETUP, q_width=2.2e-3))) == [Code.Q_WIDTH]
    assert list(findings_of(EXPERIMENT, replace(SETUP, beam_size=3e3))) == [Code.TRANSIT]


def test_angles_that_disagree_on_the_strain() -> None:
    """One of four sees a tenth more of it."""
    data = simulate(EXPERIMENT, WHITE, 5).dataset
    stretched = replace(EXPERIMENT, parameters=TRUTH * np.array([1, 1, 1, 1.1, 1, 1, 1]))
    c2 = data.array.copy()
    c2[1] = simulate(stretched, WHITE, 5).dataset.array[1]
    found = findings(replace(data, c2=c2), problem())
    assert "phi = 30 deg" in found[Code.UNEQUAL_SHEAR].message


@pytest.mark.parametrize("factor", [0.985, 1.015, 0.97, 1.03])
def test_strains_that_differ_by_two_percent_are_told(factor: float) -> None:
    """In little noise; the fit takes a part of the one of four into what all have."""
    quiet = Noise(white=0.002)
    data = simulate(EXPERIMENT, quiet, 5).dataset
    stretched = replace(EXPERIMENT, parameters=TRUTH * np.array([1, 1, 1, factor, 1, 1, 1]))
    c2 = data.array.copy()
    c2[1] = simulate(stretched, quiet, 5).dataset.array[1]
    told = findings(replace(data, c2=c2), problem())
    assert (Code.UNEQUAL_SHEAR in told) == (abs(factor - 1.0) > 0.02)
    if told:
        percent = 0.8 * 100.0 * (factor - 1.0)
        (size,) = re.findall(r"sees ([+-][\d.]+)% of it", told[Code.UNEQUAL_SHEAR].message)
        assert float(size) == pytest.approx(percent, rel=0.2)


def beat_maps(share: float, seed: int) -> FloatArray:
    """Maps of a sample and of something at rest that scatters `share` of the intensity."""
    rng, maps = np.random.default_rng(seed), []
    for phi in EXPERIMENT.phi.tolist():
        e = EXPERIMENT
        g1 = signed_g1(TRUTH, e.t, phi, e.q, e.gap or 0.0, "he2024")
        rate = TRUTH[3] / (1.0 + TRUTH[4])
        strain = rate * e.t ** (1.0 + TRUTH[4])
        kappa = e.q * (e.gap or 0.0) * np.cos(np.deg2rad(TRUTH[6] - phi))
        phase = 0.5 * kappa * (strain[None, :] - strain[:, None])
        field = (1.0 - share) * g1 * np.exp(1j * phase) + share
        noise = 0.01 * np.triu(rng.standard_normal(g1.shape), 1)
        maps.append(1.0 + 0.5 * np.abs(field) ** 2 + noise + noise.T)
    return np.stack(maps)


def test_a_second_component_at_rest() -> None:
    """10% of the intensity, which takes 28% off D0."""
    data = replace(simulate(EXPERIMENT, WHITE, 0).dataset, c2=beat_maps(0.1, 1))
    assert (
        "the beat with a second component"
        in findings(data, problem())[Code.SECOND_COMPONENT].message
    )
    alone = replace(data, c2=beat_maps(0.0, 1))
    assert findings(alone, problem()) == {}


def test_what_was_known_of_the_instrument_stays_known() -> None:
    """A run does not keep the width of its ring: what the fit said of it stays."""
    data = simulate(EXPERIMENT, WHITE, 3).dataset
    asked = problem(replace(SETUP, q_width=2.2e-3))
    result = fit(data, asked)
    first = with_assumptions(data, asked, result.solution, result.sigma, result.noise)
    later = with_assumptions(first, problem(), result.solution, result.sigma, result.noise)
    assert later.findings == first.findings
    assert [f.code for f in later.findings or ()] == [Code.Q_WIDTH]


@pytest.mark.parametrize(("pixels", "told"), [(1500.0, True), (4000.0, False)])
def test_more_speckles_than_pixels_are_told(pixels: float, told: bool) -> None:
    """3,000 speckles, known to about 5%."""
    data = simulate(EXPERIMENT, Noise(speckles=3000, counts=5.0), 1).dataset
    seen = findings(replace(data, pixels=np.full(data.n_phi, pixels)), problem())
    assert (Code.TOO_MANY_SPECKLES in seen) is told
