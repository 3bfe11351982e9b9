"""Write a config back: the resolved values as plain data, and data as YAML text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from homodyne_cli.io.config.keys import OtherForms, config_keys
from homodyne_cli.io.yaml_text.scalars import ImplicitResolvers, core_schema
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import Config


def _both_schemas() -> ImplicitResolvers:
    older: ImplicitResolvers = yaml.SafeDumper.yaml_implicit_resolvers
    core = core_schema()
    return {first: [*core.get(first, []), *older.get(first, [])] for first in {**older, **core}}


class StrictDumper(yaml.SafeDumper):
    """PyYAML's safe dumper, quoting text that YAML 1.1 or 1.2 would take for something else."""

    yaml_implicit_resolvers = _both_schemas()

    def ignore_aliases(self, data: object) -> bool:
        """Write shared values out each time."""
        del data
        return True


def dump_yaml(data: object) -> str:
    """Return plain data (mappings, lists, scalars) as YAML text, in the given order.

    `yaml_load.load_document` reads the same data back.
    """
    text: str = yaml.dump(
        data,
        Dumper=StrictDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return text


def resolved_data(config: Config) -> dict[str, Any]:
    """Return a complete config as plain data; loading it gives the same selection and problem."""
    written = _written(config)
    data: dict[str, Any] = {}
    for key in config_keys():
        if key.key not in written and key.owner is OtherForms:
            continue
        node = data
        for step in key.path[:-1]:
            node = node.setdefault(step, {})
        value = written[key.key] if key.key in written else reduce(getattr, key.fields, config)
        node[key.path[-1]] = _plain(value)
    return data


def _written(config: Config) -> dict[str, object]:
    """Return what is written in another form than the dataclasses hold it."""
    problem, solver, ranges = config.problem, config.problem.solver, config.selection.phi_ranges
    names, values = names_of(problem.mode), problem.initial.values
    scaling = {"contrast": problem.contrast_bounds, "offset": problem.offset_bounds}
    # Null for the default, so that an x_scale_map added later acts.
    by_default = "auto" if solver.x_scale_map is None else "config"
    return {
        "phi_filtering.enabled": ranges is not None,
        "phi_filtering.target_ranges": [
            {"min_angle": low, "max_angle": high} for low, high in ranges or ()
        ],
        "initial_parameters.parameter_names": names,
        "initial_parameters.values": values and [values[name] for name in names],
        "initial_parameters.fixed_parameters": problem.initial.fixed or None,
        "parameter_space.bounds": [
            {"name": name, "min": bounds.lower, "max": bounds.upper}
            for name, bounds in {**problem.bounds, **scaling}.items()
            # Default ones may be widened to what the data show, and would be again.
            if bounds.chosen
        ],
        "optimization.nlsq.x_scale": None if solver.x_scale == by_default else solver.x_scale,
    }


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
