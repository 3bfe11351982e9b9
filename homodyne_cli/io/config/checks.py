"""What the values of a config say together: contradictions, and keys that others switch off."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Final

from homodyne_cli.io.config.forms import BOUNDS, INITIAL, RANGES, SCALING
from homodyne_cli.io.config.keys import OtherForms, config_keys
from homodyne_cli.io.config.legacy import NLSQ
from homodyne_cli.io.config.source import dotted
from homodyne_cli.io.config.tree import ConfigTree
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.parameters import names_of
from homodyne_cli.problem import Config, default_bounds

_START: Final = ("analyzer_parameters", "start_frame")
_END: Final = ("analyzer_parameters", "end_frame")
_GAP: Final = ("analyzer_parameters", "geometry", "stator_rotor_gap")
_FILE: Final = ("experimental_data", "file_path")
_ACTIVE: Final = (*INITIAL, "active_parameters")
_FIXED: Final = (*INITIAL, "fixed_parameters")
_VALUES: Final = (*INITIAL, "values")
_PER_ANGLE: Final = (*INITIAL, "per_angle_scaling")
_MAP: Final = (*NLSQ, "x_scale_map")
#: Starts that the global search refines whatever multi_start says.
_OWN_STARTS: Final = 8


class Checker:
    """Checks one config; what contradicts itself is refused, unless a part of it was before."""

    def __init__(self, config: Config, forms: OtherForms, tree: ConfigTree, folder: Path) -> None:
        self.config, self.forms, self.folder = config, forms, folder
        self.problem, self.selection = config.problem, config.selection
        self.tree, self.source = tree, tree.source
        self.names = names_of(config.problem.mode)
        self.bounds = {**default_bounds(), **config.problem.bounds}

    def settle(self) -> Config:
        """Return the config with what follows from its values."""
        self._check_frames()
        self._check_initial()
        self._check_scaling()
        self._check_scale()
        if self.problem.mode == "laminar_flow" and self.selection.gap is None:
            hint = "give the gap in Å; 200 µm are 2000000 Å"
            self._refuse(_GAP, f"{dotted(_GAP)} is missing", hint, missing=True)
        if self.forms.filtering and not self.selection.phi_ranges:
            hint = "give the angles to keep in target_ranges, or set enabled to false"
            where = ("phi_filtering", "enabled")
            self._refuse(where, "phi_filtering is enabled, but names no angles", hint, RANGES)
        ranges = None if self.forms.filtering is False else self.selection.phi_ranges
        frames = tuple(sorted(set(self.selection.bad_frames)))
        initial = self.problem.initial
        active = initial.active
        if active is not None:
            active = tuple(name for name in self.names if name in active)
        values = initial.values
        if values is not None:
            values = {n: initial.fixed.get(n, values[n]) for n in self.names if n in values}
        return replace(
            self.config,
            selection=replace(
                self.selection,
                path=self._data_path(),
                bad_frames=frames,
                phi_ranges=ranges or None,
            ),
            problem=replace(
                self.problem,
                initial=replace(initial, values=values, active=active),
                bounds={name: self.bounds[name] for name in self.names},
                contrast_bounds=self.bounds["contrast"],
                offset_bounds=self.bounds["offset"],
            ),
        )

    def _refuse(
        self, where: DataPath, message: str, hint: str, *others: DataPath, missing: bool = False
    ) -> None:
        if not any(self.source.refused(place) for place in (where, *others)):
            self.source.refuse(where, message, hint=hint, named=False, missing=missing)

    def _check_frames(self) -> None:
        start, end = self.selection.start_frame, self.selection.end_frame
        if end != -1 and end < start:
            place = self.source.place(_START)
            hint = f"it should be at least start_frame, {start} ({place}), or -1 for the last frame"
            message = f"{self.source.name(_END)}: {end} is before start_frame"
            self._refuse(_END, message, hint, _START)

    def _data_path(self) -> Path:
        folder, file = self.forms.folder, self.forms.file
        if self.tree.get(_FILE) is not None:
            return self.selection.path
        if folder is not None and file is not None:
            return self.folder / os.path.expanduser(folder) / file  # noqa: PTH111
        hint = "give the data file, relative to the folder of the config"
        others = (("experimental_data", name) for name in ("data_folder_path", "data_file_name"))
        self._refuse(_FILE, f"{dotted(_FILE)} is missing", hint, *others, missing=True)
        return self.selection.path

    def _check_initial(self) -> None:
        initial = self.problem.initial
        for index, name in enumerate(initial.active or ()):
            if name in initial.fixed:
                fixed = self.source.place((*_FIXED, name), key=True)
                hint = f"it is fixed at {fixed}; keep one of them"
                self._refuse((*_ACTIVE, index), f"{name} is active and fixed", hint)
        free = [name for name in initial.active or self.names if name not in initial.fixed]
        if not free:
            hint = "leave at least one free"
            self._refuse(_FIXED, "no parameter is left to fit", hint, _ACTIVE)
        for name, value in (initial.values or {}).items():
            if name in free:
                self._check_inside(value, name, (*_VALUES, name))

    def _check_inside(self, value: float, name: str, where: DataPath) -> None:
        limits = self.bounds[name]
        if limits.lower <= value <= limits.upper:
            return
        place = (*BOUNDS, name)
        interval = f"[{limits.lower:g}, {limits.upper:g}]"
        origin = "default" if self.tree.get(place) is None else self.source.place(place)
        hint = f"choose a start inside {interval}, or change the bounds ({origin})"
        message = (
            f"{self.source.name(where)}: {name} = {value:g} lies outside its bounds {interval}"
        )
        self._refuse(where, message, hint, place)

    def _check_scaling(self) -> None:
        initial = self.problem.initial
        given = {"contrast": initial.contrast, "offset": initial.offset}
        if self.problem.per_angle_mode != "fixed":
            for name, values in given.items():
                for index, value in enumerate(values or ()):
                    self._check_inside(value, name, (*_PER_ANGLE, name, index))
        elif missing := [name for name, values in given.items() if values is None]:
            hint = (
                f"give {dotted((*_PER_ANGLE, missing[0]))}, or choose individual, shared, fourier"
            )
            mode = self.tree.get(("per_angle_mode",))
            message = f"per_angle_mode {mode} needs the {' and '.join(missing)} values"
            self._refuse(("per_angle_mode",), message, hint, _PER_ANGLE)
        counts = {len(values) for values in given.values() if values is not None} - {1}
        if len(counts) > 1:
            message = f"{dotted(_PER_ANGLE)}: contrast and offset have different numbers of angles"
            self._refuse(_PER_ANGLE, message, "give one value each per angle")

    def _check_scale(self) -> None:
        if self.problem.solver.x_scale == "config" and self.problem.solver.x_scale_map is None:
            hint = "give the map ('homodyne diagnose' recommends one), or choose auto, jac or unit"
            message = "x_scale is config, but there is no x_scale_map"
            self._refuse((*NLSQ, "x_scale"), message, hint, _MAP)


def without_effect(config: Config, forms: OtherForms, tree: ConfigTree) -> list[str]:
    """Return the names of keys that were given and that another one switches off."""
    problem, solver = config.problem, config.problem.solver
    static, fixed = problem.mode == "static", problem.per_angle_mode == "fixed"
    search, transforms = solver.global_search, solver.shear_transforms
    off = {
        dotted(_GAP): static,
        "fourier_order": problem.per_angle_mode != "fourier",
        **{dotted((*_PER_ANGLE, name)): not fixed for name in SCALING},
        dotted(_MAP): solver.x_scale != "config",
        "optimization.nlsq.shear_transforms.enabled": static,
        "optimization.nlsq.shear_transforms.gamma_dot_t0_ref": static or not transforms.enabled,
        "optimization.nlsq.shear_transforms.beta_ref": static or not transforms.enabled,
        "optimization.nlsq.multi_start": not search or solver.multi_start <= _OWN_STARTS,
        "optimization.nlsq.seed": not search,
    }
    names = [
        key.name
        for key in config_keys()
        if off.get(key.name) and _value(config, key.fields) != key.default
    ]
    if tree.get(_FILE) is not None:
        pairs = (("data_folder_path", forms.folder), ("data_file_name", forms.file))
        names += [f"experimental_data.{name}" for name, value in pairs if value is not None]
    defaults = default_bounds()
    scaling = {"contrast": problem.contrast_bounds, "offset": problem.offset_bounds}
    names += [dotted((*BOUNDS, n)) for n, b in scaling.items() if fixed and b != defaults[n]]
    return names


def _value(config: Config, fields: tuple[str, ...]) -> object:
    return None if fields[0] == "forms" else reduce(getattr, fields, config)
