from __future__ import annotations

from pathlib import Path

import pytest

from homodyne_cli.io.config.load import config_keys
from homodyne_cli.problem import Bounds
from tests.support.config_files import HEAD, Load, loader


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loader(tmp_path)


LEGACY = """\
metadata: {config_version: "2.23.1", generated_at: null}
config_version: "2.23.1"
_note: early configs carried comments as keys
analysis_mode: "laminar_flow"
analyzer_parameters:
  dt: 0.1
  start_frame: 1000
  end_frame: 2000
  scattering: {wavevector_q: 0.0054}
  geometry: {stator_rotor_gap: 2000000}
analysis_settings: {static_mode: false, model_description: {type: flow, parameters: 7}}
experimental_data:
  data_folder_path: "./data/"
  data_file_name: "run.hdf"
  phi_angles_file: "phi.txt"
  cache_filename_template: "q${wavevector_q}.npz"
  exchange_key: "exchange"
phi_filtering:
  enabled: true
  target_ranges:
    - {min_angle: -10.0, max_angle: 10.0, description: "parallel"}
    - {min_angle: 170.0, max_angle: -170.0, description: "antiparallel"}
  fallback_to_all_angles: true
  tolerance: 3.0
  quality_control: {min_angles_required: 1}
initial_parameters:
  parameter_names: [D0, alpha, D_offset, gamma_dot_0, beta, gamma_dot_offset, phi_0]
  values: null
  per_angle_scaling: {contrast: null, offset: null}
  units: ["A", "", "A", "1/s", "", "1/s", "deg"]
  active_parameters: null
  fixed_parameters: null
parameter_space:
  model: "laminar_flow"
  bounds:
    - {name: contrast, min: 0.0, max: 0.9, type: TruncatedNormal}
    - {name: D0, min: 100.0, max: 1e5, type: TruncatedNormal, prior_mu: 1e3, prior_sigma: 1e3}
    - name: gamma_dot_0
      min: 1e-6
      max: 0.4
      type: Normal
      unit: "1/s"
  priors: null
optimization:
  method: "nlsq"
  nlsq:
    workflow: "auto"
    memory_fraction: 0.75
    max_iterations: 150
    tolerance: 1e-8
    loss: "soft_l1"
    trust_region_scale: 1.0
    verbose: false
    x_scale_map: {D0: 1.20, gamma_dot_t0: 0.00000371}
    shear_transforms: {enabled: false}
    progress: {enable: true}
    diagnostics: {enabled: false, sample_size: 2048}
    hybrid_streaming: {enable: true, chunk_size: 10000}
    anti_degeneracy: {enable: true, per_angle_mode: "auto", hierarchical: {enable: true}}
    multi_start: {enable: true, n_starts: 12, seed: 42, use_screening: true}
    cmaes: {enable: false}
  streaming: {checkpoint_dir: "./c"}
  mcmc: {num_samples: 2000, initial_values: {phi: {}}}
  cmc: {enable: "auto", per_angle_mode: "auto"}
performance: {memory_limit_gb: null}
logging: {modules: {"jax._src": "WARNING"}}
output: {directory: "./results", base_directory: "./old/", formats: {hdf5: true}}
validation: {strict_mode: false}
"""


def test_homodyne_2_config_is_read_as_it_is(load: Load, tmp_path: Path) -> None:
    config = load(head=LEGACY)
    assert config.selection.path == tmp_path / "data" / "run.hdf"
    assert (config.selection.start_frame, config.selection.end_frame) == (1000, 2000)
    assert config.selection.phi_ranges == ((-10.0, 10.0), (170.0, -170.0))
    assert config.problem.bounds["D0"] == Bounds(100.0, 1e5)
    assert config.problem.bounds["gamma_dot_t0"] == Bounds(1e-6, 0.4)
    assert config.problem.bounds["phi0"] == Bounds(-10.0, 10.0)
    assert config.problem.contrast_bounds == Bounds(0.0, 0.9)
    assert config.problem.per_angle_mode == "individual"
    solver = config.problem.solver
    assert (solver.max_iterations, solver.ftol, solver.loss) == (150, 1e-8, "soft_l1")
    assert solver.x_scale == "config"
    assert solver.x_scale_map == {"D0": 1.2, "gamma_dot_t0": 3.71e-6}
    assert (solver.multi_start, solver.seed) == (12, 42)
    assert config.output_directory == tmp_path / "results"


def test_unused_2_keys_are_listed_once_each(load: Load) -> None:
    unused = load(head=LEGACY).unused_keys
    assert len(set(unused)) == len(unused)
    assert {
        "metadata",
        "_note",
        "analysis_settings",
        "experimental_data.phi_angles_file",
        "phi_filtering.tolerance",
        "phi_filtering.target_ranges.*.description",
        "initial_parameters.units",
        "parameter_space.model",
        "parameter_space.bounds.*.prior_mu",
        "optimization.nlsq.anti_degeneracy",
        "optimization.nlsq.multi_start.use_screening",
        "optimization.mcmc",
        "logging",
        "output.base_directory",
    } <= set(unused)
    acting = {row.key for row in config_keys()}
    assert not acting & set(unused)


def test_old_spellings_that_act(load: Load) -> None:
    config = load(
        """\
optimization_config: {angle_filtering: {enabled: true, target_ranges: [[0, 5]]}}
optimization: {nlsq: {anti_degeneracy: {per_angle_mode: fourier, fourier: {order: 3}}}}
""",
        head=HEAD.replace("  dt: 0.1\n", "  temporal: {dt: 0.2, start_frame: 5}\n"),
    )
    assert (config.selection.dt, config.selection.start_frame) == (0.2, 5)
    assert config.selection.phi_ranges == ((0.0, 5.0),)
    assert (config.problem.per_angle_mode, config.problem.fourier_order) == ("fourier", 3)
    assert config.unused_keys == ()


def test_new_spelling_wins_over_the_nested_one(load: Load) -> None:
    config = load(
        "per_angle_mode: shared\n"
        "optimization: {nlsq: {seed: 1, multi_start: {enable: false, n_starts: 9, seed: 42},"
        " anti_degeneracy: {per_angle_mode: fourier}}}\n"
    )
    assert config.problem.per_angle_mode == "shared"
    assert (config.problem.solver.multi_start, config.problem.solver.seed) == (0, 1)
    assert config.unused_keys == (
        "optimization.nlsq.anti_degeneracy.per_angle_mode",
        "optimization.nlsq.multi_start.seed",
    )


def test_disabled_defence_does_not_choose_the_mode(load: Load) -> None:
    config = load(
        "optimization: {nlsq: {anti_degeneracy: {enable: false, per_angle_mode: fourier}}}\n"
    )
    assert config.problem.per_angle_mode == "individual"


def test_multi_start_as_a_number(load: Load) -> None:
    config = load("optimization: {nlsq: {multi_start: 5, seed: 3}}\n")
    assert (config.problem.solver.multi_start, config.problem.solver.seed) == (5, 3)


def test_file_path_wins_over_folder_and_name(load: Load, tmp_path: Path) -> None:
    extra = "experimental_data: {file_path: a.h5, data_folder_path: b, data_file_name: c}\n"
    config = load(extra, head="analysis_mode: static\n")
    assert config.selection.path == tmp_path / "a.h5"
    assert set(config.unused_keys) == {
        "experimental_data.data_folder_path",
        "experimental_data.data_file_name",
    }
