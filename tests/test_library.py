"""The library: the names of the package, imported when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import homodyne_cli
from homodyne_cli import diagnose, evaluate_run, fit, load_config, load_data, load_run, verify


def test_importing_the_package_costs_nothing() -> None:
    code = (
        "import sys, homodyne_cli\n"
        "assert 'fit' in dir(homodyne_cli)\n"
        "print([m for m in sys.modules if m.startswith(('jax', 'numpy', 'homodyne_cli.'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", homodyne_cli.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(homodyne_cli, name).__doc__


def test_other_names_are_missing_as_anywhere() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fti'"):
        _ = homodyne_cli.fti  # type: ignore[attr-defined]


def test_from_a_config_to_checks(own_run: Path) -> None:
    config = load_config(own_run.parent / "config.yaml")
    data = load_data(config.selection, config.problem.mode)
    result = fit(data, config.problem)
    stored = load_run(own_run)
    for parameter in result.parameters:
        assert stored.solution.values[parameter.name] == pytest.approx(parameter.value, rel=1e-6)
    run = evaluate_run(stored)
    assert not diagnose(run).premature
    assert {check.id for check in verify(run)} >= {"convergence", "chi_squared"}
