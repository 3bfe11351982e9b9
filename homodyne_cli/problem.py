"""What is asked of a fit: the selection of data, the model, bounds, start and solver options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homodyne_cli.parameters import (
    CONTRAST_BOUNDS,
    OFFSET_BOUNDS,
    AnalysisMode,
    Convention,
    Loss,
    PerAngleMode,
    XScaleMode,
)


@dataclass(frozen=True)
class Bounds:
    """Closed interval that a parameter stays in."""

    lower: float
    upper: float


@dataclass(frozen=True)
class DataSelection:
    """Which part of which file is fitted.

    Attributes
    ----------
    path
        The data file, absolute.
    start_frame, end_frame
        First and last frame, counted from 1, both included; ``end_frame=-1`` is the last.
    q
        Wave vector in 1/Å, None to take the only ring of the file.
    dt
        Frame interval in seconds, None to take the file's.
    gap
        Stator-rotor gap in Å; None where the mode needs none.
    phi_ranges
        Angle intervals (degrees) to keep, None to keep all. ``lo > hi`` wraps through 180.
    bad_frames
        Frames (counted from 1 in the file) whose pairs are left out.
    sigma
        Noise of one c2 value; None to estimate it (or take the file's array).
    """

    path: Path
    start_frame: int = 1
    end_frame: int = -1
    q: float | None = None
    dt: float | None = None
    gap: float | None = None
    phi_ranges: tuple[tuple[float, float], ...] | None = None
    bad_frames: tuple[int, ...] = ()
    sigma: float | None = None


@dataclass(frozen=True)
class InitialParameters:
    """Where a fit starts and what it may move.

    `values` is None where the config leaves the start to the program. `fixed` maps names to
    the values they are held at. `contrast` and `offset` are per angle or a single value.
    """

    values: Mapping[str, float] | None = None
    active: tuple[str, ...] | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    contrast: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ShearTransforms:
    """Coordinates in which power laws are optimised; `decorrelate` acts on both of them."""

    enabled: bool = False
    gamma_dot_t0_ref: float = 0.01
    beta_ref: float = 0.0
    decorrelate: bool = False


@dataclass(frozen=True)
class DiagnosticsOptions:
    """Gradient checks and logs during the fit."""

    enabled: bool = False
    sample_size: int = 2048
    check_gradients: bool = True
    log_jacobian_norms: bool = False


@dataclass(frozen=True)
class SolverOptions:
    """How `scipy.optimize.least_squares` is driven; tolerances as SciPy defines them.

    `adaptive_x_scale` None is True with ``x_scale: auto`` and False with a scale that was chosen.
    """

    max_iterations: int = 100
    ftol: float = 1e-10
    xtol: float = 1e-10
    gtol: float = 1e-10
    loss: Loss = "linear"
    trust_region_scale: float = 1.0
    x_scale: XScaleMode = "auto"
    x_scale_map: Mapping[str, float] | None = None
    shear_transforms: ShearTransforms = ShearTransforms()
    diagnostics: DiagnosticsOptions = DiagnosticsOptions()
    adaptive_x_scale: bool | None = None
    global_search: bool = True
    multi_start: int = 0
    seed: int = 0

    @property
    def adaptive(self) -> bool:
        """Whether the scale follows the Jacobian."""
        chosen = self.adaptive_x_scale
        return self.x_scale == "auto" if chosen is None else chosen


@dataclass(frozen=True)
class FitProblem:
    """Everything that a fit needs beside the data."""

    mode: AnalysisMode
    convention: Convention
    per_angle_mode: PerAngleMode
    fourier_order: int
    initial: InitialParameters
    bounds: Mapping[str, Bounds]
    contrast_bounds: Bounds = Bounds(*CONTRAST_BOUNDS)
    offset_bounds: Bounds = Bounds(*OFFSET_BOUNDS)
    solver: SolverOptions = SolverOptions()


@dataclass(frozen=True)
class Config:
    """A resolved configuration.

    Attributes
    ----------
    path
        The YAML file it came from, None if made in memory.
    selection, problem
        What the data reader and the solver take.
    output_directory
        From ``output.directory``, absolute; None if the config names none.
    unused_keys
        Dotted homodyne 2.x keys that are accepted and have no effect here.
    resolved
        The complete configuration as plain YAML data, defaults filled in.
    """

    path: Path | None
    selection: DataSelection
    problem: FitProblem
    output_directory: Path | None
    unused_keys: tuple[str, ...]
    resolved: Mapping[str, object]
