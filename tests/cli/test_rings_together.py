"""Rings and repeats through every command: one fit, and nothing forgets which map is which."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from rich.cells import cell_len

from tests.cli.conftest import homodyne

CONFIG = """\
analysis_mode: laminar_flow
experimental_data: {file_path: [a.h5, b.h5]}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: [0.0054, 0.0081]}
  geometry: {stator_rotor_gap: 2.0e+6}
initial_parameters:
  values: [3000.0, -0.4, 600.0, 1.0e-3, -0.25, 1.0e-4, 2.0]
  fixed_parameters: {D_offset: 600.0, gamma_dot_t_offset: 1.0e-4}
"""
#: Two files, two rings, three angles.
N_MAPS = 12


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two files of two rings and a run of all of them."""
    folder = tmp_path_factory.mktemp("joint")
    (folder / "config.yaml").write_text(CONFIG)
    steps: list[tuple[str, ...]] = [
        ("simulate", "config.yaml", "-o", f"{name}.h5", "--frames", "40", "--noise", "0.01",
         "--phi=-30,0,45", "--seed", str(seed))
        for seed, name in enumerate("ab")
    ]  # fmt: skip
    for step in (*steps, ("fit", "config.yaml", "-o", "run", "--quiet")):
        done = homodyne(*step, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_run_directory_says_of_every_map_which_it_is(joint: Path) -> None:
    run = joint / "run"
    scaling = json.loads((run / "parameters.json").read_text())["scaling"]
    expected = [
        (repeat, q, phi)
        for repeat in (1, 2)
        for q in (0.0054, 0.0081)
        for phi in (-30.0, 0.0, 45.0)
    ]
    assert [(row["repeat"], row["q"], row["phi"]) for row in scaling] == expected
    info = json.loads((run / "analysis_results_nlsq.json").read_text())["dataset_info"]
    assert info["q_value"] is None
    assert list(zip(info["repeats"], info["q_values"], info["phi_angles"], strict=True)) == expected
    with h5py.File(run / "fitted_data.h5") as file:
        assert "q" not in file
        assert file["c2"].shape == (N_MAPS, 39, 39)
        columns = [file[name][:].tolist() for name in ("repeat", "q_of_map", "phi")]
    assert list(zip(*columns, strict=True)) == expected
    assert len(list(run.glob("c2_heatmaps_repeat_*_q_*_phi_*.png"))) == N_MAPS
    manifest = json.loads((run / "manifest.json").read_text())
    assert [Path(entry["path"]).name for entry in manifest["inputs"]] == [
        "config.yaml", "a.h5", "b.h5",
    ]  # fmt: skip


def test_every_command_reads_it(joint: Path) -> None:
    shown = homodyne("show", "run", cwd=joint, COLUMNS="100")
    assert shown.returncode == 0, shown.stderr
    assert "repeat  q (1/Å)  phi (deg)" in shown.stdout
    assert "Rings off the joint fit" in shown.stdout
    assert "Repeats off the joint fit" in shown.stdout
    verified = homodyne("verify", "run", "--json", cwd=joint)
    checks = {c["id"]: c["status"] for c in json.loads(verified.stdout)["checks"]}
    assert checks["chi_squared"] == checks["convergence"] == "pass", verified.stdout
    assert checks["rings"] == checks["repeats"] == "pass", verified.stdout
    agreement = json.loads(verified.stdout)["agreement"]
    assert agreement["rings"]["parts"] == [0.0054, 0.0081]
    assert [q["name"] for q in agreement["repeats"]["quantities"]] == ["J", "shear rate", "phi0"]
    assert (joint / "run" / "rings.png").stat().st_size > 1000
    table = homodyne("verify", "run", cwd=joint, COLUMNS="80").stdout
    assert "Repeats off the joint fit" in table
    assert not [line for line in table.splitlines() if cell_len(line) > 80]
    diagnosis = json.loads(homodyne("diagnose", "run", "--json", cwd=joint).stdout)
    assert not diagnosis["premature"]
    text = homodyne("export", "run", cwd=joint).stdout
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["quantity"] == "contrast"]
    assert [row["repeat"] for row in rows] == ["1"] * 6 + ["2"] * 6
    assert len({(row["repeat"], row["q"], row["phi"]) for row in rows}) == N_MAPS
    done = homodyne("export", "run", "--format", "npz", "-o", "run.npz", cwd=joint)
    assert done.returncode == 0, done.stderr
    with np.load(joint / "run.npz") as arrays:
        assert arrays["q"].shape == arrays["phi_angles"].shape == (N_MAPS,)
    done = homodyne("report", "run", "-o", "run.html", cwd=joint)
    assert done.returncode == 0, done.stderr
    page = (joint / "run.html").read_text(encoding="utf-8")
    assert "repeat 2, q = 0.0081 1/Å, 45.00°" in page
    assert "<h3>Rings against the joint fit</h3>" in page
    # Three quantities of rings and of repeats; the parts stand where they are.
    assert page.count("data-plot='points'") == 6
    assert '"xlabel":"q (1/Å)"' in page.replace('": ', '":')
    compared = json.loads(homodyne("compare", "run", "run", "--json", cwd=joint).stdout)
    assert any("0.0054, 0.0081" in str(row) for row in compared["data"])


