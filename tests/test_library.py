"""The library: the names of the package, imported when they are used, and what they return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import homodyne_cli
from homodyne_cli import diagnose, fit, load_config, load_data, load_run, make_run, verify
from homodyne_cli.errors import UsageError
from homodyne_cli.library.fitted import Fit
from homodyne_cli.library.shown import Shown


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


@pytest.fixture(scope="module")
def fitted(own_run: Path) -> Fit:
    return fit(load_config(own_run.parent / "config.yaml"))


@pytest.fixture(scope="module")
def stored(own_run: Path) -> Fit:
    return load_run(own_run)


def test_from_a_config_to_checks(fitted: Fit, stored: Fit, own_run: Path) -> None:
    for parameter in fitted:
        assert stored[parameter.name].value == pytest.approx(parameter.value, rel=1e-6)
    assert stored.run_directory == own_run
    for run in (fitted, stored):
        diagnosis, checks = diagnose(run), verify(run)
        assert not diagnosis.premature
        assert set(diagnosis.x_scale_map) == {p.name for p in run}
        assert {check.id for check in checks} >= {"convergence", "chi_squared"}
        assert checks.passed == bool(checks)
    with pytest.raises(KeyError, match="the parameters are D0"):
        fitted["gamma"]


def test_an_older_fit_is_compared_with(fitted: Fit, stored: Fit) -> None:
    message = next(c.message for c in verify(fitted, stored) if c.id == "chi_squared")
    assert str(stored.run_directory) in message


def test_data_that_were_read_before_give_the_same_fit(fitted: Fit, own_run: Path) -> None:
    config = load_config(str(own_run.parent / "config.yaml"))
    data = load_data(config)
    assert data.findings is not None
    again = fit(config, data, profile=["D0"])
    assert [p.value for p in again] == [p.value for p in fitted]
    assert [interval.name for interval in again.result.profiles] == ["D0"]


def test_settings_are_those_of_the_command_line(own_run: Path) -> None:
    settings = ["optimization.nlsq.max_iterations=7"]
    config = load_config(own_run.parent / "config.yaml", settings)
    assert config.problem.solver.max_iterations == 7


def test_a_run_is_written_and_read_back(own_run: Path, tmp_path: Path, fitted: Fit) -> None:
    run = make_run(load_config(own_run.parent / "config.yaml"), tmp_path / "made")
    assert run.run_directory == tmp_path / "made"
    assert run.seconds is not None
    assert run["D0"].value == pytest.approx(fitted["D0"].value, rel=1e-9)


def test_plain_data_are_what_the_commands_print(fitted: Fit, stored: Fit) -> None:
    answer = fitted.to_dict()
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["run_dir"] is None
    assert stored.to_dict()["run_dir"] == str(stored.run_directory)
    parameters = answer["parameters"]
    assert isinstance(parameters, dict)
    assert parameters["D0"]["value"] == fitted["D0"].value
    assert set(diagnose(fitted).to_dict()) >= {"gradients", "edm", "x_scale_map"}
    assert set(verify(fitted).to_dict()) >= {"passed", "checks"}


def test_results_show_themselves(fitted: Fit) -> None:
    views: tuple[tuple[Shown, tuple[str, str]], ...] = (
        (fitted, ("D0", "converged")),
        (diagnose(fitted), ("gradient_noise", "D_offset")),
        (verify(fitted), ("chi_squared", "verdict")),
    )
    for result, words in views:
        html = result._repr_html_()
        assert html.count("<table") == html.count("</table>") == 1
        for word in words:
            assert word in html
        assert repr(result).startswith(f"<{type(result).__name__}: ")


def test_tables_are_data_frames(fitted: Fit) -> None:
    """With the pandas of `make test`; where none is installed there is nothing to test."""
    pandas = pytest.importorskip("pandas")
    tables: tuple[tuple[Shown, str, set[str]], ...] = (
        (fitted, "parameter", {"value", "uncertainty", "initial", "lower", "upper"}),
        (diagnose(fitted), "parameter", {"value", "gradient", "z", "x_scale"}),
        (verify(fitted), "check", {"value", "threshold"}),
    )
    for result, index, numbers in tables:
        frame = result.to_dataframe()
        assert isinstance(frame, pandas.DataFrame)
        assert frame.index.name == index
        assert numbers <= set(frame.select_dtypes("number").columns)
    frame = fitted.to_dataframe()
    assert frame.loc["D0", "value"] == fitted["D0"].value
    assert frame["uncertainty"].tolist() == [p.uncertainty for p in fitted]
    assert verify(fitted).to_dataframe().loc["chi_squared", "status"] == "pass"


def test_without_pandas_there_is_one_clear_error(
    fitted: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="needs pandas") as refused:
        fitted.to_dataframe()
    assert "pip install pandas" in str(refused.value.hint)


def test_plots_go_on_the_axes_that_are_given(fitted: Fit) -> None:
    figure = Figure()
    curve, data, residual, correlation = figure.subplots(1, 4)
    fitted.plot_curve("transport_coefficient", curve)
    (line,) = curve.get_lines()
    drawn = fitted.curve("transport_coefficient").value
    np.testing.assert_array_equal(np.asarray(line.get_ydata()), drawn)
    fitted.plot_map(0, data)
    fitted.plot_map(0, residual, "residual")
    upper = np.triu_indices(fitted.data.n_frames, 1)
    measured, normal = (np.asarray(a.get_images()[0].get_array())[upper] for a in (data, residual))
    np.testing.assert_allclose(measured, fitted.data.c2[0][upper])
    # 406 pairs: the spread of unit noise is known to 3.5%.
    assert np.std(normal) == pytest.approx(1.0, abs=0.15)
    fitted.plot_correlation(correlation)
    matrix = np.asarray(correlation.get_images()[0].get_array())
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    with pytest.raises(UsageError, match="no map 99"):
        fitted.plot_map(99, data)
    with pytest.raises(UsageError, match="no curve 'shear'"):
        fitted.plot_curve("shear", curve)
