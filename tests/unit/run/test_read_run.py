"""Run directories that are damaged are named as such, with the file and what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import read_run
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.legacy_run import write_legacy_run

SCALING = (np.full(2, 0.3), np.full(2, 1.1))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_legacy_run(tmp_path / "old", make_dataset(20, 2), PUBLISHED, *SCALING)


def test_legacy_run_reads_from_either_level(old: Path) -> None:
    assert read_run(old).solution.values == read_run(old / "nlsq").solution.values
    assert read_run(old).record.iterations == 42


def test_legacy_run_takes_the_gap_that_it_is_given(old: Path) -> None:
    assert read_run(old, gap=1e6).dataset.gap == 1e6
    assert len(read_run(old, gap=1e6).record.notes) == 1


def test_older_scaling_array_is_used_where_the_solvers_is_missing(old: Path) -> None:
    path = old / "nlsq" / "fitted_data.npz"
    arrays = dict(np.load(path))
    del arrays["per_angle_scaling_solver"]
    arrays["per_angle_scaling"][:, 0] = 0.25
    np.savez(path, **arrays)
    assert np.all(read_run(old).solution.contrast == 0.25)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("parameters.json", "{", "not JSON"),
        ("parameters.json", "[]", "no JSON object"),
        ("parameters.json", "{}", "'parameters'"),
        ("parameters.json", '{"parameters": {"D0": {"value": 1.0}}}', "lacks alpha"),
        ("parameters.json", '{"parameters": {"D0": {"value": null}}}', "D0 has no value"),
        ("fitted_data.npz", "no zip", "cannot be read"),
    ],
)
def test_damage_is_named(old: Path, file: str, content: str, words: str) -> None:
    (old / "nlsq" / file).write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        read_run(old)
    assert file in str(caught.value)


def test_arrays_that_do_not_fit_are_refused(old: Path) -> None:
    path = old / "nlsq" / "fitted_data.npz"
    arrays = dict(np.load(path))
    arrays["phi_angles"] = np.zeros(3)
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="do not fit together"):
        read_run(old)


def test_not_a_run_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such run directory"):
        read_run(tmp_path / "nothing")
    (tmp_path / "some.txt").write_text("x")
    with pytest.raises(DataError, match=r"it holds some\.txt"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("analysis_mode", "fast", "analysis_mode is 'fast'"),
        ("convention", None, "convention is None"),
        ("covariance", 3, "'covariance' object"),
        ("scaling_bounds", {"contrast": [1]}, "not a pair"),
    ],
)
def test_damage_to_own_runs_is_named(
    own_run: Path, tmp_path: Path, key: str, value: object, words: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(own_run, run)
    path = run / "parameters.json"
    tree = json.loads(path.read_text())
    tree[key] = value
    path.write_text(json.dumps(tree))
    with pytest.raises(DataError, match=words):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.yaml", "[" * 10_000, "nested too deeply"),
        ("config.yaml", "", "the file is empty"),
        ("analysis_results_nlsq.json", "n_time_points", "n_time_points is 0"),
    ],
)
def test_damage_to_what_is_shown_is_named(
    own_run: Path, tmp_path: Path, name: str, content: str, words: str
) -> None:
    """A config in a run is data: nobody is told to correct what they wrote."""
    shutil.copytree(own_run, tmp_path / "run")
    path = tmp_path / "run" / name
    if content == "n_time_points":
        tree = json.loads(path.read_text())
        tree["dataset_info"][content] = 0
        content = json.dumps(tree)
    path.write_text(content)
    with pytest.raises(DataError, match=words) as refused:
        read_result(tmp_path / "run")
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [({"n_speckles": 612.5}, 612.5), ({"n_speckles": None}, np.inf), (None, np.inf)],
    ids=["speckles", "white noise", "written by an older version"],
)
def test_speckles_that_the_fit_found(
    own_run: Path, tmp_path: Path, noise: object, expected: float
) -> None:
    run = tmp_path / "run"
    shutil.copytree(own_run, run)
    path = run / "parameters.json"
    tree = json.loads(path.read_text())
    tree["noise"] = noise
    path.write_text(json.dumps(tree))
    assert read_run(run).record.noise.n_speckles == expected
