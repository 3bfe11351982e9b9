"""Names of files may hold what no text does: the whole loop goes through, and the fix stays one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from homodyne_cli.io.scale_fix.scale_fix import read_fix
from tests.cli.conftest import homodyne, started

#: A byte that is no UTF-8, a line break that would begin YAML, quotes, an emoji, steering signs.
ODD = os.fsdecode(b"caf\xe9\nb: 1 # 'x\" \xf0\x9f\x98\x80 \x1b[31m \xe2\x80\xa8 ")


@pytest.fixture
def odd(experiment: Path, tmp_path: Path) -> Path:
    """A folder of such a name, with a config and data of such names."""
    folder = tmp_path / f"{ODD}folder"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    shutil.copyfile(experiment / "config.yaml", folder / f"{ODD}.yaml")
    shutil.copyfile(experiment / "data.h5", folder / f"{ODD}.h5")
    return folder


def test_the_loop_with_odd_names(odd: Path) -> None:
    config, data, run, fix, page = (f"{ODD}{end}" for end in (".yaml", ".h5", "", "fix", ".html"))
    fit = homodyne(
        "fit", config, "--data", data, "-o", run, "--json",
        "--set", "optimization.nlsq.global_search=false", cwd=odd,
    )  # fmt: skip
    assert fit.returncode in {0, 1}, fit.stderr
    assert json.loads(fit.stdout)["run_dir"].startswith(r"caf\udce9\nb: 1 # 'x")
    assert (odd / run / "config_original.yaml").read_bytes() == (odd / config).read_bytes()
    diagnosis = homodyne("diagnose", run, "-o", fix, cwd=odd)
    assert diagnosis.returncode in {0, 1}, diagnosis.stderr
    assert set(read_fix(odd / fix)) >= {"D0", "phi0"}
    assert homodyne("apply-scale", config, fix, cwd=odd).returncode == 0
    again = homodyne("verify", run, "--report", page, "--baseline", run, "--json", cwd=odd)
    assert again.returncode in {0, 1}, again.stderr
    assert json.loads(again.stdout)["run_dir"].startswith(r"caf\udce9\nb: 1 # 'x")
    assert r"caf\udce9" in (odd / page).read_text(encoding="utf-8")


def test_a_file_that_is_not_there_is_named(odd: Path) -> None:
    done = started("fit", f"{ODD}.yaml", "--data", f"{ODD}none.h5", cwd=odd)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
