from __future__ import annotations

from pathlib import Path

import pytest

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.load import load_config
from tests.support.config_files import HEAD, NLSQ, STATIC, Load, loader, refusal


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return loader(tmp_path)


GAP = "analyzer_parameters: {geometry: {stator_rotor_gap: 2e6}}"
REFUSALS = [
    ("analyzer_parameters: {dt: -0.1}", "6:27: analyzer_parameters.dt: -0.1", "number > 0"),
    ("analyzer_parameters: {dt: fast}", "6:27: analyzer_parameters.dt: 'fast'", "number > 0"),
    ("analyzer_parameters: {dt: true}", "6:27: analyzer_parameters.dt: true", "number > 0"),
    ("analyzer_parameters: {dt: .nan}", "6:27: analyzer_parameters.dt: .nan", "number > 0"),
    ("analyzer_parameters: {start_frame: 0}", "6:36: analyzer_parameters.start_frame", ">= 1"),
    ("analyzer_parameters: {start_frame: 1.5}", "6:36: analyzer_parameters.start_frame", ">= 1"),
    ("analyzer_parameters: {end_frame: -2}", "6:34: analyzer_parameters.end_frame", "or -1"),
    ("analyzer_parameters: {start_frame: 9, end_frame: 3}", "6:50: ", "9 (c.yaml:6:36)"),
    ("analyzer_parameters: {scattering: {wavevector_q: 0}}", "6:50: ", "number > 0"),
    ("analyzer_parameters: {geometry: {stator_rotor_gap: -1}}", "6:52: ", "number > 0"),
    ("analyzer_parameters: 3", "6:22: analyzer_parameters: 3", "a mapping"),
    ("noise: {sigma: 0}", "6:16: noise.sigma: 0", "number > 0"),
    ("model: {convention: homodyne2}", "6:21: model.convention", "he2024 | homodyne-2"),
    ("per_angle_mode: many", "6:17: per_angle_mode: 'many'", "individual"),
    ("per_angle_mode: fixed", "6:17: per_angle_mode fixed needs", "per_angle_scaling.contrast"),
    ("fourier_order: 0", "6:16: fourier_order: 0", ">= 1"),
    ("phi_filtering: {enabled: true}", "6:26: phi_filtering is enabled", "target_ranges"),
    ("phi_filtering: {enabled: on}", "6:26: phi_filtering.enabled: 'on'", "true | false"),
    ("phi_filtering: {target_ranges: [[1, 2, 3]]}", "6:33: ", "[min_angle, max_angle]"),
    ("phi_filtering: {target_ranges: [[1, x]]}", "6:37: ", "a number"),
    ("phi_filtering: {target_ranges: [{min_angle: 1}]}", "6:33: ", "number"),
    ("initial_parameters: {values: [1, 2, 3]}", "6:30: ", "D0, alpha, D_offset"),
    ("initial_parameters: {values: [1, 0, 0, fast, 0, 0, 0]}", "6:40: ", "a number"),
    ("initial_parameters: {values: {D0: 1}}", "6:30: ", "or null"),
    ("initial_parameters: {values: {D1: 1}}", "6:31: ", "'D0'"),
    ("initial_parameters: {parameter_names: [D0, D0]}", "6:44: ", "6:40"),
    ("initial_parameters: {parameter_names: [D0]}", "6:39: ", "all of"),
    ("initial_parameters: {active_parameters: [alfa]}", "6:42: ", "'alpha'"),
    ("initial_parameters: {active_parameters: []}", "6:41: ", "not empty"),
    ("initial_parameters: {active_parameters: [D0], fixed_parameters: [D0]}", "6:42: D0 is", "66"),
    ("initial_parameters: {fixed_parameters: {phi0: up}}", "6:47: ", "a number"),
    ("initial_parameters: {per_angle_scaling: {contrast: [0.1, 2]}}", "6:58: ", "[0, 1]"),
    (
        "initial_parameters: {per_angle_scaling: {contrast: [0.1, 0.2], offset: [1, 1, 1]}}",
        "6:41: ",
        "per angle",
    ),
    ("parameter_space: {bounds: {D0: [5, 1]}}", "6:33: bounds of D0: min 5 is not", "min < max"),
    ("parameter_space: {bounds: {D0: [5, 5]}}", "6:33: bounds of D0: min 5 is not", "min < max"),
    ("parameter_space: {bounds: {D0: {min: 2e6}}}", "6:38: ", "keeps its default"),
    ("parameter_space: {bounds: {D0: [5, x]}}", "6:36: ", "a number"),
    ("parameter_space: {bounds: {D0: [5, .inf]}}", "6:36: ", "finite"),
    ("parameter_space: {bounds: {D0: {mn: 2}}}", "6:33: unknown key 'mn'", "'min'"),
    ("parameter_space: {bounds: {Do: [1, 2]}}", "6:28: ", "'D0'"),
    ("parameter_space: {bounds: [{name: phi0}, {name: phi_0}]}", "6:42: ", "6:28"),
    ("parameter_space: {bounds: [{min: 1}]}", "6:28: ", "name, min and max"),
    ("parameter_space: {bounds: 3}", "6:27: ", "list of {name, min, max}"),
    ("optimization: {nlsq: {max_iterations: 0}}", "6:39: ", ">= 1"),
    ("optimization: {nlsq: {ftol: 0}}", "6:29: ", "number > 0"),
    ("optimization: {nlsq: {ftol: '1e-8'}}", "6:29: ", "number > 0"),
    ("optimization: {nlsq: {tolerance: 1e-8, ftol: 1e-6}}", "6:34: ", "keep one"),
    ("optimization: {nlsq: {tolerance: fast}}", "6:34: optimization.nlsq.tolerance", "number"),
    ("optimization: {nlsq: {loss: hubber}}", "6:29: ", "huber"),
    ("optimization: {nlsq: {trust_region_scale: -1}}", "6:43: ", "number > 0"),
    ("optimization: {nlsq: {x_scale: 1.0}}", "6:32: ", "auto | config | jac | unit"),
    ("optimization: {nlsq: {x_scale: config}}", "6:32: ", "homodyne diagnose"),
    ("optimization: {nlsq: {x_scale_map: {gamma0: 0}}}", "6:45: ", "greater than 0"),
    ("optimization: {nlsq: {x_scale_map: {D0: .inf}}}", "6:41: ", "finite"),
    ("optimization: {nlsq: {x_scale_map: {gamma0: 1, gamma_dot_t0: 2}}}", "6:48: ", "6:37"),
    ("optimization: {nlsq: {multi_start: {enable: maybe}}}", "6:45: ", "true or false"),
    ("optimization: {nlsq: {multi_start: {enabel: true}}}", "6:37: ", "'enable'"),
    ("optimization: {nlsq: {multi_start: {n_starts: -1}}}", "6:47: ", ">= 0"),
    ("optimization: {nlsq: {diagnostics: {sample_size: 0}}}", "6:50: ", ">= 1"),
    ("optimization: {nlsq: {max_itertions: 9}}", "6:23: unknown key", "'max_iterations'"),
    ("optimization: {nlsq: {hybrid_steaming: {}}}", "6:23: unknown key", "'hybrid_streaming'"),
    ("optimization: {max_iterations: 9}", "6:16: unknown key", NLSQ + ".max_iterations"),
    ("optimzation: {}", "6:1: unknown key 'optimzation'", "'optimization'"),
    ("zzz: null", "6:1: unknown key 'zzz'", "analysis_mode"),
    ("output: {directory: 3}", "6:21: output.directory: 3", "text"),
    ("output: {directory: ''}", "6:21: output.directory: ''", "text"),
]


