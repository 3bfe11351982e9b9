"""Rings of a file and files of one experiment become one dataset, or are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.dataset import Dataset, MapSource
from homodyne_cli.errors import DataError
from homodyne_cli.io.config.load import resolve_config
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.read_data import open_dataset, read_dataset
from homodyne_cli.problem import DataSelection
from tests.support.layout_writers import Grid, above, aps_u

GRID = Grid(q=(0.0054, 0.0062, 0.0081))


def read(*paths: Path, **settings: object) -> Dataset:
    base = DataSelection(path=paths if len(paths) > 1 else paths[0], gap=2e6)
    return read_dataset(replace(base, **settings), "laminar_flow")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("q", "rings"), [("all", [0, 1, 2]), ((0.0081, 0.0054), [0, 2]), ((0.0055, 0.0062), [0, 1])]
)
def test_maps_of_several_rings_come_ring_by_ring(
    tmp_path: Path, q: object, rings: list[int]
) -> None:
    data = read(aps_u(tmp_path / "a.h5", GRID), q=q)
    assert data.q.tolist() == [GRID.q[ring] for ring in rings for _ in GRID.phi]
    assert data.phi.tolist() == [*GRID.phi] * len(rings)
    expected = np.concatenate([GRID.expected(ring, [0, 1, 2]) for ring in rings])
    np.testing.assert_allclose(above(data.array), expected, rtol=1e-6)
    assert data.repeat is None
    assert f"3 angles on each of {len(rings)} rings" in data.provenance["phi"].value


def test_all_rings_of_a_file_with_one_are_that_one(tmp_path: Path) -> None:
    data = read(aps_u(tmp_path / "a.h5", Grid(q=(0.0054,))), q="all")
    assert data.rows.rings.tolist() == [0.0054]
    assert data.rows.place(0) == "phi = -30 deg"


def test_angles_are_chosen_on_every_ring(tmp_path: Path) -> None:
    data = read(aps_u(tmp_path / "a.h5", GRID), q="all", phi_ranges=((-10.0, 50.0),))
    assert data.phi.tolist() == [0.0, 45.0] * 3
    assert data.rows.place(3) == "q = 0.0062 1/Å, phi = 45 deg"


def test_two_wave_vectors_of_one_ring_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mean the ring at 0.0054 1/Å") as caught:
        read(aps_u(tmp_path / "a.h5", GRID), q=(0.0054, 0.00541))
    assert "once" in str(caught.value.hint)


def test_several_wave_vectors_for_a_file_without_any_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", c2=np.ones((2, 9, 9)), phi=[0.0, 9.0], dt=1.0)
    with pytest.raises(DataError, match="several in the config"):
        read(tmp_path / "a.npz", q=(0.0054, 0.0062))


def test_repeats_come_file_by_file_each_with_its_own_angles(tmp_path: Path) -> None:
    other = Grid(q=GRID.q, phi=(-20.0, 10.0))
    paths = aps_u(tmp_path / "a.h5", GRID), aps_u(tmp_path / "b.h5", other, half="lower")
    data = read(*paths, q=(0.0054, 0.0081))
    assert data.repeat is not None
    assert data.repeat.tolist() == [0] * 6 + [1] * 4
    assert data.phi.tolist() == [*GRID.phi, *GRID.phi, *other.phi, *other.phi]
    assert data.q.tolist() == [0.0054] * 3 + [0.0081] * 3 + [0.0054] * 2 + [0.0081] * 2
    expected = np.concatenate(
        [g.expected(r, range(len(g.phi))) for g in (GRID, other) for r in (0, 2)]
    )
    np.testing.assert_allclose(above(data.array), expected, rtol=1e-6)
    assert data.rows.place(9) == "repeat 2, q = 0.0081 1/Å, phi = 10 deg"
    assert data.provenance["repeats"].source == "a.h5, b.h5"
    assert data.provenance["layout"].value == "APS-U, upper maps; APS-U, lower maps"


def test_repeats_take_the_wave_vector_of_the_first(tmp_path: Path) -> None:
    paths = [aps_u(tmp_path / f"{k}.h5", Grid(q=(q,))) for k, q in enumerate((0.0054, 0.00542))]
    assert read(*paths).rows.rings.tolist() == [0.0054]


def test_repeats_stay_on_disk_where_they_exceed_the_budget(tmp_path: Path) -> None:
    grid = Grid(q=GRID.q, n=60)
    paths = aps_u(tmp_path / "a.h5", grid), aps_u(tmp_path / "b.h5", grid)
    selection = DataSelection(path=paths, q="all", gap=2e6)
    held = read_dataset(selection, "laminar_flow")
    budget = MemoryBudget(500_300_000, tmp_path)
    with open_dataset(selection, "laminar_flow", memory=budget) as streamed:
        assert isinstance(streamed.c2, MapSource)
        for angle in range(held.n_phi):
            np.testing.assert_array_equal(above(streamed.c2[angle]), above(held.array[angle]))


@pytest.mark.parametrize(
    ("other", "message", "remedy"),
    [
        (dict(n=15), "it has 14 frames, a.h5 has 13", "end_frame to 14, which all have"),
        (dict(q=(0.0054, 0.0062)), "it has rings at 0.0054, 0.0062 1/Å", "rings that all files"),
        (dict(q=(0.0054, 0.0062, 0.0083)), "it has rings at", "rings that all files"),
    ],
    ids=["frames", "rings", "wave vector"],
)
def test_files_that_are_no_repeats_are_refused(
    tmp_path: Path, other: dict[str, object], message: str, remedy: str
) -> None:
    settings: dict[str, object] = {"q": GRID.q, **other}
    paths = aps_u(tmp_path / "a.h5", GRID), aps_u(tmp_path / "b.h5", Grid(**settings))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"no repeat of a\.h5") as caught:
        read(*paths, q="all")
    assert message in str(caught.value)
    assert remedy in str(caught.value.hint)
    assert caught.value.path == paths[1]


def test_another_frame_interval_is_refused(tmp_path: Path) -> None:
    paths = [aps_u(tmp_path / f"{t}.h5", GRID, frame_time=t) for t in (0.05, 0.1)]
    with pytest.raises(DataError, match=r"frames every 0.1 s, 0.05.h5 has 0.05 s"):
        read(*paths, q="all")


def test_noise_in_one_of_two_files_is_refused(tmp_path: Path) -> None:
    c2 = 1.0 + np.random.default_rng(0).uniform(size=(2, 9, 9))
    for name, noise in (("a", {"sigma": [0.1, 0.2]}), ("b", {})):
        np.savez(tmp_path / f"{name}.npz", c2=c2, phi=[0.0, 9.0], q=0.0054, dt=1.0, **noise)  # type: ignore[arg-type]
    paths = tmp_path / "a.npz", tmp_path / "b.npz"
    with pytest.raises(DataError, match="noise") as caught:
        read(*paths)
    assert caught.value.path == paths[1]
    assert read(*paths, sigma=0.1).sigma is not None


def test_a_resolved_config_reads_back_with_its_lists(tmp_path: Path) -> None:
    config = resolve_config(
        {
            "analysis_mode": "static",
            "experimental_data": {"file_path": ["a.h5", "b.h5"]},
            "analyzer_parameters": {"scattering": {"wavevector_q": [0.0054, 0.0081]}},
            "per_repeat_mode": "shared",
        },
        folder=tmp_path,
    )
    assert config.selection.paths == (tmp_path / "a.h5", tmp_path / "b.h5")
    again = resolve_config(config.resolved, folder=Path("/"))
    assert (again.selection, again.problem) == (config.selection, config.problem)
    one = resolve_config(
        {
            "analysis_mode": "static",
            "experimental_data": {"file_path": ["a.h5"]},
            "analyzer_parameters": {"scattering": {"wavevector_q": [0.0054]}},
            "per_repeat_mode": "shared",
        },
        folder=tmp_path,
    )
    assert (one.selection.path, one.selection.q) == (tmp_path / "a.h5", 0.0054)
    assert one.unused_keys == ("per_repeat_mode",)
