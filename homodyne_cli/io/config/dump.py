"""Write a config back: the resolved values as plain data, and data as YAML text."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import yaml

from homodyne_cli.io.config.source import Tree
from homodyne_cli.io.yaml_text.scalars import ImplicitResolvers, core_schema
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import Bounds, DataSelection, FitProblem


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


def resolved_data(
    selection: DataSelection, problem: FitProblem, output_directory: Path | None
) -> Tree:
    """Return a complete config as plain data; loading it gives the same selection and problem."""
    ranges = selection.phi_ranges
    return {
        "analysis_mode": problem.mode,
        "model": {"convention": problem.convention},
        "analyzer_parameters": {
            "dt": selection.dt,
            "start_frame": selection.start_frame,
            "end_frame": selection.end_frame,
            "scattering": {"wavevector_q": selection.q},
            "geometry": {"stator_rotor_gap": selection.gap},
        },
        "experimental_data": {
            "file_path": str(selection.path),
            "bad_frames": list(selection.bad_frames),
        },
        "phi_filtering": {
            "enabled": ranges is not None,
            "target_ranges": [{"min_angle": low, "max_angle": high} for low, high in ranges or ()],
        },
        "noise": {"sigma": selection.sigma},
        "per_angle_mode": problem.per_angle_mode,
        "fourier_order": problem.fourier_order,
        "initial_parameters": _initial(problem),
        "parameter_space": {"bounds": _bounds(problem)},
        "optimization": {"nlsq": _nlsq(problem)},
        "output": {"directory": None if output_directory is None else str(output_directory)},
    }


def _initial(problem: FitProblem) -> Tree:
    initial = problem.initial
    names = names_of(problem.mode)
    values = None if initial.values is None else [initial.values[name] for name in names]
    return {
        "parameter_names": list(names),
        "values": values,
        "per_angle_scaling": {
            "contrast": None if initial.contrast is None else list(initial.contrast),
            "offset": None if initial.offset is None else list(initial.offset),
        },
        "active_parameters": None if initial.active is None else list(initial.active),
        "fixed_parameters": dict(initial.fixed) or None,
    }


def _bounds(problem: FitProblem) -> list[Tree]:
    def entry(name: str, bounds: Bounds) -> Tree:
        return {"name": name, "min": bounds.lower, "max": bounds.upper}

    return [
        *(entry(name, problem.bounds[name]) for name in names_of(problem.mode)),
        entry("contrast", problem.contrast_bounds),
        entry("offset", problem.offset_bounds),
    ]


def _nlsq(problem: FitProblem) -> Tree:
    solver = problem.solver
    # Null for the default, so that an x_scale_map added later acts.
    by_default = "auto" if solver.x_scale_map is None else "config"
    return {
        "max_iterations": solver.max_iterations,
        "ftol": solver.ftol,
        "xtol": solver.xtol,
        "gtol": solver.gtol,
        "loss": solver.loss,
        "trust_region_scale": solver.trust_region_scale,
        "x_scale": None if solver.x_scale == by_default else solver.x_scale,
        "x_scale_map": None if solver.x_scale_map is None else dict(solver.x_scale_map),
        "shear_transforms": asdict(solver.shear_transforms),
        "diagnostics": asdict(solver.diagnostics),
        "adaptive_x_scale": solver.adaptive_x_scale,
        "global_search": solver.global_search,
        "multi_start": solver.multi_start,
        "seed": solver.seed,
    }
