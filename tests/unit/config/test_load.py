from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.load import (
    config_keys,
    dump_yaml,
    load_config,
    resolve_config,
    template_text,
)
from homodyne_cli.io.yaml_text.load import load_document
from homodyne_cli.parameters import NAMES, AnalysisMode
from homodyne_cli.problem import Bounds, Config, SolverOptions
from tests.support.config_files import HEAD, NLSQ, STATIC, Load, loader, refusal


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loader(tmp_path)


def test_minimal_config_has_the_defaults(load: Load, tmp_path: Path) -> None:
    config = load()
    assert config.path == tmp_path / "c.yaml"
    assert config.selection.path == tmp_path / "data.h5"
    assert (config.selection.start_frame, config.selection.end_frame) == (1, -1)
    assert (config.selection.dt, config.selection.gap, config.selection.q) == (0.1, 2e6, None)
    assert config.selection.phi_ranges is None
    assert config.problem.solver == SolverOptions()
    assert config.problem.convention == "he2024"
    assert config.problem.per_angle_mode == "individual"
    assert config.problem.initial.values is None
    assert config.problem.initial.active is None
    assert dict(config.problem.initial.fixed) == {}
    assert tuple(config.problem.bounds) == NAMES
    assert config.problem.bounds["D0"] == Bounds(1.0, 1e6)
    assert config.problem.contrast_bounds == Bounds(0.0, 1.0)
    assert config.output_directory is None
    assert config.unused_keys == ()


@pytest.mark.parametrize("mode", ["static", "static_isotropic", "static_anisotropic"])
def test_static_spellings(load: Load, mode: str) -> None:
    config = load(head=STATIC.replace("static", mode, 1))
    assert config.problem.mode == "static"
    assert tuple(config.problem.bounds) == NAMES[:3]
    assert config.selection.gap is None


def test_small_exponent_without_a_point_is_a_number(load: Load) -> None:
    config = load("optimization: {nlsq: {xtol: 1e-8, max_iterations: 1e3}}\n")
    assert config.problem.solver.xtol == 1e-8
    assert config.problem.solver.max_iterations == 1000


def test_initial_values_in_both_forms(load: Load) -> None:
    listed = load("initial_parameters: {values: [1e4, -0.5, 0, 1e-3, 0, 0, 2]}\n")
    named = load(
        "initial_parameters: {values: {phi_0: 2, gamma0: 1e-3, D0: 1e4, alpha: -0.5,"
        " D_offset: 0, beta: 0, gamma_offset: 0}}\n"
    )
    shuffled = load(
        "initial_parameters: {parameter_names: [phi0, D0, alpha, D_offset, gamma_dot_0, beta,"
        " gamma_dot_offset], values: [2, 1e4, -0.5, 0, 1e-3, 0, 0]}\n"
    )
    assert listed.problem.initial.values is not None
    assert tuple(listed.problem.initial.values) == NAMES
    assert listed.problem.initial.values["phi0"] == 2.0
    assert listed.problem == named.problem == shuffled.problem


def test_active_and_fixed(load: Load) -> None:
    config = load(
        "initial_parameters:\n"
        "  active_parameters: [gamma_dot_0, D0]\n"
        "  fixed_parameters: {beta: 0.0}\n"
        "  per_angle_scaling: {contrast: 0.2, offset: [1.0, 1.1]}\n"
    )
    assert config.problem.initial.active == ("D0", "gamma_dot_t0")
    assert config.problem.initial.fixed == {"beta": 0.0}
    assert config.problem.initial.contrast == (0.2,)
    assert config.problem.initial.offset == (1.0, 1.1)


def test_fixed_list_holds_the_start(load: Load) -> None:
    text = "initial_parameters: {{fixed_parameters: [D0, phi_0], values: {}}}\n"
    given = load(text.format("[5e4, -0.5, 0, 1e-3, 0, 0, 2]"))
    assert given.problem.initial.fixed == {"D0": 5e4, "phi0": 2.0}
    default = load(text.format("null"))
    assert default.problem.initial.fixed == {"D0": 1e4, "phi0": 0.0}


def test_fixed_value_may_lie_outside_the_bounds_and_wins_over_the_start(load: Load) -> None:
    config = load(
        "initial_parameters: {fixed_parameters: {gamma_dot_t0: 0},"
        " values: [1e4, -0.5, 0, 9, 0, 0, 2]}\n"
    )
    assert config.problem.initial.values is not None
    assert config.problem.initial.values["gamma_dot_t0"] == 0.0


