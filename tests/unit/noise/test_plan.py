"""Expected uncertainties against dense matrices, and how they scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core import plan
from homodyne_cli.core.noise import expected_information
from homodyne_cli.core.plan import Measurement, Planner
from homodyne_cli.core.simulation import Experiment, Noise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import ConfigError
from homodyne_cli.parameters import PerAngleMode
from tests.support.oracle import autodiff_columns, signed_g1
from tests.support.problems import make_problem
from tests.support.speckle_moments import BrightSpeckle

TRUTH = np.array([8000.0, -0.3, 0.0, 1e-3, -0.25, 0.0, 4.0])
HELD = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
FREE = [0, 1, 3, 4, 6]
EXPERIMENT = Experiment(
    parameters=TRUTH,
    phi=np.array([-20.0, 30.0, 80.0]),
    n_frames=9,
    q=0.0054,
    gap=2.0e6,
    dt=0.2,
    contrast=np.array([0.5, 0.4, 0.5]),
    offset=1.0,
)
#: At w/c = 0.02 all eigenvectors are kept.
SPECKLES = Noise(speckles=1500, counts=100.0)


def planner(per_angle_mode: PerAngleMode = "individual") -> Planner:
    return Planner(make_problem(start=tuple(TRUTH), fixed=HELD, per_angle_mode=per_angle_mode))


def expected(experiment: Experiment, noise: Noise, using: Planner | None = None) -> FloatArray:
    found = (using or planner()).expect(Measurement(experiment, noise))
    return np.array(list(found.uncertainties.values()))


def dense_sigma(e: Experiment, noise: Noise, *, shared: bool) -> FloatArray:
    """Invert the covariance of all pairs, written out moment by moment."""
    n, i, j = e.n_frames, *np.triu_indices(e.n_frames, 1)
    data = Dataset(np.zeros((3, n, n)), e.phi, e.t, np.full(3, e.q), e.gap, e.dt, None, {})
    columns = autodiff_columns(data, TRUTH, "he2024")
    size = len(FREE) + (2 if shared else 6)
    hessian, variance = np.zeros((2, size, size))
    for a, contrast in enumerate(e.scaling()[0].tolist()):
        g1 = signed_g1(TRUTH, e.t, float(e.phi[a]), e.q, e.gap or 0.0, "he2024")
        jacobian = np.zeros((size, len(i)))
        jacobian[: len(FREE)] = contrast * columns[a][FREE]
        place = len(FREE) + (0 if shared else 2 * a)
        jacobian[place : place + 2] = columns[a][7:9]
        if noise.speckles is None:
            main = whole = noise.white**2 * np.eye(len(i))
        else:
            w = 1.0 / noise.counts
            s = contrast * g1**2 + w * np.eye(n)
            main = s[np.ix_(i, i)] * s[np.ix_(j, j)] + s[np.ix_(i, j)] * s[np.ix_(j, i)]
            speckle = BrightSpeckle(g1, contrast, w, 1.0 / contrast)
            pairs = list(zip(i.tolist(), j.tolist(), strict=True))
            whole = np.zeros_like(main)
            for k, p in enumerate(pairs):
                whole[k, k:] = whole[k:, k] = [speckle.covariance(p, q) for q in pairs[k:]]
            main, whole = main / noise.speckles, whole / noise.speckles
        weights = np.linalg.solve(main, jacobian.T).T
        hessian += weights @ jacobian.T
        variance += weights @ whole @ weights.T
    scale = 1.0 / np.sqrt(np.diag(hessian))
    inverse = np.linalg.inv(hessian * np.outer(scale, scale)) * np.outer(scale, scale)
    return np.sqrt(np.diag(inverse @ variance @ inverse))[: len(FREE)]


@pytest.mark.parametrize("noise", [SPECKLES, Noise(white=0.03)], ids=["speckles", "white"])
@pytest.mark.parametrize("mode", ["individual", "shared"])
def test_uncertainties_are_those_of_dense_matrices(noise: Noise, mode: PerAngleMode) -> None:
    """To 1e-5: white noise is the limit of w/c = 1e6. Pairs of pairs of 7 frames are quick."""
    experiment = replace(EXPERIMENT, n_frames=7)
    if mode == "shared":
        experiment = replace(experiment, contrast=0.5)
    sigma = expected(experiment, noise, planner(mode))
    slow = dense_sigma(experiment, noise, shared=mode == "shared")
    np.testing.assert_allclose(sigma, slow, rtol=1e-5)


def test_they_fall_with_the_root_of_the_speckles() -> None:
    one, four = (expected(EXPERIMENT, Noise(speckles=m, counts=1.0)) for m in (1000, 4000))
    np.testing.assert_allclose(one, 2.0 * four, rtol=1e-12)


def test_more_frames_angles_and_photons_never_make_them_larger() -> None:
    using = planner()
    more = (
        replace(EXPERIMENT, n_frames=18),
        replace(EXPERIMENT, phi=np.array([-20.0, 30.0, 80.0, 110.0]), contrast=0.5),
    )
    noise = Noise(speckles=1500, counts=1.0)
    few = expected(EXPERIMENT, noise, using)
    for experiment in more:
        assert np.all(expected(experiment, noise, using) < few)
    assert np.all(expected(EXPERIMENT, Noise(speckles=1500, counts=10.0), using) < few)


def test_many_angles_are_read_off_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """23 angles, one of them at right angles to the flow: to 1%."""
    phi = np.append(np.linspace(-25.0, 205.0, 22), 94.0)
    experiment = replace(EXPERIMENT, n_frames=60, phi=phi, contrast=0.3, dt=0.1)
    noise = Noise(speckles=1500, counts=2.0)
    read_off = expected(experiment, noise)
    monkeypatch.setattr(expected_information, "_FEW", 100)
    np.testing.assert_allclose(read_off, expected(experiment, noise), rtol=0.01)


def test_merged_frames_are_those_of_a_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five frames in one lose what their own pairs know: up to half of an uncertainty."""
    experiment = replace(EXPERIMENT, n_frames=300, dt=0.02)
    noise = Noise(speckles=1500, counts=1.0)
    whole = planner().expect(Measurement(experiment, noise))
    monkeypatch.setattr(plan, "affordable_blocks", lambda n_phi: 75)
    merged = planner().expect(Measurement(experiment, noise))
    assert (whole.merged, merged.merged) == (1, 5)
    for name, sigma in whole.uncertainties.items():
        assert 1.0 < merged.uncertainties[name] / sigma < 1.5