def test_one_ring_is_written_as_it_always_was(joint: Path) -> None:
    words = ("--set", "experimental_data.file_path=a.h5", "--set",
             "analyzer_parameters.scattering.wavevector_q=0.0054")  # fmt: skip
    done = homodyne("fit", "config.yaml", "-o", "one", "--no-plots", "--quiet", *words, cwd=joint)
    assert done.returncode == 0, done.stderr
    scaling = json.loads((joint / "one" / "parameters.json").read_text())["scaling"]
    assert set(scaling[0]) == {
        "phi", "contrast", "contrast_uncertainty", "offset", "offset_uncertainty", "sigma",
    }  # fmt: skip
    info = json.loads((joint / "one" / "analysis_results_nlsq.json").read_text())["dataset_info"]
    assert info["q_value"] == 0.0054
    assert not {"q_values", "repeats"} & set(info)
    assert "agreements" not in json.loads(
        (joint / "one" / "analysis_results_nlsq.json").read_text()
    )
    with h5py.File(joint / "one" / "fitted_data.h5") as file:
        assert file["q"][()] == 0.0054
        assert not {"q_of_map", "repeat"} & set(file)


def test_a_robust_loss_says_that_it_cannot_compare(joint: Path) -> None:
    words = ("--set", "optimization.nlsq.loss=soft_l1", "--no-global", "--no-plots", "--quiet")
    done = homodyne("fit", "config.yaml", "-o", "robust", *words, cwd=joint)
    assert done.returncode == 0, done.stderr
    assert "the rings are not compared: with a robust loss" in done.stdout
    assert "the repeats are not compared" in homodyne("show", "robust", cwd=joint).stdout
    answer = json.loads(homodyne("verify", "robust", "--json", cwd=joint).stdout)
    checks = {check["id"]: check for check in answer["checks"]}
    assert checks["rings"]["status"] == checks["repeats"]["status"] == "n/a"
    assert "fit --each" in homodyne("verify", "robust", "--quiet", cwd=joint).stdout


def test_streamed_rings_give_the_same_answer(joint: Path) -> None:
    done = homodyne(
        "fit", "config.yaml", "-o", "streamed", "--no-plots", "--quiet", "--memory", "500.1MB",
        cwd=joint,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    held, streamed = (
        json.loads((joint / name / "parameters.json").read_text())["parameters"]
        for name in ("run", "streamed")
    )
    for name, parameter in held.items():
        assert streamed[name]["value"] == pytest.approx(parameter["value"], rel=1e-6)


def test_commands_that_take_one_ring_say_so(joint: Path) -> None:
    done = homodyne("plan", "config.yaml", "--noise", "0.01", cwd=joint)
    assert done.returncode == 2
    assert "wavevector_q, of one ring" in done.stderr


def test_each_fits_parts_apart_and_compares_them(joint: Path) -> None:
    one_file = ("--set", "experimental_data.file_path=a.h5")
    words = ("fit", "config.yaml", "-o", "apart", "--each", "--no-plots", "--quiet", *one_file)
    done = homodyne(*words, "--json", cwd=joint)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [Path(fit["run_dir"]).name for fit in answer["fits"]] == [
        "apart_q0.0054",
        "apart_q0.0081",
    ]
    rings = answer["agreement"]["rings"]
    assert rings["parts"] == [0.0054, 0.0081]
    # Five parameters of two rings, or none where a ring has one of them at a bound; one pair of
    # estimates in five hundred is further apart.
    assert (rings["degrees_of_freedom"], rings["chi2"]) == (0, None) or rings["chi2"] < 19.0
    d0 = [fit["parameters"]["D0"] for fit in answer["fits"]]
    assert abs(d0[0]["value"] - d0[1]["value"]) < 4.0 * np.hypot(*(p["uncertainty"] for p in d0))
    with h5py.File(joint / "apart_q0.0081" / "fitted_data.h5") as file:
        assert file["q"][()] == 0.0081
    shown = homodyne(*words, "--force", cwd=joint, COLUMNS="80")
    assert "Rings off their mean" in shown.stdout
    assert "pass: 2 rings" in shown.stdout


def test_each_of_one_ring_in_one_file_is_refused(joint: Path) -> None:
    done = homodyne(
        "fit", "config.yaml", "--each", "--set", "experimental_data.file_path=a.h5", "--set",
        "analyzer_parameters.scattering.wavevector_q=0.0054", cwd=joint,
    )  # fmt: skip
    assert done.returncode == 2
    assert "one ring in one file" in done.stderr
