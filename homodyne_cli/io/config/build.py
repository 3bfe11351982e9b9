"""From a validated config to the objects that the reader and the solver take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeVar

from homodyne_cli.io.config.forms import BOUNDS, INITIAL, MODES, SCALING
from homodyne_cli.io.config.legacy import NLSQ
from homodyne_cli.io.config.schema import Interval, Root
from homodyne_cli.io.config.source import Source, dotted
from homodyne_cli.io.yaml_text.load import DataPath
from homodyne_cli.parameters import (
    BY_NAME,
    CONTRAST_BOUNDS,
    OFFSET_BOUNDS,
    AnalysisMode,
    PerAngleMode,
    XScaleMode,
    names_of,
)
from homodyne_cli.problem import (
    Bounds,
    DataSelection,
    DiagnosticsOptions,
    FitProblem,
    InitialParameters,
    ShearTransforms,
    SolverOptions,
)

_DEFAULT_BOUNDS: Final = {
    **{name: (parameter.lower, parameter.upper) for name, parameter in BY_NAME.items()},
    "contrast": CONTRAST_BOUNDS,
    "offset": OFFSET_BOUNDS,
}
_PER_ANGLE: Final[dict[str, PerAngleMode]] = {
    "individual": "individual",
    "auto": "individual",
    "direct": "individual",
    "shared": "shared",
    "fixed": "fixed",
    "constant": "fixed",
    "fourier": "fourier",
}
_Options = TypeVar("_Options", ShearTransforms, DiagnosticsOptions)


@dataclass(frozen=True)
class Built:
    """The parts of a `Config` that its values decide."""

    selection: DataSelection
    problem: FitProblem
    output_directory: Path | None
    unused: tuple[str, ...]


def build(root: Root, source: Source, folder: Path) -> Built:
    """Check what depends on several values, and build the parts of a config.

    Parameters
    ----------
    root
        The validated values.
    source
        Where they came from, for errors.
    folder
        What relative paths are relative to, absolute.

    Raises
    ------
    ConfigError
        If values contradict each other.
    """
    mode = MODES[root.analysis_mode]
    selection, unused = _selection(root, source, folder, mode)
    nlsq = root.optimization.nlsq
    if mode == "static" and nlsq.shear_transforms.enabled:
        unused = (*unused, dotted((*NLSQ, "shear_transforms", "enabled")))
    if nlsq.x_scale_map is not None and nlsq.x_scale not in {None, "config"}:
        unused = (*unused, dotted((*NLSQ, "x_scale_map")))
    directory = root.output.directory
    return Built(
        selection=selection,
        problem=_problem(root, source, mode),
        output_directory=None if directory is None else _resolve(folder, directory),
        unused=unused,
    )


def _resolve(folder: Path, name: str) -> Path:
    return folder / Path(name).expanduser()


def _selection(
    root: Root, source: Source, folder: Path, mode: AnalysisMode
) -> tuple[DataSelection, tuple[str, ...]]:
    analyzer = root.analyzer_parameters
    _check_frames(analyzer.start_frame, analyzer.end_frame, source)
    gap = analyzer.geometry.stator_rotor_gap
    if mode == "laminar_flow" and gap is None:
        where = ("analyzer_parameters", "geometry", "stator_rotor_gap")
        hint = "give the gap in Å; 200 µm are 2000000 Å"
        raise source.error(where, f"{dotted(where)} is missing", hint=hint)
    path, unused = _data_path(root, source, folder)
    selection = DataSelection(
        path=path,
        start_frame=analyzer.start_frame,
        end_frame=analyzer.end_frame,
        q=analyzer.scattering.wavevector_q,
        dt=analyzer.dt,
        gap=gap,
        phi_ranges=_phi_ranges(root, source),
        bad_frames=tuple(sorted(set(root.experimental_data.bad_frames))),
        sigma=root.noise.sigma,
    )
    return selection, unused


def _check_frames(start: int, end: int, source: Source) -> None:
    if end == -1 or end >= start:
        return
    where = ("analyzer_parameters", "end_frame")
    first = source.place(("analyzer_parameters", "start_frame"))
    hint = f"it should be at least start_frame, {start} ({first}), or -1 for the last frame"
    raise source.error(where, f"{source.name(where)}: {end} is before start_frame", hint=hint)


def _data_path(root: Root, source: Source, folder: Path) -> tuple[Path, tuple[str, ...]]:
    data = root.experimental_data
    legacy = {"data_folder_path": data.data_folder_path, "data_file_name": data.data_file_name}
    if data.file_path is not None:
        given = [key for key, value in legacy.items() if value is not None]
        return _resolve(folder, data.file_path), tuple(f"experimental_data.{key}" for key in given)
    if data.data_folder_path is not None and data.data_file_name is not None:
        return _resolve(folder, data.data_folder_path) / data.data_file_name, ()
    where = ("experimental_data", "file_path")
    hint = "give the data file, relative to the folder of the config"
    raise source.error(where, "experimental_data.file_path is missing", hint=hint)


def _phi_ranges(root: Root, source: Source) -> tuple[tuple[float, float], ...] | None:
    filtering = root.phi_filtering
    if filtering.enabled is False or (filtering.enabled is None and not filtering.target_ranges):
        return None
    if not filtering.target_ranges:
        where = ("phi_filtering", "enabled")
        hint = "give the angles to keep in target_ranges, or set enabled to false"
        message = "phi_filtering is enabled, but names no angles"
        raise source.error(where, message, hint=hint)
    return tuple((item.min_angle, item.max_angle) for item in filtering.target_ranges)


def _problem(root: Root, source: Source, mode: AnalysisMode) -> FitProblem:
    bounds = {
        name: _interval(root.parameter_space.bounds.get(name), name, source)
        for name in (*names_of(mode), *SCALING)
    }
    per_angle_mode = _PER_ANGLE[root.per_angle_mode]
    return FitProblem(
        mode=mode,
        convention=root.model.convention,
        per_angle_mode=per_angle_mode,
        fourier_order=root.fourier_order,
        initial=_initial(root, source, mode, bounds),
        bounds={name: bounds[name] for name in names_of(mode)},
        contrast_bounds=bounds["contrast"],
        offset_bounds=bounds["offset"],
        solver=_solver(root, source),
    )


def _interval(given: Interval | None, name: str, source: Source) -> Bounds:
    lower, upper = _DEFAULT_BOUNDS[name]
    if given is not None:
        lower = lower if given.min is None else given.min
        upper = upper if given.max is None else given.max
    if lower >= upper:
        where = (*BOUNDS, name, "max" if given is None or given.min is None else "min")
        message = f"bounds of {name}: min {lower:g} is not below max {upper:g}"
        default = " (a bound that is not given keeps its default)"
        complete = given is not None and None not in {given.min, given.max}
        raise source.error(where, message, hint="min < max" + default * (not complete))
    return Bounds(lower, upper)


def _initial(
    root: Root, source: Source, mode: AnalysisMode, bounds: Mapping[str, Bounds]
) -> InitialParameters:
    section = root.initial_parameters
    active = _active(root, source, mode)
    fixed = _fixed(root)
    free = [name for name in (active or names_of(mode)) if name not in section.fixed_parameters]
    if not free:
        where = (*INITIAL, "fixed_parameters")
        raise source.error(where, "no parameter is left to fit", hint="leave at least one free")
    values = None
    if section.values is not None:
        for name in free:
            _check_inside(
                section.values[name], name, (*INITIAL, "values", name), bounds, root, source
            )
        values = {name: fixed.get(name, section.values[name]) for name in names_of(mode)}
    _check_scaling(root, source, bounds)
    scaling = section.per_angle_scaling
    return InitialParameters(
        values=values,
        active=active,
        fixed=fixed,
        contrast=None if scaling.contrast is None else tuple(scaling.contrast),
        offset=None if scaling.offset is None else tuple(scaling.offset),
    )


def _active(root: Root, source: Source, mode: AnalysisMode) -> tuple[str, ...] | None:
    section = root.initial_parameters
    if section.active_parameters is None:
        return None
    for index, name in enumerate(section.active_parameters):
        if name in section.fixed_parameters:
            where = (*INITIAL, "active_parameters", index)
            fixed = source.place((*INITIAL, "fixed_parameters", name), key=True)
            hint = f"it is fixed at {fixed}; keep one of them"
            raise source.error(where, f"{name} is active and fixed", hint=hint)
    return tuple(name for name in names_of(mode) if name in section.active_parameters)


def _fixed(root: Root) -> dict[str, float]:
    """Return the values of the fixed parameters: as given, else their start."""
    section = root.initial_parameters
    start = section.values or {}
    return {
        name: start.get(name, BY_NAME[name].start) if value is None else value
        for name, value in section.fixed_parameters.items()
    }


def _check_inside(
    value: float,
    name: str,
    where: DataPath,
    bounds: Mapping[str, Bounds],
    root: Root,
    source: Source,
) -> None:
    limits = bounds[name]
    if limits.lower <= value <= limits.upper:
        return
    interval = f"[{limits.lower:g}, {limits.upper:g}]"
    origin = source.place((*BOUNDS, name)) if name in root.parameter_space.bounds else "default"
    hint = f"choose a start inside {interval}, or change the bounds ({origin})"
    message = f"{source.name(where)}: {name} = {value:g} lies outside its bounds {interval}"
    raise source.error(where, message, hint=hint)


def _check_scaling(root: Root, source: Source, bounds: Mapping[str, Bounds]) -> None:
    scaling = root.initial_parameters.per_angle_scaling
    given = {"contrast": scaling.contrast, "offset": scaling.offset}
    fixed = _PER_ANGLE[root.per_angle_mode] == "fixed"
    for name, values in given.items():
        where: DataPath = (*INITIAL, "per_angle_scaling", name)
        if values is None and fixed:
            hint = f"give {dotted(where)}, or choose individual, shared or fourier"
            message = f"per_angle_mode {root.per_angle_mode} needs the {name} values"
            raise source.error(("per_angle_mode",), message, hint=hint)
        for index, value in enumerate(values or ()):
            if not fixed:
                _check_inside(value, name, (*where, index), bounds, root, source)
    counts = {len(values) for values in given.values() if values is not None} - {1}
    if len(counts) > 1:
        where = (*INITIAL, "per_angle_scaling")
        message = f"{dotted(where)}: contrast and offset have different numbers of angles"
        raise source.error(where, message, hint="give one value each per angle")


def _solver(root: Root, source: Source) -> SolverOptions:
    nlsq = root.optimization.nlsq
    x_scale: XScaleMode = nlsq.x_scale or ("auto" if nlsq.x_scale_map is None else "config")
    if x_scale == "config" and nlsq.x_scale_map is None:
        where = (*NLSQ, "x_scale")
        hint = "give the map ('homodyne diagnose' recommends one), or choose auto, jac or unit"
        raise source.error(where, "x_scale is config, but there is no x_scale_map", hint=hint)
    return SolverOptions(
        max_iterations=nlsq.max_iterations,
        ftol=nlsq.ftol,
        xtol=nlsq.xtol,
        gtol=nlsq.gtol,
        loss=nlsq.loss,
        trust_region_scale=nlsq.trust_region_scale,
        x_scale=x_scale,
        x_scale_map=nlsq.x_scale_map,
        shear_transforms=_options(ShearTransforms, nlsq.shear_transforms),
        diagnostics=_options(DiagnosticsOptions, nlsq.diagnostics),
        adaptive_x_scale=nlsq.adaptive_x_scale,
        global_search=nlsq.global_search,
        multi_start=nlsq.multi_start,
        seed=nlsq.seed,
    )


def _options(kind: type[_Options], section: object) -> _Options:
    return kind(**{item.name: getattr(section, item.name) for item in fields(kind)})
