"""The pass on the host gives the sums of the devices, and is made where pairs are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass import gram_pass, host_pass, passes
from homodyne_cli.core.gram_pass.device_tiles import PairTiles, pack
from homodyne_cli.core.gram_pass.host_pass import HostPairs, evaluate_on_host, host_pairs
from homodyne_cli.core.gram_pass.pass_spec import LINEAR, AngleGrams, PairWeight, PassSpec
from homodyne_cli.core.gram_pass.passes import pack_pairs
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.problem import SolverOptions
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem

DATA = make_dataset(90, 3, masked=900, spread=0.1)
WHOLE = make_dataset(90, 3, spread=0.1, single=True)
NOISE = np.random.default_rng(5).uniform(0.03, 0.12, DATA.c2.shape)
NOISE[0, 2, 9] = np.nan
FEW = np.array([0, 3, 4, 11, 30, 55, 56, 89])


def counted_from_zero(grams: AngleGrams) -> FloatArray:
    """Return Gram matrices whose y is counted from 0: each place shifts by its own mean."""
    move = np.broadcast_to(np.eye(grams.gram.shape[-1]), grams.gram.shape).copy()
    move[:, -1, -2] = grams.shift
    return np.asarray(move @ grams.gram @ move.swapaxes(1, 2))


@pytest.mark.parametrize("derivatives", [True, False])
@pytest.mark.parametrize(
    "data",
    [DATA, replace(DATA, sigma=NOISE), WHOLE],
    ids=["masked", "noise map", "all pairs, float32"],
)
@pytest.mark.parametrize("frames", [np.arange(90), FEW], ids=["all frames", "some frames"])
def test_sums_are_those_of_the_devices(
    data: Dataset, frames: IndexArray, derivatives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In stretches of 300 pairs, so that there are several, the last one shorter."""
    monkeypatch.setattr(host_pass, "_STRETCH", 900)
    spec = PassSpec("laminar_flow", "he2024", derivatives=derivatives)
    host = evaluate_on_host(host_pairs(data, frames), spec, PUBLISHED)
    device = gram_pass.evaluate(pack(data, frames=frames), spec, PUBLISHED)
    one, other = counted_from_zero(host), counted_from_zero(device)
    norm = np.sqrt(np.einsum("akk->ak", other))
    # Sums of 4,000 terms of either sign, and of 1.1 squared where y is counted from 0.
    assert np.max(np.abs(one - other) / (norm[:, :, None] * norm[:, None, :])) < 1e-11


def test_a_fit_is_the_same_on_the_host_and_on_the_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, problem = make_dataset(100, 3, seed=2), make_problem(start=None)
    host = fit(data, problem)
    monkeypatch.setattr(passes, "HOST_PAIRS", 0)
    device = fit(data, problem)
    sigma = np.array([p.uncertainty for p in device.parameters])
    # The last steps end a millionth of an uncertainty or less from the minimum.
    assert np.max(np.abs(host.values - device.values) / sigma) < 1e-6
    assert host.chi2 == pytest.approx(device.chi2, rel=1e-10)


def test_who_makes_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(pack_pairs(DATA), HostPairs)
    assert isinstance(pack_pairs(DATA, PairWeight("huber")), PairTiles)
    monkeypatch.setattr(passes, "HOST_PAIRS", 3 * 90 * 89 // 2)
    assert isinstance(pack_pairs(DATA), HostPairs)
    monkeypatch.setattr(passes, "HOST_PAIRS", 3 * 90 * 89 // 2 - 1)
    whole = pack_pairs(DATA)
    assert isinstance(whole, PairTiles)
    assert isinstance(pack_pairs(DATA, frames=FEW, like=whole), HostPairs)
    for name, value in (("JAX_PLATFORMS", "cuda"), ("XLA_FLAGS", "--xla_of_another_year")):
        with monkeypatch.context() as told:
            told.setenv(name, value)
            assert not passes.on_host(1, LINEAR)


def test_streamed_maps_are_not_read_whole() -> None:
    with open_spool(None, DATA.array.shape, DATA.array.dtype) as spool:
        for one in DATA.array:
            spool.put(one)
        streamed = replace(DATA, c2=spool.maps())
        assert isinstance(pack_pairs(streamed), PairTiles)
        assert isinstance(pack_pairs(streamed, frames=FEW), HostPairs)


def test_a_robust_fit_needs_the_devices() -> None:
    data = make_dataset(60, 2, seed=1)
    assert fit(data, make_problem(solver=SolverOptions(loss="huber"))).converged