def test_what_suffices() -> None:
    using, noise = planner(), Noise(speckles=1500, counts=1.0)
    base = using.expect(Measurement(replace(EXPERIMENT, n_frames=40), noise))
    goals = {name: 0.8 * sigma for name, sigma in base.uncertainties.items()}
    assert not base.meets(goals)
    assert base.repeats(goals) == 2
    enough = using.enough_frames(base.measurement, goals, most=400)
    assert enough is not None
    n = enough.measurement.experiment.n_frames
    assert enough.meets(goals)
    assert not using.expect(base.measurement.with_frames(int(n / 1.05))).meets(goals)
    assert using.enough_frames(base.measurement, {"D0": 1e-3}, most=80) is None
    easy = {name: 2.0 * sigma for name, sigma in base.uncertainties.items()}
    fewer = using.enough_frames(base.measurement, easy, most=400)
    assert fewer is not None
    assert fewer.measurement.experiment.n_frames < 40


def test_what_is_not_determined_is_not_a_number() -> None:
    """D0 and D_offset trade off where alpha is zero, and no number of repeats helps."""
    still = np.array([8000.0, 0.0, 0.0])
    experiment = replace(EXPERIMENT, parameters=still, gap=None)
    problem = make_problem("static", start=tuple(still), fixed={"alpha": 0.0})
    found = Planner(problem).expect(Measurement(experiment, SPECKLES))
    assert np.isnan(list(found.uncertainties.values())).all()
    assert not found.meets({"D0": 1e5})
    assert found.repeats({"D0": 1e5}) is None


def test_series_of_more_terms_than_angles_are_refused() -> None:
    with pytest.raises(ConfigError, match="coefficients for 3 angles"):
        Planner(make_problem(per_angle_mode="fourier", fourier_order=2)).expect(
            Measurement(EXPERIMENT, SPECKLES)
        )