@pytest.mark.parametrize(("text", "start", "hint"), REFUSALS, ids=[r[0] for r in REFUSALS])
def test_bad_values_are_refused_where_they_stand(
    text: str, start: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # Five lines above; a section of its own must not be there twice.
    gap = "#" if text.startswith("analyzer_parameters") else GAP
    lines = ["analysis_mode: laminar_flow", "experimental_data: {file_path: d.h5}", gap, "#", "#"]
    Path("c.yaml").write_text("\n".join([*lines, text]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(Path("c.yaml"))
    assert str(caught.value).startswith(f"c.yaml:{start}")
    assert hint in str(caught.value.hint)
    assert caught.value.exit_code == 2


def test_value_outside_bounds_names_the_bounds_and_their_line(load: Load) -> None:
    values = "initial_parameters: {values: [1e4, -0.5, 0, 1e-3, 0, 0, 7]}\n"
    bounds = "parameter_space:\n  bounds:\n    - {name: phi0, min: -5, max: 5}\n"
    error = refusal(load, values + bounds)
    assert "c.yaml:6:57: initial_parameters.values[6]: phi0 = 7 lies outside" in str(error)
    assert "[-5, 5]" in str(error.hint)
    assert "c.yaml:9:7" in str(error.hint)
    assert "default" in str(refusal(load, values.replace("7]", "11]")).hint)


def test_missing_required_values(load: Load) -> None:
    assert "stator_rotor_gap is missing" in str(
        refusal(load, head=STATIC.replace("static", "laminar_flow"))
    )
    assert "file_path is missing" in str(refusal(load, head="analysis_mode: static\n"))
    missing = refusal(load, head="model: {convention: he2024}\n")
    assert "analysis_mode is missing" in str(missing)
    assert "laminar_flow, static" in str(missing.hint)
    assert "did you mean 'laminar_flow'" in str(refusal(load, head="analysis_mode: laminar").hint)


def test_no_parameter_left(load: Load) -> None:
    text = "initial_parameters: {fixed_parameters: [D0, alpha, D_offset]}\n"
    assert "no parameter is left to fit" in str(refusal(load, text, head=STATIC))


def test_first_error_of_several_is_reported(load: Load) -> None:
    error = refusal(load, "zzz: 1\nnoise: {sigma: -1}\nmodel: {convention: x}\n")
    assert "c.yaml:6:1: unknown key 'zzz'" in str(error)


def test_duplicate_key(load: Load) -> None:
    assert "c.yaml:7:1: the key 'noise' is given twice" in str(
        refusal(load, "noise: {}\nnoise: {}\n")
    )


def test_merge_key_points_at_the_anchor(load: Load) -> None:
    text = "noise: &n {sigma: -1}\nmodel:\n  <<: *n\n"
    assert "c.yaml:6:12: unknown key 'sigma' in model" in str(
        refusal(load, text.replace("-1", "1"))
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("setting", "start"),
    [
        ("noise.sigma=-1", "--set noise.sigma: -1 is not accepted"),
        ("noise.sigma=fast", "--set noise.sigma: 'fast' is not accepted"),
        ("noise.sgima=1", "--set noise.sgima: unknown key 'sgima' in noise"),
        ("noise.sigma.x=1", "--set noise.sigma.x: noise.sigma: a mapping is not accepted"),
        ("analyzer_parameters.dt.x=1", "--set analyzer_parameters.dt.x: analyzer_parameters.dt is"),
        ("noise.sigma=[1", "--set noise.sigma: not valid YAML"),
        ("noise.sigma", "--set noise.sigma: not of the form key.path=value"),
        ("=1", "--set =1: not of the form"),
        ("noise..sigma=1", "--set noise..sigma=1: not of the form"),
        ("parameter_space.bounds.5=1", "--set parameter_space.bounds.5: parameter_space.bounds is"),
        ("parameter_space.bounds.D7.min=1", "--set parameter_space.bounds[1]"),
        (
            "parameter_space.bounds.D0.min=9",
            "--set parameter_space.bounds[0].min: bounds of D0: min 9 is not below max 2",
        ),
    ],
)
def test_bad_overrides_name_the_option(load: Load, setting: str, start: str) -> None:
    text = "parameter_space: {bounds: [{name: D0, min: 1, max: 2}]}\n"
    assert str(refusal(load, text, setting)).startswith(start)


@pytest.mark.parametrize(
    "text",
    [
        "optimization: {nlsq: 3}",
        "optimization: {nlsq: {diagnostics: on}}",
        "optimization: {nlsq: {anti_degeneracy: 1, multi_start: [1]}}",
        "parameter_space: [1]",
        "initial_parameters: {per_angle_scaling: {contrast: {a: 1}}}",
        "initial_parameters: {values: fast}",
        "initial_parameters: {fixed_parameters: 3}",
        "experimental_data: {file_path: d.h5, bad_frames: {a: 1}}",
        "phi_filtering: {target_ranges: 3}",
        "phi_filtering: {target_ranges: [3]}",
        "phi_filtering: {target_ranges: [[]]}",
        "optimization: {nlsq: {x_scale_map: 3}}",
        "optimization: {nlsq: {x_scale_map: [D0]}}",
        "parameter_space: {bounds: {D0: {min: {a: 1}}}}",
        "initial_parameters: {active_parameters: [[D0]]}",
        "initial_parameters: {active_parameters: D0}",
        "analyzer_parameters: {temporal: {dt: {a: 1}}}",
        "optimization_config: {angle_filtering: 3}",
        "output: []",
        "noise: {1: 2}",
        "optimization: {nlsq: {max_iterations: 1e12}}",
        "optimization: {nlsq: {seed: " + "9" * 400 + "}}",
        "noise: {sigma: " + "9" * 400 + "}",
        "parameter_space: {bounds: {D0: [" + "9" * 400 + ", 1]}}",
        "initial_parameters: {values: [" + "9" * 400 + ", 0, 0, 0.1, 0, 0, 0]}",
        "analyzer_parameters: {start_frame: " + "9" * 400 + ", end_frame: 3}",
        "initial_parameters: {per_angle_scaling: {contrast: true}}",
    ],
)
def test_what_is_of_another_kind_is_refused_in_one_line(load: Load, text: str) -> None:
    head = "\n".join(
        line for line in HEAD.splitlines() if not line.startswith(text.partition(":")[0])
    )
    if text.startswith("analyzer_parameters"):
        head = "analysis_mode: static\nexperimental_data: {file_path: d.h5}"
    error = refusal(load, f"\n{text}\n", head=head)
    assert "c.yaml:" in str(error)
    assert "\n" not in str(error)
    assert error.hint


def test_everything_that_is_wrong_is_told_in_one_run(load: Load) -> None:
    text = (
        "zzz: 1\n"
        "noise: {sigma: -1, sgima: 2}\n"
        "initial_parameters:\n"
        "  values: {D0: fast, alfa: 1, alpha: 9, D_offset: 0}\n"
        "  fixed_parameters: [bta]\n"
        "parameter_space: {bounds: {D0: [5, 1], Do: [1, 2]}}\n"
        "optimization: {nlsq: {losss: huber, ftol: 0, x_scale: config, multi_start: {enabel: 1}}}\n"
        "analyzer_parameters: {start_frame: 9, end_frame: 3}\n"
    )
    error = refusal(load, text, "fourier_order=0", head="analysis_mode: laminar_flow\n")
    lines = [line.rpartition("/")[2].strip() for line in str(error).splitlines()]
    places = [
        *("--set fourier_order: 0", "c.yaml:2:1: unknown key 'zzz'", "c.yaml:3:16: noise.sigma"),
        *("c.yaml:3:20: unknown key 'sgima'", "c.yaml:5:16: initial_parameters.values.D0: 'fast'"),
        *("c.yaml:5:22: initial_parameters.values.alfa", "c.yaml:6:22: initial_parameters.fixed"),
        *("c.yaml:7:33: bounds of D0", "c.yaml:7:40: parameter_space.bounds.Do: unknown"),
        *("c.yaml:8:23: unknown key 'losss'", "c.yaml:8:43: optimization.nlsq.ftol: 0"),
        *("c.yaml:8:55: x_scale is config", "c.yaml:8:77: unknown key 'enabel'"),
        *("c.yaml:9:50: analyzer_parameters.end_frame", "c.yaml:1:1: experimental_data.file_path"),
        "c.yaml:9:22: analyzer_parameters.geometry.stator_rotor_gap is missing",
    ]
    assert len(lines) == len(places)
    for line, start in zip(lines, places, strict=True):
        assert line.startswith(start), (line, start)
    hints = str(error.hint).splitlines()
    assert len(hints) == len(lines)
    assert "did you mean 'loss'?" in hints[9]


def test_of_many_mistakes_the_first_are_told(load: Load) -> None:
    error = refusal(load, "".join(f"k{i}: 1\n" for i in range(9_000)))
    assert str(error).count("unknown key") == 20
    assert str(error).endswith("and 8980 more")
