"""``show``, ``compare`` and ``export``: what is known of a run, again and elsewhere."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.cells import cell_len

from homodyne_cli.io.run.read_result import read_result
from homodyne_cli.io.run.read_run import read_run
from homodyne_cli.parameters import NAMES
from tests.cli.conftest import homodyne


@pytest.fixture(scope="module")
def other(experiment: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run again with D0 five of its sigmas higher, and another tolerance in its config."""
    place = tmp_path_factory.mktemp("runs") / "other"
    shutil.copytree(experiment / "run", place)
    parameters = json.loads((place / "parameters.json").read_text())
    d0 = parameters["parameters"]["D0"]
    d0["value"] += 5.0 * np.sqrt(2.0) * d0["uncertainty"]
    (place / "parameters.json").write_text(json.dumps(parameters))
    config = (place / "config.yaml").read_text().replace("max_iterations: 100", "max_iterations: 9")
    (place / "config.yaml").write_text(config)
    return place


@pytest.mark.parametrize("width", [80, 200])
def test_show_tells_what_fit_told(experiment: Path, width: int) -> None:
    done = homodyne("show", "run", cwd=experiment, COLUMNS=str(width))
    assert done.returncode == 0, done.stderr
    assert all(cell_len(line) <= width for line in done.stdout.splitlines())
    for wanted in (*NAMES, "converged", "J(t)", "MSD", "strain", "Next: homodyne verify run"):
        assert wanted in done.stdout


def test_a_run_without_its_curves_gets_them_from_its_covariance(
    experiment: Path, tmp_path: Path
) -> None:
    shutil.copytree(experiment / "run", tmp_path / "run")
    (tmp_path / "run" / "curves.csv").unlink()
    stored, derived = (read_result(folder / "run").result for folder in (experiment, tmp_path))
    for one, two in zip(stored.curves, derived.curves, strict=True):
        np.testing.assert_allclose(one.value, two.value, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(one.uncertainty, two.uncertainty, rtol=1e-6, atol=1e-12)


def test_compare_marks_what_differs_and_only_that(experiment: Path, other: Path) -> None:
    done = homodyne("compare", "run", str(other), "--json", cwd=experiment)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    rows = {row["what"].split()[0]: row for row in answer["parameters"]}
    assert rows["D0"]["apart"] == [pytest.approx(5.0)]
    assert [name for name, row in rows.items() if row["differs"]] == ["D0"]
    assert [row["what"] for row in answer["config"]] == ["optimization.nlsq.max_iterations"]
    assert not any(row["differs"] for row in answer["data"])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_compared_runs_fit_their_terminal(experiment: Path, other: Path, width: int) -> None:
    done = homodyne("compare", "run", str(other), cwd=experiment, COLUMNS=str(width))
    tables = done.stdout.partition("* differs (")[0]
    assert "* D0" in tables
    assert all(cell_len(line) <= width for line in tables.splitlines())
    assert "Next: homodyne report run" in done.stdout


def test_one_run_has_nothing_to_be_compared_with(experiment: Path) -> None:
    done = homodyne("compare", "run", cwd=experiment)
    assert done.returncode == 2
    assert "two or more" in done.stderr


def test_exported_csv_is_the_run(experiment: Path) -> None:
    done = homodyne("export", "run", cwd=experiment)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    stored = json.loads((experiment / "run" / "parameters.json").read_text())
    for row in rows[: len(NAMES)]:
        entry = stored["parameters"][row["quantity"]]
        assert float(row["value"]) == pytest.approx(entry["value"], rel=1e-9)
        assert float(row["uncertainty"]) == pytest.approx(entry["uncertainty"], rel=1e-9)
    offsets = [float(row["value"]) for row in rows if row["quantity"] == "offset"]
    assert offsets == pytest.approx([row["offset"] for row in stored["scaling"]], rel=1e-9)


def test_exported_json_and_latex(experiment: Path) -> None:
    answer = json.loads(homodyne("export", "run", "--format", "json", cwd=experiment).stdout)
    assert [p["name"] for p in answer["result"]["parameters"]] == list(NAMES)
    table = homodyne("export", "run", "--format", "latex", cwd=experiment).stdout
    assert table.count(r"\pm") == len(NAMES)
    assert table.count("{") == table.count("}")
    assert table.count("&") == 2 * (len(NAMES) + 1)


def test_exported_npz_is_a_run_of_homodyne_2(experiment: Path, tmp_path: Path) -> None:
    done = homodyne(
        "export", "run", "--format", "npz", "-o", str(tmp_path / "fitted_data.npz"), cwd=experiment
    )
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "fitted_data.npz") as file:
        arrays = dict(file)
    run = read_run(experiment / "run")
    i, j = np.triu_indices(run.dataset.n_frames, 1)
    with h5py.File(experiment / "run" / "fitted_data.h5") as file:
        c2, fitted, sigma = (file[name][:] for name in ("c2", "c2_fitted", "sigma"))
    np.testing.assert_allclose(arrays["c2_exp"][:, j, i], c2[:, i, j])
    np.testing.assert_allclose(arrays["c2_theoretical_scaled"][:, i, j], fitted[:, i, j], rtol=1e-6)
    pull = (c2 - fitted)[:, i, j] / sigma[:, None]
    np.testing.assert_allclose(arrays["residuals_normalized"][:, i, j], pull, atol=1e-4)
    contrast, offset = arrays["per_angle_scaling"].T[..., None, None]
    scaled = offset + contrast * arrays["c2_theoretical_raw"]
    np.testing.assert_allclose(scaled[:, i, j], arrays["c2_theoretical_scaled"][:, i, j])
    shutil.copy(experiment / "run" / "parameters.json", tmp_path)
    again = read_run(tmp_path)
    assert again.problem.convention == "homodyne-2"
    np.testing.assert_allclose(again.solution.contrast, run.solution.contrast)


def test_exported_nexus_has_its_default_plot(experiment: Path, tmp_path: Path) -> None:
    out = tmp_path / "fit.nxs"
    assert homodyne("export", "run", "--format", "nexus", cwd=experiment).returncode == 2
    done = homodyne("export", "run", "--format", "nexus", "-o", str(out), cwd=experiment)
    assert done.returncode == 0, done.stderr
    with h5py.File(out) as file:
        entry = file[file.attrs["default"]]
        fit = entry[entry.attrs["default"]]
        data = fit[fit.attrs["default"]]
        assert [g.attrs["NX_class"] for g in (entry, fit, data)] == ["NXentry", "NXfit", "NXdata"]
        signal = data[data.attrs["signal"]]
        assert signal.shape == tuple(len(data[name]) for name in data.attrs["axes"])
        rows = fit["global_fit_function/fit_parameters"]
        stored = read_result(experiment / "run").result
        for p in stored.parameters:
            assert (rows[p.name][()], rows[f"{p.name}_errors"][()]) == (p.value, p.uncertainty)
