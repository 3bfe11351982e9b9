"""A key of the config is one field: it is found everywhere, and changing it changes something."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from docs.generate import config_page
from homodyne_cli.cli.options.completers import config_keys as config_completions
from homodyne_cli.core.fit import fit
from homodyne_cli.io.config.keys import ConfigKey, OtherForms, config_keys
from homodyne_cli.io.config.load import resolve_config, template_text
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import (
    Config,
    DataSelection,
    DiagnosticsOptions,
    FitProblem,
    InitialParameters,
    Setup,
    ShearTransforms,
    SolverOptions,
)
from tests.support.config_files import NLSQ, Load, loader, refusal
from tests.support.datasets import RESOLVED, make_dataset
from tests.support.layout_writers import Grid, aps_u

#: Fields that hold no key: bounds of the scaling are part of parameter_space.bounds.
NO_KEYS = {
    FitProblem: {"contrast_bounds", "offset_bounds"},
    Config: {"path", "unused_keys", "resolved"},
}
SECTIONS = (
    *(Config, DataSelection, FitProblem, InitialParameters, SolverOptions),
    *(ShearTransforms, DiagnosticsOptions, Setup),
)
INITIAL, ANALYZER = "initial_parameters", "analyzer_parameters"
#: Key -> settings that change it; those before the last are there in both configs.
CHANGES: Mapping[str, Sequence[str]] = {
    "analysis_mode": [f"{NLSQ}.global_search=true", "analysis_mode=static"],
    "model.convention": ["model.convention=homodyne-2"],
    "experimental_data.file_path": ["experimental_data.file_path=other.h5"],
    "experimental_data.data_folder_path": [
        *("experimental_data.file_path=null", "experimental_data.data_file_name=data.h5"),
        *("experimental_data.data_folder_path=a", "experimental_data.data_folder_path=b"),
    ],
    "experimental_data.data_file_name": [
        *("experimental_data.file_path=null", "experimental_data.data_folder_path=."),
        *("experimental_data.data_file_name=data.h5", "experimental_data.data_file_name=b.h5"),
    ],
    "experimental_data.bad_frames": ["experimental_data.bad_frames=[5]"],
    "experimental_data.dataset": ["experimental_data.dataset=/entry/maps"],
    "experimental_data.angle_axis": ["experimental_data.angle_axis=last"],
    "experimental_data.phi": ["experimental_data.phi=[1, 2, 3, 1, 2, 3]"],
    "experimental_data.baseline": ["experimental_data.baseline=0"],
    "experimental_data.phi_unit": ["experimental_data.phi_unit=radians"],
    f"{ANALYZER}.dt": [f"{ANALYZER}.dt=0.25"],
    f"{ANALYZER}.start_frame": [f"{ANALYZER}.start_frame=3"],
    f"{ANALYZER}.end_frame": [f"{ANALYZER}.end_frame=9"],
    f"{ANALYZER}.scattering.wavevector_q": [f"{ANALYZER}.scattering.wavevector_q=0.0062"],
    f"{ANALYZER}.geometry.stator_rotor_gap": [f"{ANALYZER}.geometry.stator_rotor_gap=1e6"],
    f"{ANALYZER}.exposure": [f"{ANALYZER}.exposure=0.01"],
    f"{ANALYZER}.q_width": [f"{ANALYZER}.q_width=1e-4"],
    f"{ANALYZER}.beam_size": [f"{ANALYZER}.beam_size=1e5"],
    "phi_filtering.enabled": [
        *("phi_filtering.target_ranges=[[-1, 50]]", "phi_filtering.enabled=false"),
    ],
    "phi_filtering.target_ranges": ["phi_filtering.target_ranges=[[-1, 50]]"],
    "noise.sigma": ["noise.sigma=0.1"],
    "noise.weights": ["noise.weights=equal"],
    "per_angle_mode": ["per_angle_mode=shared"],
    "fourier_order": ["per_angle_mode=fourier", "fourier_order=1"],
    "per_repeat_mode": ["experimental_data.file_path=[a.h5, b.h5]", "per_repeat_mode=shared"],
    f"{INITIAL}.parameter_names": [
        f"{INITIAL}.values=[0.1, 0.2, 300, 2e-3, 0.0, 0.0, 1.0]",
        "parameter_space.bounds.D0.min=0.01",
        f"{INITIAL}.parameter_names=[alpha,D0,D_offset,gamma_dot_t0,beta,gamma_dot_t_offset,phi0]",
    ],
    f"{INITIAL}.values": [f"{INITIAL}.values.D0=9e3"],
    f"{INITIAL}.active_parameters": [f"{INITIAL}.active_parameters=[D0]"],
    f"{INITIAL}.fixed_parameters": [f"{INITIAL}.fixed_parameters=[phi0]"],
    f"{INITIAL}.per_angle_scaling.contrast": [
        *("per_angle_mode=fixed", f"{INITIAL}.per_angle_scaling.offset=1.1"),
        *(f"{INITIAL}.per_angle_scaling.contrast={value}" for value in (0.3, 0.25)),
    ],
    f"{INITIAL}.per_angle_scaling.offset": [
        *("per_angle_mode=fixed", f"{INITIAL}.per_angle_scaling.contrast=0.3"),
        *(f"{INITIAL}.per_angle_scaling.offset={value}" for value in (1.1, 1.0)),
    ],
    "analyzer_parameters.time_origin": ["analyzer_parameters.time_origin=5.0"],
    "parameter_space.bounds": ["parameter_space.bounds.D0=[1, 5500]"],
    f"{NLSQ}.max_iterations": [f"{NLSQ}.max_iterations=2"],
    f"{NLSQ}.ftol": [f"{NLSQ}.ftol=1e-2"],
    f"{NLSQ}.xtol": [f"{NLSQ}.xtol=0.5"],
    f"{NLSQ}.gtol": [f"{NLSQ}.gtol=1e6"],
    f"{NLSQ}.loss": [f"{NLSQ}.loss=soft_l1"],
    f"{NLSQ}.trust_region_scale": [f"{NLSQ}.trust_region_scale=0.01"],
    f"{NLSQ}.x_scale": [f"{NLSQ}.x_scale=unit"],
    f"{NLSQ}.x_scale_map": [f"{NLSQ}.x_scale_map.D0=100.0"],
    f"{NLSQ}.shear_transforms.enabled": [f"{NLSQ}.shear_transforms.enabled=true"],
    f"{NLSQ}.shear_transforms.gamma_dot_t0_ref": [
        *(f"{NLSQ}.shear_transforms.enabled=true", f"{NLSQ}.shear_transforms.gamma_dot_t0_ref=10"),
    ],
    f"{NLSQ}.shear_transforms.beta_ref": [
        *(f"{NLSQ}.shear_transforms.enabled=true", f"{NLSQ}.shear_transforms.beta_ref=5"),
    ],
    f"{NLSQ}.shear_transforms.decorrelate": [f"{NLSQ}.shear_transforms.decorrelate=true"],
    f"{NLSQ}.diagnostics.enabled": [f"{NLSQ}.diagnostics.enabled=true"],
    f"{NLSQ}.diagnostics.sample_size": [
        *(f"{NLSQ}.diagnostics.enabled=true", f"{NLSQ}.diagnostics.sample_size=99"),
    ],
    f"{NLSQ}.diagnostics.check_gradients": [
        *(f"{NLSQ}.diagnostics.enabled=true", f"{NLSQ}.diagnostics.check_gradients=false"),
    ],
    f"{NLSQ}.diagnostics.log_jacobian_norms": [
        *(f"{NLSQ}.diagnostics.enabled=true", f"{NLSQ}.diagnostics.log_jacobian_norms=true"),
    ],
    f"{NLSQ}.adaptive_x_scale": [
        *(f"{NLSQ}.x_scale=unit", f"{NLSQ}.max_iterations=60", f"{NLSQ}.adaptive_x_scale=true"),
    ],
    f"{NLSQ}.global_search": [f"{NLSQ}.global_search=true"],
    f"{NLSQ}.multi_start": [f"{NLSQ}.global_search=true", f"{NLSQ}.multi_start=12"],
    f"{NLSQ}.seed": [f"{NLSQ}.global_search=true", f"{NLSQ}.seed=3"],
    "output.directory": ["output.directory=elsewhere"],
}
BASE: Mapping[str, object] = {
    "analysis_mode": "laminar_flow",
    "experimental_data": {"file_path": "data.h5"},
    "analyzer_parameters": {"geometry": {"stator_rotor_gap": 2e6}},
    "initial_parameters": {
        "values": {
            **{"D0": 5e3, "alpha": -0.2, "D_offset": 300.0, "gamma_dot_t0": 2e-3},
            **{"beta": 0.0, "gamma_dot_t_offset": 0.0, "phi0": 1.0},
        }
    },
    "optimization": {"nlsq": {"global_search": False, "max_iterations": 12}},
}
DATA = make_dataset(24, 6, parameters=RESOLVED, noise=0.02)
KEYS = pytest.mark.parametrize("key", config_keys(), ids=lambda key: key.key)


#: Keys whose effect other tests look at: what is compiled for a loss and a convention, weights of
#: speckle data, gradient checks, which change no fit, where the run goes, and arrays that no layout
#: has.
ELSEWHERE = {
    "experimental_data.dataset",
    "experimental_data.angle_axis",
    # Judged after the fit: unit/assumptions.
    f"{ANALYZER}.exposure",
    f"{ANALYZER}.q_width",
    f"{ANALYZER}.beam_size",
    "model.convention",
    "noise.weights",
    # Of several files: unit/rows.
    "per_repeat_mode",
    f"{NLSQ}.loss",
    f"{NLSQ}.diagnostics.sample_size",
    f"{NLSQ}.diagnostics.check_gradients",
    f"{NLSQ}.diagnostics.enabled",
    f"{NLSQ}.diagnostics.log_jacobian_norms",
    "output.directory",
}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loader(tmp_path)


def both(key: str, folder: Path) -> tuple[Config, Config]:
    """Return a config and the same with a key changed."""
    *common, last = CHANGES[key]
    data = {**BASE, INITIAL: {}} if key == "analysis_mode" else BASE
    one, other = (
        resolve_config(data, folder=folder, overrides=settings)
        for settings in (common, [*common, last])
    )
    return one, other


def test_every_key_has_a_change() -> None:
    assert set(CHANGES) == {key.key for key in config_keys()}


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_field_is_a_key_or_a_section(section: type) -> None:
    declared = {key.fields[-1] for key in config_keys() if key.owner is section}
    sections = {step for key in config_keys() for step in key.fields[:-1]}
    fields = {field.name for field in dataclasses.fields(section)}
    assert fields - declared - sections == NO_KEYS.get(section, set())


@KEYS
def test_a_key_is_found_everywhere(key: ConfigKey, load: Load) -> None:
    *above, name = key.path
    assert key.type
    assert key.description.endswith(".")
    assert f"| `{key.key}` |" in config_page()
    assert f"{key.key}=" in config_completions(key.key)
    hint = refusal(load, "", f"{'.'.join([*above, name])}x=1").hint
    assert hint == f"did you mean '{name}'?"
    if key.owner is not OtherForms:
        written: object = load().resolved
        for step in key.path:
            assert isinstance(written, dict)
            written = written[step]
        assert f"{name}:" in template_text("laminar_flow")


@KEYS
def test_changing_a_key_changes_what_is_resolved(key: ConfigKey) -> None:
    before, after = both(key.key, Path("/data"))
    parts = [(c.selection, c.problem, c.output_directory) for c in (before, after)]
    assert parts[0] != parts[1]
    assert key.key not in {*before.unused_keys, *after.unused_keys}


def of_selection(key: ConfigKey) -> bool:
    """Whether a key is about what is read."""
    return key.fields[0] == "selection" or key.path[0] in {"experimental_data", "phi_filtering"}


@pytest.mark.parametrize(
    "key", [k.key for k in config_keys() if of_selection(k) and k.key not in ELSEWHERE]
)
def test_changing_a_key_of_the_selection_changes_what_is_read(key: str, tmp_path: Path) -> None:
    for index, name in enumerate(("data.h5", "b.h5", "other.h5", "a/data.h5", "b/data.h5")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        aps_u(tmp_path / name, Grid(phi=(-30.0, 0.0, 45.0 + index)))
    one, other = (read(config, tmp_path) for config in both(key, tmp_path))
    assert one != other


def read(config: Config, folder: Path) -> list[object]:
    selection = config.selection
    if selection.q is None:
        selection = dataclasses.replace(selection, q=0.0054)
    data = read_dataset(selection, config.problem.mode)
    sigma = None if data.sigma is None else data.sigma.tolist()
    maps = np.nan_to_num(data.array, nan=-1.0).tolist()
    return [data.phi.tolist(), data.t.tolist(), data.q.tolist(), data.gap, sigma, maps]


def outcome(problem: FitProblem) -> tuple[object, ...]:
    """Return what a fit of small data did and where it came to, to the last digit."""
    result = fit(DATA, problem)
    path = tuple((step.chi2, step.step_norm) for step in result.history)
    return (path, result.evaluations, tuple(p.value for p in result.parameters), result.search)


@pytest.mark.parametrize(
    "key",
    [
        key.key
        for key in config_keys()
        if not of_selection(key) and key.key not in ELSEWHERE and key.owner is not OtherForms
    ],
)
def test_changing_a_key_of_the_problem_changes_the_fit(key: str, tmp_path: Path) -> None:
    one, other = (outcome(config.problem) for config in both(key, tmp_path))
    assert one != other


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        (["fourier_order=3"], ["fourier_order"]),
        ([f"{INITIAL}.per_angle_scaling.offset=1.1"], [f"{INITIAL}.per_angle_scaling.offset"]),
        ([f"{NLSQ}.shear_transforms.beta_ref=1"], [f"{NLSQ}.shear_transforms.beta_ref"]),
        ([f"{NLSQ}.seed=4", f"{NLSQ}.multi_start=20"], [f"{NLSQ}.multi_start", f"{NLSQ}.seed"]),
        ([f"{NLSQ}.global_search=true", f"{NLSQ}.multi_start=8"], [f"{NLSQ}.multi_start"]),
        ([f"{NLSQ}.diagnostics.sample_size=9"], [f"{NLSQ}.diagnostics.sample_size"]),
        ([f"{NLSQ}.x_scale=jac", f"{NLSQ}.x_scale_map.D0=2"], [f"{NLSQ}.x_scale_map"]),
        (
            [
                *("per_angle_mode=fixed", "parameter_space.bounds.contrast.max=0.9"),
                f"{INITIAL}.per_angle_scaling={{contrast: 0.3, offset: 1.1}}",
            ],
            ["parameter_space.bounds.contrast"],
        ),
    ],
)
def test_a_key_that_another_one_switches_off_is_told(
    settings: Sequence[str], names: Sequence[str]
) -> None:
    assert list(resolve_config(BASE, overrides=settings).unused_keys) == names


def test_what_only_a_flow_has_is_told_for_a_sample_at_rest() -> None:
    data = {**BASE, "analysis_mode": "static", INITIAL: {}}
    settings = [f"{NLSQ}.shear_transforms.enabled=true", f"{NLSQ}.shear_transforms.beta_ref=1"]
    bounds = ["parameter_space.bounds.beta.max=1"]
    assert set(resolve_config(data, overrides=settings + bounds).unused_keys) == {
        *("parameter_space.bounds.beta", f"{ANALYZER}.geometry.stator_rotor_gap"),
        *(f"{NLSQ}.shear_transforms.enabled", f"{NLSQ}.shear_transforms.beta_ref"),
    }
