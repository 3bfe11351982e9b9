"""What angles count where their noise repeats itself: traces by loops, and who keeps its sigma."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from homodyne_cli.core.minimise.state import MinimiserState
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty import angle_weights as module
from homodyne_cli.core.uncertainty.angle_weights import weigh_angles
from homodyne_cli.core.uncertainty.speckle_noise import SpeckleNoise
from homodyne_cli.dataset import FloatArray
from tests.unit.uncertainty.test_symmetries import dataset

SIGMA = np.array([0.05, 0.08, 0.03, 0.06])
PAIRS = np.array([300.0, 200.0, 300.0, 100.0])


def stand_in(**members: object) -> PairObjective:
    moments = SimpleNamespace(n_points=PAIRS)
    parts = {"sigma": SIGMA, "tiles": SimpleNamespace(moments=moments), "robust": False, **members}
    return cast(PairObjective, SimpleNamespace(**parts))


def positive(count: int, size: int, seed: int) -> FloatArray:
    root = np.random.default_rng(seed).standard_normal((count, size + 1, size))
    return np.asarray(root.swapaxes(1, 2) @ root)


@pytest.mark.parametrize("silent", [[], [2], [0, 3], [0, 1, 2, 3]], ids=str)
def test_sigma_follows_from_traces(silent: list[int]) -> None:
    """tr(S^-1 V_a) / tr(S^-1 H_a) by angle, and the mean of 1 / sigma^2 over pairs as it was."""
    p = 3
    hessians, scores = positive(4, p + 2, 1), 5.0 * positive(4, p + 2, 2)
    response = np.random.default_rng(3).standard_normal((4, 2, p))
    hessians[silent] = 0.0
    white = np.array([0.3, 0.5, 0.2, 0.9])
    noise = SpeckleNoise(scores, white, None)
    np.testing.assert_allclose(
        noise.variances(hessians),
        [w * h + s for w, h, s in zip(white, hessians, scores, strict=True)],
    )
    at = cast(Projection, SimpleNamespace(gradient=np.zeros(p), response=response))
    due = module._due_sigma(stand_in(), at, hessians, noise)

    inner, varied = [], []
    for a in range(4):
        onto = np.vstack([np.eye(p), response[a]])
        inner.append(onto.T @ hessians[a] @ onto)
        varied.append(onto.T @ (white[a] * hessians[a] + scores[a]) @ onto)
    ratio = np.ones(4)
    heard = [a for a in range(4) if a not in silent]
    if heard:
        inverse = np.linalg.inv(sum(inner))
        for a in heard:
            ratio[a] = np.trace(inverse @ varied[a]) / np.trace(inverse @ inner[a])
        ratio[silent] = np.mean(ratio[heard])
    relative = due**2 / (SIGMA**2 * ratio)
    np.testing.assert_allclose(relative, relative[0], rtol=1e-8)
    assert PAIRS @ due**-2 == pytest.approx(PAIRS @ SIGMA**-2, rel=1e-9)
    if len(heard) == 4:
        assert np.ptp(ratio) > 0.5


class _WeighedError(Exception):
    """The noise of the score was asked for."""


@pytest.mark.parametrize("kept", ["", "sigma", "robust", "one angle", "no speckles", "stopped"])
def test_who_keeps_its_sigma(monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    """One reason is enough, and without one the noise is looked at."""

    def refuse(*given: object) -> SpeckleNoise:
        raise _WeighedError

    monkeypatch.setattr(module, "speckle_noise", refuse)
    data = dataset([0.0] if kept == "one angle" else [0.0, 30.0])
    if kept == "sigma":
        data = replace(data, sigma=np.array([0.1, 0.1]))
    objective = stand_in(robust=kept == "robust")
    speckles = None if kept == "no speckles" else cast(SpecklesSeen, SimpleNamespace())
    reached = cast(
        MinimiserState, SimpleNamespace(at=None, x=np.zeros(1), stopped=kept == "stopped")
    )
    if not kept:
        with pytest.raises(_WeighedError):
            weigh_angles(data, objective, reached, speckles)
        return
    weights = weigh_angles(data, objective, reached, speckles)
    assert weights.objective is objective
    assert weights.speckles is speckles
    assert weights.share is None
