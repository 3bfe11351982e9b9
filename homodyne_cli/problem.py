"""What is asked of a fit: the selection of data, the model, bounds, start and solver options.

The fields are the keys of the config; see `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from annotated_types import Ge, Le, MinLen, Predicate

from homodyne_cli.keys import Count, CountOrZero, Key, Positive, Section, Text
from homodyne_cli.parameters import (
    BY_NAME,
    CONTRAST_BOUNDS,
    OFFSET_BOUNDS,
    AnalysisMode,
    Convention,
    Loss,
    NoiseWeights,
    PerAngleMode,
    PerRepeatMode,
    XScaleMode,
)


@dataclass(frozen=True)
class Bounds:
    """Closed interval that a parameter stays in; `chosen` by the user, or by default."""

    lower: float
    upper: float
    chosen: bool = field(default=True, compare=False, kw_only=True)


_TRANSFORMS: Final = "optimization.nlsq.shear_transforms"
_DIAGNOSTICS: Final = "optimization.nlsq.diagnostics"


def _is_last_frame(frame: int) -> bool:
    return frame == -1 or frame >= 1


# fmt: off
@dataclass(frozen=True)
class DataSelection:
    """Which part of which file is fitted."""

    path: Annotated[Path | Annotated[tuple[Path, ...], MinLen(1)], Key(
        "HDF5 or npz file with two-time correlation maps, relative to the config's folder; a list "
        "of files are repeats of one experiment, fitted together.",
        at="experimental_data.file_path", written="text, or list of texts", example="data.h5")]
    bad_frames: Annotated[tuple[Count, ...], Key(
        "Frames whose pairs are left out, counted from 1 in the file, for example [12, 40-43].",
        at="experimental_data.bad_frames", written="list of frames and ranges a-b")] = ()
    dataset: Annotated[Text | None, Key(
        "Name of the array with the maps in an HDF5 or npz file; phi, q, dt and t are looked for "
        "beside it. Null finds the maps by the layout of the file.",
        at="experimental_data.dataset")] = None
    angle_axis: Annotated[Literal["first", "last"], Key(
        "Axis of the angles in the array that dataset names.",
        at="experimental_data.angle_axis")] = "first"
    phi: Annotated[Annotated[tuple[float, ...], MinLen(1)] | None, Key(
        "Angles of the maps in the order of the file, in phi_unit; null takes the file's.",
        at="experimental_data.phi", written="list of numbers")] = None
    baseline: Annotated[Annotated[int, Ge(0), Le(1)] | None, Key(
        "Level of c2 without correlation: 1 for g2, 0 for g2 - 1, to which 1 is added; null takes "
        "what the file states, or 1.", at="experimental_data.baseline", written="0 or 1")] = None
    phi_unit: Annotated[Literal["degrees", "radians"] | None, Key(
        "Unit of the file's angles; null takes what the file states, or degrees.",
        at="experimental_data.phi_unit")] = None
    dt: Annotated[Positive | None, Key(
        "Time between frames; null takes the data file's.",
        at="analyzer_parameters.dt", unit="s", example="0.1")] = None
    start_frame: Annotated[Count, Key(
        "First frame, counted from 1.", at="analyzer_parameters.start_frame", example="1")] = 1
    end_frame: Annotated[int, Predicate(_is_last_frame), Key(
        "Last frame, included; -1 is the last of the file.",
        at="analyzer_parameters.end_frame", written="integer >= 1, or -1", example="-1")] = -1
    time_origin: Annotated[Literal["window", "series"] | Annotated[float, Ge(0)], Key(
        "When t is 0: window is start_frame; series is the beginning of the measurement, which "
        "frame numbers, APS-U files and caches tell; a number is t in seconds at the first frame "
        "of the file. An exponent depends on it.",
        at="analyzer_parameters.time_origin", written="window | series | number of seconds >= 0",
        )] = "window"
    q: Annotated[
        Positive | Annotated[tuple[Positive, ...], MinLen(1)] | Literal["all"] | None, Key(
        "Wave vector: picks the nearest ring of the data file, several of a list are fitted "
        "together; null takes the only one.",
        at="analyzer_parameters.scattering.wavevector_q", unit="1/Å",
        written="number > 0, list of them, or all", example="0.0054")] = None
    gap: Annotated[Positive | None, Key(
        "Gap between stator and rotor, which the flow cannot do without; 200 µm are 2.0e6 Å.",
        at="analyzer_parameters.geometry.stator_rotor_gap", unit="Å", example="2.0e6",
        needs=("analysis_mode", "laminar_flow"))] = None
    phi_ranges: Annotated[tuple[tuple[float, float], ...] | None, Key(
        "Detector angles to keep; a range with min_angle > max_angle wraps through 180.",
        at="phi_filtering.target_ranges", unit="degrees",
        example="[[-10.0, 10.0], [170.0, -170.0]]",
        written="list of {min_angle, max_angle} or [min, max]")] = None
    sigma: Annotated[Positive | None, Key(
        "Standard deviation of one c2 value; null takes the file's, or estimates it.",
        at="noise.sigma")] = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The data files: one, or one for each repeat."""
        return self.path if isinstance(self.path, tuple) else (self.path,)