@pytest.mark.parametrize(
    "bounds",
    [
        "[{name: gamma_dot_0, min: 0.1, max: 0.2}]",
        "{gamma_dot_t0: [0.1, 0.2]}",
        "{gamma0: {min: 0.1, max: 0.2}}",
    ],
)
def test_bounds_in_every_form(load: Load, bounds: str) -> None:
    config = load(f"parameter_space: {{bounds: {bounds}}}\n")
    assert config.problem.bounds["gamma_dot_t0"] == Bounds(0.1, 0.2)


def test_one_sided_bounds_keep_the_other_default(load: Load) -> None:
    config = load("parameter_space: {bounds: {D0: {min: 10}, alpha: {max: null}}}\n")
    assert config.problem.bounds["D0"] == Bounds(10.0, 1e6)
    assert config.problem.bounds["alpha"] == Bounds(-2.0, 2.0)


def test_static_accepts_shear_names_in_bounds_only(load: Load) -> None:
    config = load("parameter_space: {bounds: {beta: [-1, 1], D0: [5, 6]}}\n", head=STATIC)
    assert tuple(config.problem.bounds) == NAMES[:3]
    for text in (
        "optimization: {nlsq: {x_scale_map: {beta: 1}}}\n",
        "initial_parameters: {fixed_parameters: {beta: 1}}\n",
        "initial_parameters: {active_parameters: [beta]}\n",
        "initial_parameters: {values: {D0: 1, alpha: 0, D_offset: 0, beta: 0}}\n",
    ):
        error = refusal(load, text, head=STATIC)
        assert "'beta' is not a parameter of analysis_mode static" in str(error)


@pytest.mark.parametrize(
    ("text", "frames"),
    [("[12, 40-43, 41]", (12, 40, 41, 42, 43)), ("[]", ()), ("7-8", (7, 8)), ("3", (3,))],
)
def test_bad_frames(load: Load, text: str, frames: Sequence[int]) -> None:
    assert load("", f"experimental_data.bad_frames={text}").selection.bad_frames == frames


def test_x_scale_modes(load: Load) -> None:
    the_map = "optimization: {nlsq: {x_scale_map: {D0: 2}}}\n"
    assert load(the_map).problem.solver.x_scale == "config"
    assert load("optimization: {nlsq: {x_scale_map: {}}}\n").problem.solver.x_scale == "auto"
    overruled = load(the_map, f"{NLSQ}.x_scale=jac")
    assert overruled.problem.solver.x_scale == "jac"
    assert overruled.unused_keys == (f"{NLSQ}.x_scale_map",)


def test_overrides(load: Load) -> None:
    config = load(
        "parameter_space: {bounds: [{name: gamma0, min: 0.1, max: 0.2}]}\n"
        "optimization: {nlsq: {tolerance: 1e-8}}\n",
        f"{NLSQ}.max_iterations=7",
        f"{NLSQ}.x_scale_map.phi0=0.5",
        f"{NLSQ}.ftol=1e-6",
        "initial_parameters.active_parameters=[D0, alpha]",
        "analyzer_parameters.dt=null",
        "parameter_space.bounds.gamma_dot_t0.max=0.3",
        "parameter_space.bounds.D0.min=50",
        "parameter_space.bounds.0.min=0.2",
        "noise.sigma=0.1",
        "noise.sigma=0.2",
    )
    solver = config.problem.solver
    assert (solver.max_iterations, solver.ftol, solver.x_scale) == (7, 1e-6, "config")
    assert solver.x_scale_map == {"phi0": 0.5}
    assert config.problem.initial.active == ("D0", "alpha")
    assert config.selection.dt is None
    assert config.problem.bounds["gamma_dot_t0"] == Bounds(0.2, 0.3)
    assert config.problem.bounds["D0"] == Bounds(50.0, 1e6)
    assert config.selection.sigma == 0.2


