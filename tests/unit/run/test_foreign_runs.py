"""What is wrong in a run directory that somebody else made is named with its file and key."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import read_run
from homodyne_cli.io.run.run_folder import MAX_BYTES
from tests.support.attacked import outcome_of

OLD = Path(__file__).parents[2] / "data" / "old_run"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "run"))


def put(run: Path, file: str, key: str, literal: str) -> None:
    """Replace what a dotted key holds by a literal, which need not be JSON."""
    tree = json.loads((run / file).read_text(encoding="utf-8"))
    holder, (*above, last) = tree, key.split(".")
    for step in above:
        holder = holder[int(step) if isinstance(holder, list) else step]
    holder[last] = "@"
    (run / file).write_text(json.dumps(tree).replace('"@"', literal), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "key", "literal", "words"),
    [
        ("parameters", "parameters.D0.value", "NaN", "is nan"),
        ("parameters", "parameters.D0.value", "1e400", "is inf"),
        ("parameters", "parameters.D0.value", "1e300", "is 1e+300"),
        ("parameters", "parameters.D0.value", '"1.0"', "is '1.0': should be a valid number"),
        ("parameters", "parameters.beta.uncertainty", "-1", "greater than or equal to 0"),
        ("parameters", "parameters.beta.bounds", "[2, 1]", "not a pair of numbers"),
        ("parameters", "parameters.gamma", "{}", "no parameter of the model"),
        ("parameters", "covariance.matrix", "[[1, 2], [3]]", "not 7 rows of 7 numbers"),
        ("parameters", "covariance.matrix", "3", "is 3"),
        ("parameters", "noise", "[" * 500 + "]" * 500, "recursion limit"),
        ("parameters", "fourier_order", "1.5", "should be a valid integer"),
        ("convergence_metrics", "x_scale.values.D0", "0", "greater than 0"),
        (
            "convergence_metrics",
            "convergence.status",
            '"fine"',
            "'converged', 'not_converged' or 'interrupted'",
        ),
        ("convergence_metrics", "history", "{}", "should be a valid array"),
        ("analysis_results_nlsq", "dataset_info.phi_angles", "[[1]]", "phi_angles.0 is [1]"),
        ("analysis_results_nlsq", "dataset_info.n_angles", "3", "not as many as n_angles"),
        ("analysis_results_nlsq", "dataset_info.n_time_points", "1e12", "valid integer"),
        ("analysis_results_nlsq", "dataset_info.n_time_points", "10000000000", "less than"),
        ("manifest", "inputs", '[{"path": 3}]', "inputs.0.path is 3"),
    ],
)
def test_wrong_values_are_named(run: Path, file: str, key: str, literal: str, words: str) -> None:
    put(run, f"{file}.json", key, literal)
    with pytest.raises(DataError) as caught:
        read_run(run)
    said = str(caught.value)
    assert said.startswith(str(run / f"{file}.json"))
    assert words in said
    assert key.split(".")[0] in said or "recursion" in said


ARRAYS: list[tuple[str, object, str]] = [
    ("phi", 0.0, "has shape (), not (n_phi)"),
    ("phi", np.zeros((2, 2)), "has shape (2, 2), not (n_phi)"),
    ("phi", np.zeros(3), "do not fit together"),
    ("t", np.ones((14, 14)), "has shape (14, 14)"),
    ("t", np.ones(14), "ascending"),
    ("t", np.full(14, np.nan), "holds nan"),
    ("sigma", np.ones((2, 1)), "has shape (2, 1)"),
    ("sigma", np.zeros(2), "holds 0, not a positive number"),
    ("offset", np.full(2, np.inf), "holds inf, not a finite number"),
    ("offset", np.ones((2, 2)), "has shape (2, 2)"),
    ("contrast", np.array([b"a", b"b"]), "not real numbers"),
    ("contrast", np.full(2, 1e300), "holds 1e+300"),
    ("c2", np.full((2, 14, 14), np.nan), "has no pair of map 1"),
    ("c2", np.full((2, 14, 14), 1e300), "not values of c2"),
    ("c2", np.ones((14, 14)), "has shape (14, 14), not (n_phi, n, n)"),
    ("q", np.ones(1), "not a single number"),
    ("dt", -0.1, "holds -0.1"),
]


@pytest.mark.parametrize(("name", "value", "words"), ARRAYS)
def test_wrong_arrays_are_named(run: Path, name: str, value: object, words: str) -> None:
    with h5py.File(run / "fitted_data.h5", "r+") as file:
        del file[name]
        file[name] = value
    with pytest.raises(DataError) as caught:
        read_run(run)
    assert words in str(caught.value)
    assert caught.value.path == run / "fitted_data.h5"


def declared_huge(file: h5py.File) -> None:
    del file["c2"]
    file.create_dataset("c2", (2, 10**6, 10**6), "f4", chunks=(1, 100, 100))
    del file["t"]
    file["t"] = np.arange(1.0, 10**6 + 1)


def stored_outside(file: h5py.File) -> None:
    del file["sigma"]
    file.create_dataset("sigma", (2,), "f8", external=[("/etc/hostname", 0, 16)])


def linked_out(file: h5py.File) -> None:
    del file["c2"]
    file["c2"] = h5py.ExternalLink("other.h5", "/c2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (declared_huge, "c2: declares"),
        (stored_outside, "sigma: keeps its values in other files"),
        (linked_out, "c2: is a link, which may lead out"),
    ],
)
def test_arrays_that_are_not_in_the_file(
    run: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    with h5py.File(run / "fitted_data.h5", "r+") as file:
        change(file)
    with pytest.raises(DataError, match=words):
        read_run(run)


def symlink_out(path: Path) -> None:
    elsewhere = path.parent.parent / path.name
    shutil.copyfile(OLD / path.name, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (symlink_out, "leads out of the run directory"),
        (lambda path: path.symlink_to(path.name), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b" " * (MAX_BYTES + 1)), "larger than 10 MB"),
    ],
    ids=["elsewhere", "itself", "device", "pipe", "size"],
)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes")
def test_files_that_are_none(run: Path, change: Callable[[Path], object], words: str) -> None:
    path = run / "convergence_metrics.json"
    path.unlink()
    change(path)
    with pytest.raises(DataError, match=words):
        read_run(run)


def test_a_link_inside_the_run_is_followed(run: Path) -> None:
    (run / "parameters.json").rename(run / "kept.json")
    (run / "parameters.json").symlink_to("kept.json")
    assert read_run(run).record.converged


def test_texts_of_a_run_are_no_markup_and_no_commands(run: Path, tmp_path: Path) -> None:
    put(run, "convergence_metrics.json", "convergence.message", '"<b>x</b>\\u001b[2J\'"')
    page = tmp_path / "page.html"
    assert outcome_of(("verify", str(run), "--report", str(page), "--quiet")).kind == "answer"
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;x&lt;/b&gt;\\x1b[2J&#x27;" in text
    assert "<b>" not in text
    assert "\x1b" not in text


def test_a_run_that_fits_nothing_is_none(run: Path) -> None:
    tree = json.loads((run / "parameters.json").read_text(encoding="utf-8"))
    for row in tree["parameters"].values():
        row["fixed"] = True
    (run / "parameters.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(DataError, match="all of them are fixed"):
        read_run(run)


def test_a_series_of_more_terms_than_angles_is_refused(run: Path) -> None:
    put(run, "parameters.json", "per_angle_mode", '"fourier"')
    with pytest.raises(DataError, match="fourier_order is 2, more than 2 angles determine"):
        read_run(run)


def test_parameters_of_other_angles_are_refused(run: Path) -> None:
    tree = json.loads((run / "parameters.json").read_text(encoding="utf-8"))
    tree["scaling"] = tree["scaling"][:1]
    (run / "parameters.json").write_text(json.dumps(tree), encoding="utf-8")
    for read in (read_run, read_result):
        with pytest.raises(DataError, match="scaling has 1 rows for 2 angles"):
            read(run)


def test_too_few_pairs_are_one_error(run: Path) -> None:
    with h5py.File(run / "fitted_data.h5", "r+") as file:
        c2 = np.full((2, 14, 14), np.nan)
        c2[:, 0, 1] = 1.2
        file["c2"][...] = c2
    for command in ("diagnose", "verify"):
        outcome = outcome_of((command, str(run)))
        assert outcome.kind == "error"
        assert "2 pairs cannot determine 11 unknowns" in outcome.said


def test_flow_without_a_gap_is_no_run(run: Path) -> None:
    """Taken for a gap of zero it would be flow that nothing shows."""
    with h5py.File(run / "fitted_data.h5", "r+") as file:
        del file["stator_rotor_gap"]
    with pytest.raises(DataError) as caught:
        read_run(run)
    assert "fitted_data.h5" in str(caught.value)
    assert "stator_rotor_gap: missing" in str(caught.value)