@dataclass(frozen=True)
class Setup:
    """What is known of the instrument; a fit only says where its assumptions do not hold."""

    exposure: Annotated[Positive | None, Key(
        "Exposure of a frame, to judge blur; null takes it as long as dt.", unit="s")] = None
    q_width: Annotated[Positive | None, Key(
        "Full width of the ring in q, to judge how it washes lobes out.",
        unit="1/Å")] = None
    beam_size: Annotated[Positive | None, Key(
        "Full width at half maximum of the beam along the flow, to judge transit; 10 µm are "
        "1.0e5 Å.", unit="Å",
        needs=("analysis_mode", "laminar_flow"))] = None


@dataclass(frozen=True)
class InitialParameters:
    """Where a fit starts and what it may move."""

    values: Annotated[Mapping[str, float] | None, Key(
        "Start of the fit, inside the bounds; null leaves it to the program. 'homodyne simulate' "
        "takes these as the truth.",
        written="list in parameter_names order, or mapping by name")] = None
    active: Annotated[Annotated[tuple[str, ...], MinLen(1)] | None, Key(
        "Parameters to fit, the others stay at their start, for example [D0, alpha]; null fits "
        "all.", at="active_parameters", written="list of names")] = None
    fixed: Annotated[Mapping[str, float], Key(
        "Parameters held at a value, for example {D_offset: 0.0}, or (as a list) at their start.",
        at="fixed_parameters", written="mapping name: value, or list of names")] = field(
        default_factory=dict)
    contrast: Annotated[Annotated[tuple[float, ...], MinLen(1)] | None, Key(
        "Contrast per angle, or one for all.", at="per_angle_scaling.contrast",
        written="number or list of numbers", needs=("per_angle_mode", "fixed"))] = None
    offset: Annotated[Annotated[tuple[float, ...], MinLen(1)] | None, Key(
        "Offset per angle, or one for all.", at="per_angle_scaling.offset",
        written="number or list of numbers", needs=("per_angle_mode", "fixed"))] = None


@dataclass(frozen=True)
class ShearTransforms:
    """Coordinates in which power laws are optimised; `decorrelate` acts on both of them."""

    enabled: Annotated[bool, Key(
        "Optimise the logarithm of gamma_dot_t0 and beta from a reference.",
        needs=("analysis_mode", "laminar_flow"))] = False
    gamma_dot_t0_ref: Annotated[Positive, Key(
        "Reference shear rate prefactor.", needs=(f"{_TRANSFORMS}.enabled", "true"))] = 0.01
    beta_ref: Annotated[float, Key(
        "Reference shear exponent.", needs=(f"{_TRANSFORMS}.enabled", "true"))] = 0.0
    decorrelate: Annotated[bool, Key(
        "Optimise both power laws by their rate inside the window instead of D0 and "
        "gamma_dot_t0.")] = False


@dataclass(frozen=True)
class DiagnosticsOptions:
    """Gradient checks and logs during the fit."""

    enabled: Annotated[bool, Key("Check and log gradients during the fit.")] = False
    sample_size: Annotated[Count, Key(
        "Pairs used for the gradient check.", needs=(f"{_DIAGNOSTICS}.check_gradients", "true"),
    )] = 2048
    check_gradients: Annotated[bool, Key(
        "Compare with finite differences.", needs=(f"{_DIAGNOSTICS}.enabled", "true"))] = True
    log_jacobian_norms: Annotated[bool, Key(
        "Log Jacobian norms per iteration.", needs=(f"{_DIAGNOSTICS}.enabled", "true"))] = False


@dataclass(frozen=True)
class SolverOptions:
    """How `scipy.optimize.least_squares` is driven; tolerances as SciPy defines them."""

    max_iterations: Annotated[Count, Key("Most iterations of the optimiser.")] = 100
    ftol: Annotated[Positive, Key(
        "Relative change of the cost to stop at (tolerance in homodyne 2.x).")] = 1e-10
    xtol: Annotated[Positive, Key("Relative change of the parameters to stop at.")] = 1e-10
    gtol: Annotated[Positive, Key("Norm of the scaled gradient to stop at.")] = 1e-10
    loss: Annotated[Loss, Key(
        "Loss function, as SciPy defines it; all but linear withstand outliers.")] = "linear"
    trust_region_scale: Annotated[Positive, Key("Factor on the first trust-region radius.")] = 1.0
    x_scale: Annotated[XScaleMode, Key(
        "How parameters are scaled; null is config where x_scale_map is given, else auto (from "
        "the data).", example="null")] = "auto"
    x_scale_map: Annotated[Mapping[str, Positive] | None, Key(
        "Scale per parameter; 'homodyne diagnose' recommends one, 'homodyne apply-scale' enters "
        "it.", written="mapping name: number > 0", example="null")] = None
    shear_transforms: Annotated[ShearTransforms, Section("shear_transforms")] = ShearTransforms()
    diagnostics: Annotated[DiagnosticsOptions, Section("diagnostics")] = DiagnosticsOptions()
    adaptive_x_scale: Annotated[bool | None, Key(
        "Renew the scale wherever the fit moves out of balance; null does where x_scale is "
        "auto.")] = None
    global_search: Annotated[bool, Key(
        "Look for the best minimum on decimated pairs before the fit; start values are one of "
        "its starts.")] = True
    multi_start: Annotated[CountOrZero, Key(
        "Starts that the global search refines, if more than its own 8.",
        written="integer >= 0, or {enable, n_starts, seed}",
        needs=("optimization.nlsq.global_search", "true"))] = 0
    seed: Annotated[CountOrZero, Key(
        "Seed of the starting points.", needs=("optimization.nlsq.global_search", "true"))] = 0

    @property
    def adaptive(self) -> bool:
        """Whether the scale follows the Jacobian."""
        chosen = self.adaptive_x_scale
        return self.x_scale == "auto" if chosen is None else chosen


