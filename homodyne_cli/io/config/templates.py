"""The configs that ``homodyne init`` writes: every key with its description and default.

What a beginner must say, or confirms, is there as an example; the other keys are comments.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from homodyne_cli.io.config.dump import dump_yaml
from homodyne_cli.io.config.forms import SCALING
from homodyne_cli.io.config.keys import CONDITION, ConfigKey, OtherForms, config_keys, key_named
from homodyne_cli.parameters import BY_NAME, AnalysisMode, names_of
from homodyne_cli.problem import default_bounds

_HEAD: Final = """\
# Config of homodyne for a sample {sample}. Run it with: homodyne fit config.yaml
# A line that begins with # and a key shows its default: remove the # to change it.
# Null, or leaving a key out, means the default.
"""
_SAMPLE: Final = {"laminar_flow": "in shear flow", "static": "at rest"}
_VALUES: Final = {
    "laminar_flow": ("2.0e4", "-1.2", "2500.0", "1.0e-3", "-0.9", "2.0e-4", "2.0"),
    "static": ("1.0e4", "-0.5", "100.0"),
}
_WIDTH: Final = 100


def template_text(mode: AnalysisMode, known: Mapping[str, str] | None = None) -> str:
    """Return a commented config for an analysis mode, as YAML text.

    Parameters
    ----------
    known
        What to say for some keys, in YAML, instead of an example.
    """
    lines = [_HEAD.format(sample=_SAMPLE[mode])]
    last: tuple[str, ...] = ()
    for key in config_keys():
        if (key.owner is OtherForms and not key.mark.example) or not _acts(key, mode):
            continue
        lines += [""] * (last != () and key.path[0] != last[0])
        for depth in range(1, len(key.path)):
            if key.path[:depth] != last[:depth]:
                lines.append("  " * (depth - 1) + f"{key.path[depth - 1]}:")
        last = key.path
        lines += _entry(key, mode, (known or {}).get(key.key))
    return "\n".join(lines) + "\n"


def _acts(key: ConfigKey, mode: AnalysisMode) -> bool:
    if key.mark.needs is None or key.mark.needs[0] == "analysis_mode":
        return key.mark.needs is None or key.mark.needs[1] == mode
    return _acts(key_named(key.mark.needs[0]), mode)


def _entry(key: ConfigKey, mode: AnalysisMode, known: str | None) -> Iterator[str]:
    indent = "  " * (len(key.path) - 1)
    told = key.description
    if key.mark.needs is not None and key.mark.needs[0] == "analysis_mode":
        told = told.partition(CONDITION)[0]
    for line in textwrap.wrap(told, _WIDTH - len(indent) - len("# ")):
        yield f"{indent}# {line}"
    line, unit = f"{indent}%s{key.path[-1]}:", f"  # {key.mark.unit}" * bool(key.mark.unit)
    if known is not None:
        yield line % "" + f" {known}{unit}"
    elif key.key == "initial_parameters.values":
        yield line % ""
        for name, value in zip(names_of(mode), _VALUES[mode], strict=True):
            number = f"{indent}  {name}: {value}"
            yield f"{number:<31}# {BY_NAME[name].unit}".rstrip(" #")
    elif key.key == "parameter_space.bounds":
        yield line % ""
        for name, bounds in default_bounds().items():
            if name in {*names_of(mode), *SCALING}:
                yield f"{indent}  #{name}: {_yaml([bounds.lower, bounds.upper])}"
    elif key.key == "analysis_mode":
        yield line % "" + f" {mode}"
    else:
        shown = key.mark.example or _yaml(key.value or None if key.value != 0 else key.value)
        yield line % ("" if key.mark.example else "#") + f" {shown}{unit}"


def _yaml(value: object) -> str:
    return dump_yaml({"key": value}).partition(": ")[2].rstrip("}\n")
