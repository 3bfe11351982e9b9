"""One schema for what is written and what is read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.io.run.arrays import FITTED_DATA
from homodyne_cli.io.run.fields import SCHEMA_VERSION
from homodyne_cli.io.run.read_run import read_run
from homodyne_cli.io.run.schema import RUN_FILES
from homodyne_cli.io.run.write_run import RunRecord, write_run
from homodyne_cli.noise_report import NoiseReport
from homodyne_cli.results import FitResult, FittedParameter
from tests.support.datasets import make_dataset
from tests.support.render_samples import NAN, PROVENANCE, SECONDS, fit_result

OLD = Path(__file__).parents[2] / "data" / "old_run"


def write(folder: Path, result: FitResult, record: RunRecord | None = None) -> Path:
    shutil.copyfile(OLD / "fitted_data.h5", folder / "fitted_data.h5")
    dataset = replace(make_dataset(14, 2), provenance=PROVENANCE)
    config = load_config(OLD / "config.yaml")
    record = record or RunRecord(("homodyne", "fit"), {"homodyne": "1"}, "cpu", "", ())
    write_run(folder, config, dataset, result, SECONDS, record)
    return folder


def changed(folder: Path, file: str, key: str, value: object) -> None:
    tree = json.loads((folder / file).read_text(encoding="utf-8"))
    tree[key] = value
    (folder / file).write_text(json.dumps(tree), encoding="utf-8")


def keys_of(tree: object, prefix: str = "") -> set[str]:
    if isinstance(tree, dict):
        inner = [keys_of(value, f"{prefix}.{key}") for key, value in tree.items()]
        return {f"{prefix}.{key}" for key in tree}.union(*inner)
    return keys_of(tree[0], f"{prefix}[]") if isinstance(tree, list) and tree else set()


@pytest.mark.parametrize("file", list(RUN_FILES))
def test_keys_are_those_of_older_runs(tmp_path: Path, file: str) -> None:
    """Of what both runs have: the fit found combinations but no profile, and kept no norms."""
    new, old = (
        keys_of(json.loads((folder / file).read_text(encoding="utf-8")))
        for folder in (write(tmp_path, fit_result(2)), OLD)
    )
    added = {".schema_version", ".dataset_info.findings", ".fit_quality.plain_chi_squared"}
    added |= {".folder", ".linked"}
    added |= {k for k in new if k.startswith((".combinations[]", ".noise."))}
    added |= {k for k in new if k.endswith(".uncertainty_unbounded")}
    assert new - old <= added
    missing = {k for k in old - new if "[]" not in k and "column_norms" not in k}
    assert missing <= {k for k in old if k.startswith((".search.", ".versions.", ".dataset_info"))}


@pytest.mark.parametrize("file", list(RUN_FILES))
def test_what_is_written_is_what_is_read(own_run: Path, file: str) -> None:
    text = (own_run / file).read_text(encoding="utf-8")
    entry = RUN_FILES[file].model_validate_json(text, strict=True)
    assert entry.schema_version == SCHEMA_VERSION
    assert to_json(entry) + "\n" == text


def test_arrays_are_those_of_the_table(own_run: Path) -> None:
    with h5py.File(own_run / "fitted_data.h5") as file:
        assert file.attrs["schema_version"] == SCHEMA_VERSION
        assert set(file) == {"q"} | {name for name, e in FITTED_DATA.items() if e.required}
        for name, stored in file.items():
            entry = FITTED_DATA[name]
            assert stored.ndim == len(entry.axes)
            assert stored.attrs["unit"] == entry.unit


def odd(p: FittedParameter) -> FittedParameter:
    """A number of NumPy, and figures that a reader would not take."""
    return replace(p, uncertainty=np.float64(NAN), uncertainty_hessian=-1.0, at_bound=np.bool_(1))  # type: ignore[arg-type]


def test_no_figure_can_keep_a_fit_from_being_saved(tmp_path: Path) -> None:
    result = fit_result(2)
    result = replace(
        result,
        parameters=tuple(odd(p) for p in result.parameters),
        chi2=float("inf"),
        edm=-1e-9,
        n_points=np.int64(7),  # type: ignore[arg-type]
        covariance=np.full((5, 5), NAN),
        noise=NoiseReport(),
    )
    record = RunRecord(("fit", "a\udcff\nb"), {}, "cpu", "", ())
    written = write(tmp_path, result, record)
    tree = json.loads((written / "parameters.json").read_text(encoding="utf-8"))
    assert tree["parameters"]["D0"]["uncertainty"] is None
    assert tree["chi_squared"] is None
    assert tree["noise"]["n_speckles"] is None
    command = json.loads((written / "manifest.json").read_text(encoding="utf-8"))["command_line"]
    assert command == ["fit", "a\\udcff\\nb"]


def test_unknown_figures_come_back_as_unknown(tmp_path: Path) -> None:
    record = read_run(write(tmp_path, fit_result(2))).record
    assert np.isnan(record.uncertainties["beta"])
    assert record.noise.n_speckles == np.inf
    assert record.history[0].condition_raw == 3.21e9
    assert np.isnan(record.history[0].effective_ratio)


@pytest.mark.parametrize("file", list(RUN_FILES))
def test_later_versions_are_refused(tmp_path: Path, file: str) -> None:
    folder = write(tmp_path, fit_result(2))
    changed(folder, file, "schema_version", SCHEMA_VERSION + 1)
    with pytest.raises(DataError, match="written by a version that this one does not know"):
        read_run(folder)


def test_later_versions_of_the_arrays_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, fit_result(2))
    with h5py.File(folder / "fitted_data.h5", "r+") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION + 1
    with pytest.raises(DataError, match="written by a version that this one does not know"):
        read_run(folder)


def test_keys_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    folder = write(tmp_path, fit_result(2))
    changed(folder, "parameters.json", "goodness_of_fit", {"p": 0.5})
    assert read_run(folder).solution.values["D0"] == 68512.34