def default_bounds() -> dict[str, Bounds]:
    """Return the bounds of the parameter table, contrast and offset included."""
    table = {name: (parameter.lower, parameter.upper) for name, parameter in BY_NAME.items()}
    table |= {"contrast": CONTRAST_BOUNDS, "offset": OFFSET_BOUNDS}
    return {name: Bounds(*limits, chosen=False) for name, limits in table.items()}


@dataclass(frozen=True)
class FitProblem:
    """Everything that a fit needs beside the data; `bounds` are those of the mode's parameters."""

    mode: Annotated[AnalysisMode, Key(
        "Model to fit: laminar_flow has D0, alpha, D_offset, gamma_dot_t0, beta, "
        "gamma_dot_t_offset and phi0, static the first three.", at="analysis_mode",
        spellings=(("static_isotropic", "static"), ("static_anisotropic", "static")))]
    convention: Annotated[Convention, Key(
        "Form of the shear factor and of the integrals: he2024 as published (PNAS 2024), "
        "homodyne-2 as homodyne 2.x computes them, to reproduce its runs.",
        at="model.convention", example="he2024")] = "he2024"
    per_angle_mode: Annotated[PerAngleMode, Key(
        "Contrast and offset: individual (per angle; also auto, direct), shared (one of each), "
        "fixed (as given; also constant), fourier (smooth in phi).",
        spellings=(("auto", "individual"), ("direct", "individual"), ("constant", "fixed")),
    )] = "individual"
    fourier_order: Annotated[Count, Key(
        "Highest harmonic in phi.", needs=("per_angle_mode", "fourier"))] = 2
    initial: Annotated[InitialParameters, Section("initial_parameters")] = InitialParameters()
    bounds: Annotated[Mapping[str, Bounds], Key(
        "The fit stays inside these; contrast and offset are names too. Default bounds of rates "
        "are widened where the data decay faster or slower, those of phi0 where no flow axis "
        "within them describes the data.",
        at="parameter_space.bounds",
        written="list of {name, min, max}, or mapping name: [min, max]")] = field(
        default_factory=default_bounds)
    contrast_bounds: Bounds = Bounds(*CONTRAST_BOUNDS)
    offset_bounds: Bounds = Bounds(*OFFSET_BOUNDS)
    weights: Annotated[NoiseWeights, Key(
        "Weights of pairs: best takes the covariance of speckle noise into account, equal does "
        "not, auto is best where speckles are seen and it makes a parameter 2% more certain.",
        at="noise.weights")] = "auto"
    per_repeat_mode: Annotated[PerRepeatMode, Key(
        "Contrast and offset of repeats (file_path is a list): individual (of each its own), or "
        "shared by the repeats of an angle.")] = "individual"
    solver: Annotated[SolverOptions, Section("optimization.nlsq")] = SolverOptions()
    setup: Annotated[Setup, Section("analyzer_parameters")] = Setup()


@dataclass(frozen=True)
class Config:
    """A resolved configuration.

    Attributes
    ----------
    selection, problem
        What the data reader and the solver take.
    output_directory
        Where the run goes, absolute; None if the config names none.
    path
        The YAML file it came from, None if made in memory.
    unused_keys
        Dotted names of keys that are accepted and have no effect here: those of homodyne 2.x, and
        those that another key switches off.
    resolved
        The complete configuration as plain YAML data, defaults filled in.
    """

    selection: Annotated[DataSelection, Section("")]
    problem: Annotated[FitProblem, Section("")]
    output_directory: Annotated[Path | None, Key(
        "Run directory, relative to the config's folder; 'homodyne fit -o' wins over it.",
        at="output.directory", example="results")] = None
    path: Path | None = None
    unused_keys: tuple[str, ...] = ()
    resolved: Mapping[str, object] = field(default_factory=dict)
# fmt: on
