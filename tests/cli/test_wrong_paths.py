"""Mistyped paths and files of another kind: told at once, with what to type."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.errors import HomodyneError
from homodyne_cli.findings.codes import Code
from homodyne_cli.io.config.load import load_config
from homodyne_cli.io.formats.layouts import file_kind
from homodyne_cli.io.run.read_run import find_run
from tests.cli.conftest import homodyne

CONFIG = "analysis_mode: static\nexperimental_data: {file_path: gone.h5}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("fit", "gone.yaml"),
        ("fit", "config.yaml"),
        ("fit", "config.yaml", "--data", "gone.npz"),
        ("check", "config.yaml"),
        ("inspect", "gone.h5"),
        *((command, "gone") for command in ("verify", "diagnose", "report", "show")),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_told_without_the_numerical_libraries(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    numerical = ("numpy", "h5py") if words[0] == "fit" else ()
    code = (
        f"import sys\nnumerical = {numerical!r}\n"
        f"sys.argv = ['homodyne', *{words!r}]\n"
        "from homodyne_cli.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    print(stop.code)\n"
        "print([m for m in ('jax', 'scipy', 'matplotlib', *numerical) if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    code_of, heavy = done.stdout.split("\n")[:2]
    assert code_of in ("2", "3")
    assert heavy == "[]"
    assert f"[{Code.NO_FILE}]" in done.stderr


def told(refused: pytest.ExceptionInfo[HomodyneError]) -> str:
    assert refused.value.code is Code.WRONG_KIND
    return str(refused.value.hint)


def test_each_is_called_by_its_name(tmp_path: Path) -> None:
    config, data, numbers = (tmp_path / name for name in ("c.yaml", "d.h5", "n.npz"))
    config.write_text(CONFIG)
    with h5py.File(data, "w") as file:
        file["x"] = 1
    np.savez(numbers, x=np.zeros(3))
    for path in (data, numbers):
        with pytest.raises(HomodyneError, match="this is a data file") as refused:
            load_config(path)
        assert f"--data {path}" in told(refused)
    with pytest.raises(HomodyneError, match="this is a config") as refused:
        file_kind(config)
    assert f"homodyne check {config}" in told(refused)
    with pytest.raises(HomodyneError, match="not a run directory") as refused:
        find_run(data)
    assert f"homodyne inspect {data}" in told(refused)
    with pytest.raises(HomodyneError, match="a folder") as refused:
        load_config(tmp_path)
    assert f"homodyne show {tmp_path}" in told(refused)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fit confg.yaml", "did you mean config.yaml?"),
        ("fit config.yaml --data folder/dta.h5", "did you mean {}/folder/data.h5?"),
        ("show rnu", "did you mean run?"),
        ("show batch", "name a run in it: batch/scan1"),
        ("show folder", "a run holds parameters.json"),
        ("inspect run", "homodyne show run"),
        ("verify config.yaml", "homodyne fit config.yaml"),
        ("diagnose folder/data.h5", "homodyne inspect folder/data.h5"),
        ("apply-scale fix.yaml config.yaml", "it comes first, homodyne apply-scale CONFIG FIX"),
    ],
)
def test_a_hint_names_what_was_meant(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "fix.yaml").write_text("x_scale_map: {D0: 1.0}\n")
    for run in (tmp_path / "run", tmp_path / "batch" / "scan1"):
        run.mkdir(parents=True)
        for name in ("parameters.json", "fitted_data.h5"):
            (run / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "data.h5").touch()
    done = homodyne(*line.split(), cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert said.format(tmp_path) in done.stderr.splitlines()[-1]


def test_keys_without_effect_are_not_recommended(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = homodyne("check", "config.yaml", "--set", "foo.bar=1", cwd=tmp_path)
    hint = done.stderr.splitlines()[-1]
    assert "analyzer_parameters" in hint
    assert "hpc_settings" not in hint