def full_config(folder: Path) -> Config:
    data: dict[str, object] = {
        "analysis_mode": "laminar_flow",
        "model": {"convention": "homodyne-2"},
        "analyzer_parameters": {
            "dt": 0.1,
            "start_frame": 3,
            "end_frame": 400,
            "scattering": {"wavevector_q": 0.0054},
            "geometry": {"stator_rotor_gap": 2000000},
        },
        "experimental_data": {"file_path": "on", "bad_frames": [5, "9-11"]},
        "phi_filtering": {"target_ranges": [[170, -170], {"min_angle": 1, "max_angle": 2}]},
        "noise": {"sigma": 1e-8},
        "per_angle_mode": "constant",
        "fourier_order": 3,
        "initial_parameters": {
            "values": [1e4, -0.5, 0, 1e-3, 0, 0, 2],
            "active_parameters": ["D0", "alpha"],
            "fixed_parameters": ["phi0"],
            "per_angle_scaling": {"contrast": 0.2, "offset": [1.0]},
        },
        "parameter_space": {"bounds": {"D0": [1e-3, 1e17], "offset": [0.9, 1.2]}},
        "optimization": {
            "nlsq": {
                "ftol": 1e-300,
                "loss": "huber",
                "x_scale": "jac",
                "shear_transforms": {"enabled": True},
                "diagnostics": {"enabled": True, "sample_size": 7},
                "multi_start": 3,
                "seed": 9,
            }
        },
        "output": {"directory": "1e-8"},
    }
    return resolve_config(data, folder=folder)


def templates(mode: AnalysisMode) -> Callable[[Path], Config]:
    def loaded(folder: Path) -> Config:
        path = folder / "template.yaml"
        path.write_text(template_text(mode), encoding="utf-8")
        return load_config(path)

    return loaded


@pytest.mark.parametrize(
    "make", [full_config, templates("static"), templates("laminar_flow")], ids=["full", "st", "lf"]
)
def test_resolved_config_loads_back_to_an_equal_one(
    make: Callable[[Path], Config], tmp_path: Path
) -> None:
    config = make(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.yaml").write_text(dump_yaml(config.resolved), encoding="utf-8")
    again = load_config(elsewhere / "config.yaml")
    assert dataclasses.replace(again, path=config.path) == config


def test_dump_is_also_plain_for_yaml_1_1(tmp_path: Path) -> None:
    text = dump_yaml(full_config(tmp_path).resolved)
    assert yaml.safe_load(text) == load_document(text).data


@pytest.mark.parametrize("mode", ["static", "laminar_flow"])
def test_templates_say_the_defaults_and_every_key(
    mode: AnalysisMode, tmp_path: Path, load: Load
) -> None:
    config = templates(mode)(tmp_path)
    assert config.unused_keys == ()
    assert config.problem.mode == mode
    assert config.problem.solver == SolverOptions()
    assert (
        config.problem.bounds
        == load(head=HEAD if mode == "laminar_flow" else STATIC).problem.bounds
    )
    text = template_text(mode)
    left_out = {"data_folder_path", "data_file_name", "parameter_names"}
    if mode == "static":
        left_out |= {"stator_rotor_gap", "enabled", "gamma_dot_t0_ref", "beta_ref"}
        left_out |= {"decorrelate", "beam_size"}
    names = {row.key.split(".")[-1] for row in config_keys()} - left_out
    assert [name for name in sorted(names) if f"{name}:" not in text] == []


def test_resolve_config_leaves_its_argument_alone(tmp_path: Path) -> None:
    data: dict[str, object] = {
        "analysis_mode": "static",
        "experimental_data": {"file_path": "x.h5", "bad_frames": ["1-2"]},
        "logging": {"level": "INFO"},
    }
    before = repr(data)
    config = resolve_config(data, folder=tmp_path, overrides=["noise.sigma=0.5"])
    assert repr(data) == before
    assert config.path is None
    assert config.selection.path == tmp_path / "x.h5"
    assert config.selection.sigma == 0.5
    with pytest.raises(ConfigError, match=r"^<config>: analyzer_parameters\.dt: -1"):
        resolve_config({**data, "analyzer_parameters": {"dt": -1}})


def test_reference_describes_every_key() -> None:
    rows = config_keys()
    assert len({row.key for row in rows}) == len(rows) > 30
    assert all(row.type and row.default and row.description.endswith(".") for row in rows)
    by_key = {row.key: row for row in rows}
    assert by_key["analysis_mode"].default == "required"
    assert by_key[f"{NLSQ}.ftol"][1:3] == ("number > 0", "1e-10")
    assert by_key[f"{NLSQ}.loss"].type == "linear | soft_l1 | huber | cauchy | arctan"
