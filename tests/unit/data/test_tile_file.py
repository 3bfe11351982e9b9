"""Maps on disk are the maps in memory: tile by tile, pair by pair, and as fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError, get_ident

import numpy as np
import pytest

from homodyne_cli.core.checks.checklist import run_checks
from homodyne_cli.core.checks.lag_profiles import lag_profiles
from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.maps.map_threads import map_threads
from homodyne_cli.core.maps.pair_noise import estimate_sigma
from homodyne_cli.core.numerics import threads
from homodyne_cli.dataset import Dataset, MapSource
from homodyne_cli.errors import OutputError, StreamedError, UsageError
from homodyne_cli.io.formats.write_data import write_aps_u
from homodyne_cli.io.maps.memory import MemoryBudget, parse_size
from homodyne_cli.io.maps.read_data import open_dataset, read_dataset
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.problem import DataSelection
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.problems import make_problem
from tests.support.verified import fitted_inputs

#: Takes no map of 130 frames into memory, and lets one through to disk.
TIGHT = MemoryBudget(500_300_000)


@pytest.fixture(params=[np.float32, np.float64])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Dataset, Dataset]]:
    """The same data, 130 frames with masked pairs, in memory and on disk."""
    data = make_dataset(130, 3, masked=4000, spread=0.1)
    c2 = np.asarray(data.array, dtype=request.param)
    with open_spool(None, c2.shape, c2.dtype) as spool:
        for one in c2:
            spool.put(one)
        yield replace(data, c2=c2), replace(data, c2=spool.maps())


def test_maps_and_pairs_come_back(both: tuple[Dataset, Dataset]) -> None:
    data, stored = both
    assert isinstance(stored.c2, MapSource)
    upper = np.triu_indices(130, 1)
    for angle in range(3):
        np.testing.assert_array_equal(stored.c2[angle][upper], data.c2[angle][upper])
    np.testing.assert_array_equal(stored.pairs(1, *upper), data.pairs(1, *upper))
    frames = np.array([0, 1, 49, 50, 77, 99, 128, 129])
    i, j = np.triu_indices(len(frames), 1)
    np.testing.assert_array_equal(stored.selected(frames)[:, i, j], data.selected(frames)[:, i, j])


def test_a_pass_gives_the_same_sums(both: tuple[Dataset, Dataset]) -> None:
    data, stored = both
    kind = PassSpec("laminar_flow", "he2024")
    # Counted from different shifts, the sums of y differ; what is fitted does not.
    one, other = (evaluate(pack(d), kind, PUBLISHED) for d in (data, stored))
    np.testing.assert_allclose(other.gram[:, :-1, :-1], one.gram[:, :-1, :-1], rtol=1e-12)
    total = [g.gram[:, -2, -1] + g.shift * g.gram[:, -2, -2] for g in (one, other)]
    np.testing.assert_allclose(total[1], total[0], rtol=1e-12)
    assert pack(data).n_points == pack(stored).n_points


def test_a_fit_from_disk_is_the_fit_in_memory(both: tuple[Dataset, Dataset]) -> None:
    data, stored = both
    in_memory, streamed = (fit(d, make_problem(start=None)) for d in (data, stored))
    apart = np.abs(streamed.values - in_memory.values)
    sigma = np.array([p.uncertainty_hessian for p in in_memory.parameters])
    assert np.all(apart < 1e-6 * sigma)
    np.testing.assert_array_equal(estimate_sigma(stored), estimate_sigma(data))


def test_checks_from_disk_are_the_checks_in_memory(both: tuple[Dataset, Dataset]) -> None:
    """The fit as an array and evaluated where it is looked at."""
    data, stored = both
    held = fitted_inputs(data, make_problem(start=tuple(PUBLISHED)))
    whole = held.residuals.fit_between(np.arange(data.n_frames))
    streamed = replace(held, residuals=replace(held.residuals, dataset=stored))
    held = replace(held, residuals=replace(held.residuals, fitted=whole))
    for one, other in zip(run_checks(held), run_checks(streamed), strict=True):
        assert (other.id, other.status) == (one.id, one.status)
        assert other.value == pytest.approx(one.value, rel=1e-6)
    profiles = [lag_profiles(i.residuals) for i in (held, streamed)]
    for name in ("data", "fit", "error", "count"):
        one, other = (getattr(p, name) for p in profiles)
        np.testing.assert_allclose(other, one, rtol=1e-6)


def test_a_step_that_needs_whole_maps_says_so(both: tuple[Dataset, Dataset]) -> None:
    with pytest.raises(StreamedError, match="larger than the memory budget"):
        _ = both[1].array


def test_a_file_over_the_budget_stays_on_disk(tmp_path: Path) -> None:
    data = make_dataset(130, 3, single=True)
    path = tmp_path / "data.h5"
    write_aps_u(path, data.array, data.phi, float(data.q[0]), data.dt)
    selection = DataSelection(path=path, gap=2e6, bad_frames=(7,))
    loaded = read_dataset(selection, "laminar_flow")
    with open_dataset(selection, "laminar_flow", memory=replace(TIGHT, scratch=tmp_path)) as stored:
        assert isinstance(stored.c2, MapSource)
        assert list(tmp_path.iterdir()) == [path], "the temporary file has no name"
        assert stored.n_masked == loaded.n_masked
        upper = np.triu_indices(129, 1)
        np.testing.assert_array_equal(stored.c2[2][upper], loaded.c2[2][upper])
    with open_dataset(selection, "laminar_flow", memory=MemoryBudget(10**9)) as held:
        assert isinstance(held.c2, np.ndarray)


def test_budgets_that_cannot_work_are_refused(tmp_path: Path) -> None:
    data = make_dataset(130, 3, single=True)
    path = tmp_path / "data.h5"
    write_aps_u(path, data.array, data.phi, float(data.q[0]), data.dt)
    selection = DataSelection(path=path, gap=2e6)
    with (
        pytest.raises(UsageError, match="cannot hold one map of 129 x 129"),
        open_dataset(selection, "laminar_flow", memory=MemoryBudget(10**6)),
    ):
        pass
    missing = MemoryBudget(TIGHT.budget, tmp_path / "missing")
    with (
        pytest.raises(OutputError, match="temporary space there cannot be had"),
        open_dataset(selection, "laminar_flow", memory=missing),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 GiB", 3 * 2**29),
        ("800M", 8 * 10**8),
        ("1000", 1000),
        ("1.5gi", 3 * 2**29),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text", ["", "GB", "2 giga", "-1G", "1..5G", ".", "0G", "2GBs", "1,5GB", "9" * 400]
)
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


def test_of_maps_on_disk_few_are_worked_on_at_a_time(
    both: tuple[Dataset, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On sixteen cores, each worker waits a moment for as many others as there may be."""
    monkeypatch.setattr(threads, "usable_cores", lambda: 16)
    for data, expected in zip(both, (16, 2), strict=True):
        together = Barrier(16)

        def join(_: int, together: Barrier = together) -> int:
            with suppress(BrokenBarrierError):
                together.wait(0.2)
            return get_ident()

        with map_threads(data) as pool:
            assert len(set(pool.map(join, range(16)))) == expected
