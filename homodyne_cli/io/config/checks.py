"""What the values of a config say together: contradictions, and keys that others switch off."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Final, NamedTuple

from homodyne_cli.io.config.forms import BOUNDS, RANGES
from homodyne_cli.io.config.keys import ConfigKey, OtherForms, config_keys, key_named, value_text
from homodyne_cli.io.config.legacy import NLSQ
from homodyne_cli.io.config.tree import ConfigTree, Steps
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import Bounds, Config, default_bounds

_FRAME: Final = "analyzer_parameters.{}_frame"
_GAP: Final = "analyzer_parameters.geometry.stator_rotor_gap"
_DATA: Final = tuple(
    f"experimental_data.{name}" for name in ("file_path", "data_folder_path", "data_file_name")
)
_ACTIVE: Final = "initial_parameters.active_parameters"
_FIXED: Final = "initial_parameters.fixed_parameters"
_VALUES: Final = "initial_parameters.values"
_PER_ANGLE: Final = ("initial_parameters", "per_angle_scaling")
_MAP: Final = f"{NLSQ}.x_scale_map"
#: Starts that the global search refines whatever multi_start says.
_OWN_STARTS: Final = 8


class _Problem(NamedTuple):
    """What is wrong at a path, unless that or one of the `others` was refused before."""

    where: Steps
    message: str
    hint: str
    others: tuple[Steps, ...] = ()
    named: bool = False


def settle(config: Config, forms: OtherForms, tree: ConfigTree, folder: Path) -> Config:
    """Refuse what contradicts itself, and return the config with what follows from its values."""
    problem, selection, initial = config.problem, config.selection, config.problem.initial
    bounds = {**default_bounds(), **problem.bounds}
    for wrong in _contradictions(config, forms, tree, bounds):
        if not any(tree.spoilt(where) for where in (wrong.where, *wrong.others)):
            node, missing = tree.around(wrong.where), tree.find(wrong.where) is None
            tree.refuse(node, wrong.message, hint=wrong.hint, named=wrong.named, missing=missing)
    names, active, values = names_of(problem.mode), initial.active, initial.values
    if active is not None:
        active = tuple(name for name in names if name in active)
    if values is not None:
        values = {n: initial.fixed.get(n, values[n]) for n in names if n in values}
    path = selection.path
    if tree.find(_DATA[0]) is None and forms.folder is not None and forms.file is not None:
        path = folder / os.path.expanduser(forms.folder) / forms.file  # noqa: PTH111
    frames, q = tuple(sorted(set(selection.bad_frames))), selection.q
    if isinstance(path, tuple) and len(path) == 1:
        path = path[0]
    if isinstance(q, tuple) and len(q) == 1:
        q = q[0]
    ranges = None if forms.filtering is False else selection.phi_ranges or None
    return replace(
        config,
        selection=replace(selection, path=path, q=q, bad_frames=frames, phi_ranges=ranges),
        problem=replace(
            problem,
            initial=replace(initial, values=values, active=active),
            bounds={name: bounds[name] for name in names},
            contrast_bounds=bounds["contrast"],
            offset_bounds=bounds["offset"],
        ),
    )


def _contradictions(
    config: Config, forms: OtherForms, tree: ConfigTree, bounds: Mapping[str, Bounds]
) -> Iterator[_Problem]:
    selection, solver = config.selection, config.problem.solver
    if tree.find("analysis_mode") is None:
        hint = "it should be one of laminar_flow, static"
        yield _Problem("analysis_mode", "analysis_mode is missing", hint)
        return
    start, end = selection.start_frame, selection.end_frame
    if end != -1 and end < start:
        first, last = _FRAME.format("start"), _FRAME.format("end")
        hint = f"it should be at least start_frame, {start} ({tree.around(first).at}), or -1"
        yield _Problem(last, f"{end} is before start_frame", hint, (first,), named=True)
    if config.problem.mode == "laminar_flow" and selection.gap is None:
        yield _Problem(_GAP, f"{_GAP} is missing", "give it in Å; 200 µm are 2000000 Å")
    if tree.find(_DATA[0]) is None and None in {forms.folder, forms.file}:
        hint = "give the data file, relative to the folder of the config"
        yield _Problem(_DATA[0], f"{_DATA[0]} is missing", hint, _DATA[1:])
    twice = [path for path in selection.paths if selection.paths.count(path) > 1]
    if twice:
        message = f"{twice[0].name} is listed more than once, and would count as often"
        yield _Problem(_DATA[0], message, "name each repeat once", named=True)
    if forms.filtering and not selection.phi_ranges:
        hint = "give the angles to keep in target_ranges, or set enabled to false"
        message = "phi_filtering is enabled, but names no angles"
        yield _Problem("phi_filtering.enabled", message, hint, (RANGES,))
    if solver.x_scale == "config" and solver.x_scale_map is None:
        hint = "give the map ('homodyne diagnose' recommends one), or choose auto, jac or unit"
        message = "x_scale is config, but there is no x_scale_map"
        yield _Problem(f"{NLSQ}.x_scale", message, hint, (_MAP,))
    yield from _of_start(config, tree, bounds)
    yield from _of_scaling(config, tree, bounds)


def _of_start(config: Config, tree: ConfigTree, bounds: Mapping[str, Bounds]) -> Iterator[_Problem]:
    initial = config.problem.initial
    for index, name in enumerate(initial.active or ()):
        if name in initial.fixed:
            held = tree.around(f"{_FIXED}.{name}").key_at
            hint = f"it is fixed at {held}; keep one of them"
            yield _Problem((*_ACTIVE.split("."), index), f"{name} is active and fixed", hint)
    chosen = initial.active or names_of(config.problem.mode)
    free = [name for name in chosen if name not in initial.fixed]
    if not free:
        yield _Problem(_FIXED, "no parameter is left to fit", "leave at least one free", (_ACTIVE,))
    for name, value in (initial.values or {}).items():
        if name in free:
            yield from _outside(value, name, f"{_VALUES}.{name}", tree, bounds)


def _of_scaling(
    config: Config, tree: ConfigTree, bounds: Mapping[str, Bounds]
) -> Iterator[_Problem]:
    given = {"contrast": config.problem.initial.contrast, "offset": config.problem.initial.offset}
    missing = [name for name, values in given.items() if values is None]
    counts = {len(values) for values in given.values() if values is not None} - {1}
    if len(counts) > 1:
        message = "contrast and offset have different numbers of angles"
        yield _Problem(_PER_ANGLE, message, "give one value each per angle", named=True)
    if config.problem.per_angle_mode != "fixed":
        for name, values in given.items():
            for index, value in enumerate(values or ()):
                yield from _outside(value, name, (*_PER_ANGLE, name, index), tree, bounds)
    elif missing:
        hint = f"give {'.'.join(_PER_ANGLE)}.{missing[0]}, or choose another mode"
        message = (
            f"per_angle_mode {tree.around('per_angle_mode').value} needs the {missing[0]} values"
        )
        yield _Problem("per_angle_mode", message, hint, (_PER_ANGLE,))


def _outside(
    value: float, name: str, where: Steps, tree: ConfigTree, bounds: Mapping[str, Bounds]
) -> Iterator[_Problem]:
    limits, given = bounds[name], tree.find(f"{BOUNDS}.{name}")
    if not limits.lower <= value <= limits.upper:
        interval = f"[{limits.lower:g}, {limits.upper:g}]"
        origin = "default" if given is None else given.at
        hint = f"choose a start inside {interval}, or change the bounds ({origin})"
        message = f"{name} = {value:g} lies outside its bounds {interval}"
        yield _Problem(where, message, hint, (f"{BOUNDS}.{name}",), named=True)


def without_effect(config: Config, tree: ConfigTree) -> list[str]:
    """Return the names of keys that were given and that another one switches off."""
    problem, solver = config.problem, config.problem.solver
    names = [key.key for key in config_keys() if key.mark.needs and _is_off(config, key)]
    names = [name for name in names if _value(config, key_named(name)) != key_named(name).value]
    if solver.x_scale != "config" and solver.x_scale_map is not None:
        names.append(_MAP)
    if 0 < solver.multi_start <= _OWN_STARTS and solver.global_search:
        names.append(f"{NLSQ}.multi_start")
    if tree.find(_DATA[0]) is not None:
        names += [where for where in _DATA[1:] if tree.find(where) is not None]
    if problem.per_repeat_mode != "individual" and len(config.selection.paths) == 1:
        names.append("per_repeat_mode")
    if problem.per_angle_mode == "fixed":
        table = default_bounds()
        scaling = {"contrast": problem.contrast_bounds, "offset": problem.offset_bounds}
        names += [f"{BOUNDS}.{n}" for n, bounds in scaling.items() if bounds != table[n]]
    return names


def _is_off(config: Config, key: ConfigKey) -> bool:
    if key.mark.needs is None:
        return False
    other = key_named(key.mark.needs[0])
    return value_text(_value(config, other)) != key.mark.needs[1] or _is_off(config, other)


def _value(config: Config, key: ConfigKey) -> object:
    return reduce(getattr, key.fields, config)
