"""What wrong models add to a map: difference quotients of maps written down anew."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.checks.alternatives import alternative_maps
from homodyne_cli.core.model.curves import ShearFactor
from homodyne_cli.core.model.pair_model import PairModel
from homodyne_cli.dataset import FloatArray

M, STEP = 17, 1e-6
RNG = np.random.default_rng(0)
DECAY, PHASE = np.cumsum(RNG.uniform(0.05, 0.3, M)), np.cumsum(RNG.uniform(0.1, 0.5, M))
FIRST, SECOND = np.indices((M, M))
LAG = np.abs(FIRST - SECOND) / M


def field(decay: FloatArray, phase: FloatArray, power: int) -> FloatArray:
    h = phase[SECOND] - phase[FIRST]
    return np.asarray(
        np.exp(-np.abs(decay[SECOND] - decay[FIRST])) * np.sinc(h / np.pi) ** (power // 2)
    )


def faster(curve: FloatArray, low: int, high: int) -> FloatArray:
    """Let a curve run faster by STEP between two frames."""
    steps = np.diff(curve)
    steps[low:high] *= 1.0 + STEP
    return np.concatenate([curve[:1], curve[0] + np.cumsum(steps)])


def expected(kind: str, power: int) -> FloatArray:
    """Return f of the wrong model at amplitude STEP, less f, over STEP."""
    g, middle = field(DECAY, PHASE, power), (M - 1) // 2
    u = np.abs(DECAY[SECOND] - DECAY[FIRST])
    fields = {
        "a component at rest": (1.0 - STEP) * g + STEP,
        "drift": g * np.exp(-0.5 * STEP * LAG**2),
        "a stretched decay": g * np.exp(u - u ** (1.0 + STEP)),
        "a step in diffusion": field(faster(DECAY, middle, M), PHASE, power),
        "a step in shear": field(DECAY, faster(PHASE, middle, M), power),
    }
    return np.asarray((fields[kind] ** 2 - g**2) / STEP)


@pytest.mark.parametrize("power", [2, 4])
@pytest.mark.parametrize(
    "kind",
    ["a component at rest", "drift", "a stretched decay", "a step in diffusion", "a step in shear"],
)
def test_maps_are_derivatives(kind: str, power: int) -> None:
    wrong = alternative_maps(PairModel(DECAY, PHASE, ShearFactor(0.5, power)))
    (one,) = wrong.maps[wrong.kinds[kind]]
    off = ~np.eye(M, dtype=bool)
    np.testing.assert_allclose(one[off], expected(kind, power)[off], atol=2e-5)


@pytest.mark.parametrize("power", [2, 4])
def test_stretches_add_up_to_the_whole(power: int) -> None:
    """All stretches faster alike are the whole rate: -2 u f, and the slope by the phase."""
    wrong = alternative_maps(PairModel(DECAY, PHASE, ShearFactor(0.5, power)))
    f = field(DECAY, PHASE, power) ** 2
    whole = wrong.maps[wrong.kinds["diffusion over time"]].sum(axis=0)
    np.testing.assert_allclose(whole, -2.0 * np.abs(DECAY[SECOND] - DECAY[FIRST]) * f, atol=1e-12)
    other = field(DECAY, faster(PHASE, 0, M), power) ** 2
    shear = wrong.maps[wrong.kinds["shear over time"]].sum(axis=0)
    np.testing.assert_allclose(shear, (other - f) / STEP, atol=2e-5)


@pytest.mark.parametrize("power", [2, 4])
def test_the_other_shear_factor_has_the_same_width(power: int) -> None:
    """Their difference begins with the fourth power of the phase."""
    small = 1e-2 * np.arange(M, dtype=float)
    wrong = alternative_maps(PairModel(np.zeros(M), small, ShearFactor(0.5, power)))
    (one,) = wrong.maps[wrong.kinds["another shear factor"]]
    h = small[SECOND] - small[FIRST]
    ratio = one[h != 0.0] / h[h != 0.0] ** 4
    # sinc^2 = 1 - h^2/3 + 2 h^4/45; sinc^4(h/sqrt 2) = 1 - h^2/3 + h^4/20.
    factor = (1.0 / 20.0 - 2.0 / 45.0) * (1.0 if power == 2 else -4.0)
    np.testing.assert_allclose(ratio[np.abs(h[h != 0.0]) > 0.05], factor, rtol=0.05)


def test_without_shear_there_is_none_to_be_wrong() -> None:
    wrong = alternative_maps(PairModel(DECAY, np.zeros(M), None))
    assert not any("shear" in kind for kind in wrong.kinds)
    assert len(wrong.maps) == max(places.stop for places in wrong.kinds.values())


@pytest.mark.parametrize("power", [2, 4])
def test_each_stretch_of_time_is_one_quarter(power: int) -> None:
    """Of the frames; the rate is faster there and nowhere else."""
    wrong = alternative_maps(PairModel(DECAY, PHASE, ShearFactor(0.5, power)))
    f, off = field(DECAY, PHASE, power) ** 2, ~np.eye(M, dtype=bool)
    for k in range(4):
        low, high = 4 * k, 4 * k + 4
        slower = field(faster(DECAY, low, high), PHASE, power) ** 2
        sheared = field(DECAY, faster(PHASE, low, high), power) ** 2
        for kind, other in (("diffusion over time", slower), ("shear over time", sheared)):
            one = wrong.maps[wrong.kinds[kind]][k]
            np.testing.assert_allclose(one[off], ((other - f) / STEP)[off], atol=2e-5)


@pytest.mark.parametrize("m", [17, 6])
def test_beats_have_periods_from_four_frames_to_the_whole(m: int) -> None:
    """A field cos(2 pi l / p) of share STEP; of few frames the shortest period is half of them."""
    lag = np.abs(FIRST - SECOND)[:m, :m]
    wrong = alternative_maps(PairModel(DECAY[:m], PHASE[:m], ShearFactor(0.5, 2)))
    maps, g = wrong.maps[wrong.kinds["a beat"]], field(DECAY, PHASE, 2)[:m, :m]
    shortest = min(4.0, 0.5 * m)
    off = ~np.eye(m, dtype=bool)
    assert len(maps) == 8
    for k, one in enumerate(maps):
        period = shortest * (m / shortest) ** (k / 7.0)
        beat = (1.0 - STEP) * g + STEP * np.cos(2.0 * np.pi * lag / period)
        np.testing.assert_allclose(one[off], ((beat**2 - g**2) / STEP)[off], atol=2e-5)
    assert not wrong.maps[:, np.arange(m), np.arange(m)].any()
