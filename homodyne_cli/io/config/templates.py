"""The configs that ``homodyne init`` writes: every key with its description and default.

What a beginner must say, or confirms, is there as an example; the other keys are comments.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any, Final, cast

from homodyne_cli.io.config.dump import dump_yaml, resolved_data
from homodyne_cli.io.config.forms import SCALING
from homodyne_cli.io.config.keys import ConfigKey, config_keys
from homodyne_cli.io.config.source import Tree
from homodyne_cli.parameters import BY_NAME, AnalysisMode, names_of
from homodyne_cli.problem import Config, DataSelection, FitProblem

_HEAD: Final = """\
# Config of homodyne for a sample {sample}. Run it with: homodyne fit config.yaml
# A line that begins with # and a key shows its default, or an example: remove the # to change it.
# Null, or leaving a key out, means the default.
"""
_SAMPLE: Final = {"laminar_flow": "in shear flow", "static": "at rest"}
_VALUES: Final = {
    "laminar_flow": ("2.0e4", "-1.2", "2500.0", "1.0e-3", "-0.9", "2.0e-4", "2.0"),
    "static": ("1.0e4", "-0.5", "100.0"),
}
_BEGINNER: Final = {
    "model.convention": "he2024",
    "experimental_data.file_path": "data.h5",
    "analyzer_parameters.dt": "0.1",
    "analyzer_parameters.start_frame": "1",
    "analyzer_parameters.end_frame": "-1",
    "analyzer_parameters.scattering.wavevector_q": "0.0054",
    "analyzer_parameters.geometry.stator_rotor_gap": "2.0e6",
    "optimization.nlsq.x_scale_map": "null",
    "output.directory": "results",
}
#: What shows better than the default how a key is written.
_EXAMPLES: Final = {
    "phi_filtering.enabled": "true",
    "phi_filtering.target_ranges": "[[-10.0, 10.0], [170.0, -170.0]]",
}
_LEFT_OUT: Final = frozenset(
    {
        "experimental_data.data_folder_path",
        "experimental_data.data_file_name",
        "initial_parameters.parameter_names",
    }
)
_SHEAR_ONLY: Final = frozenset(
    {
        "analyzer_parameters.geometry.stator_rotor_gap",
        "optimization.nlsq.shear_transforms.enabled",
        "optimization.nlsq.shear_transforms.gamma_dot_t0_ref",
        "optimization.nlsq.shear_transforms.beta_ref",
    }
)
_WIDTH: Final = 100


def template_text(mode: AnalysisMode) -> str:
    """Return a commented config for an analysis mode, as YAML text."""
    defaults = resolved_data(Config(DataSelection(Path()), FitProblem(mode)))
    left_out = _LEFT_OUT | (_SHEAR_ONLY if mode == "static" else frozenset())
    lines = [_HEAD.format(sample=_SAMPLE[mode])]
    last: tuple[str, ...] = ("",)
    for key in config_keys():
        if key.name in left_out:
            continue
        lines += [""] * (key.path[0] != last[0] and len(lines) > 1)
        for depth in range(1, len(key.path)):
            if key.path[:depth] != last[:depth]:
                lines.append("  " * (depth - 1) + f"{key.path[depth - 1]}:")
        last = key.path
        lines += _entry(key, mode, defaults)
    return "\n".join(lines) + "\n"


def _entry(key: ConfigKey, mode: AnalysisMode, defaults: Tree) -> Iterator[str]:
    indent = "  " * (len(key.path) - 1)
    name, value = key.path[-1], _shown(key, mode, defaults)
    active = key.name in {"analysis_mode", "initial_parameters.values", *_BEGINNER}
    hidden = "" if active else "#"
    for line in textwrap.wrap(key.key.description, _WIDTH - len(indent) - len("# ")):
        yield f"{indent}# {line}"
    if isinstance(value, str):
        yield f"{indent}{hidden}{name}: {value}" + f"  # {key.key.unit}" * bool(key.key.unit)
        return
    yield f"{indent}{name}:"
    for item, text in value.items():
        yield f"{indent}  {hidden}{item}: {text}"


def _shown(key: ConfigKey, mode: AnalysisMode, defaults: Tree) -> str | dict[str, str]:
    """Return what is written for a key; for one that maps parameters, by their names."""
    if key.name == "analysis_mode":
        return mode
    if key.name == "initial_parameters.values":
        start = zip(names_of(mode), _VALUES[mode], strict=True)
        return {n: f"{v:<{26 - len(n)}}# {BY_NAME[n].unit}".rstrip(" #") for n, v in start}
    value = reduce(lambda node, step: node[step], key.path, cast("Any", defaults))
    if key.name == "parameter_space.bounds":
        shown = (*names_of(mode), *SCALING)
        pairs = {item["name"]: [item["min"], item["max"]] for item in value}
        return {name: _yaml(pairs[name]) for name in shown}
    return _BEGINNER.get(key.name) or _EXAMPLES.get(key.name) or _yaml(value)


def _yaml(value: object) -> str:
    return dump_yaml({"key": value}).partition(": ")[2].rstrip("}\n")
