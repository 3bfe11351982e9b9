"""A small experiment on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import homodyne, started

#: Of a batch: a static fit of one parameter.
TEMPLATE = """\
analysis_mode: static
experimental_data: {file_path: none.h5}
analyzer_parameters:
  dt: 0.1
  scattering: {wavevector_q: 0.0054}
initial_parameters: {fixed_parameters: {alpha: 0.0, D_offset: 0.0}}
parameter_space:
  bounds: [{name: D0, min: 1.0, max: 1.0e+6}]
"""

__all__ = ["TEMPLATE", "homodyne", "started"]


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config.yaml, data.h5 (3 angles x 60 frames) and a run of them."""
    folder = tmp_path_factory.mktemp("experiment")
    steps = (
        ("init",),
        ("simulate", "config.yaml", "-o", "data.h5", "--frames", "60", "--noise", "0.01",
         "--phi", "0,30,60"),
        ("fit", "config.yaml", "-o", "run", "--quiet"),
    )  # fmt: skip
    for step in steps:
        done = homodyne(*step, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(experiment: Path, tmp_path: Path) -> Path:
    """A fresh folder with links to the experiment's config and data, free to be messed up."""
    (tmp_path / "config.yaml").write_bytes((experiment / "config.yaml").read_bytes())
    (tmp_path / "data.h5").symlink_to(experiment / "data.h5")
    return tmp_path
