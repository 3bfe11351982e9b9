"""The data that a fit starts from: config and file -> Dataset (-> `results.FitResult`).

All of it is frozen; nothing here reaches back to where it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.errors import StreamedError
from homodyne_cli.parameters import (
    CONTRAST_BOUNDS,
    OFFSET_BOUNDS,
    AnalysisMode,
    Convention,
    Loss,
    PerAngleMode,
    XScaleMode,
)

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
#: Correlation maps keep the precision of their file: float32 or float64.
MapArray = NDArray[np.float32] | NDArray[np.float64]


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


@dataclass(frozen=True)
class Resolved:
    """A resolved quantity, as text, and where it came from."""

    value: str
    source: str


@dataclass(frozen=True)
class Moments:
    """Per-angle sums over fitted pairs, in double precision.

    Attributes
    ----------
    count, y, yy
        (n_phi,) sums of w, w*y, w*y^2, where y is counted from `shift` and w is the pair weight.
    shift
        (n_phi,) about the mean of the data; subtracting it keeps the sums of squares accurate.
    n_points
        (n_phi,) number of fitted pairs.
    """

    count: FloatArray
    y: FloatArray
    yy: FloatArray
    shift: FloatArray
    n_points: FloatArray


@runtime_checkable
class TiledMaps(Protocol):
    """Maps too large for memory, kept on disk as tiles of the upper triangle.

    Row by row, every tile for all angles together, NaN where a pair is not fitted.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(n_phi, n, n)."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of the values: float32 or float64."""
        ...

    @property
    def moments(self) -> Moments:
        """Sums over all pairs, each of weight 1."""
        ...

    def tiles(self, first: int, last: int) -> MapArray:
        """Read tiles `first` to `last` - 1: (last - first, n_phi, side, side)."""
        ...

    def selected(self, frames: IndexArray) -> MapArray:
        """Read the pairs of some frames, valid for i < j: (n_phi, m, m)."""
        ...

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Read scattered pairs of one angle, valid for i < j; shape of `i` and `j`."""
        ...

    def __getitem__(self, angle: int) -> MapArray:
        """Read the whole map of one angle, valid for i < j: (n, n)."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Two-time correlation maps of one ring, ready to fit.

    Attributes
    ----------
    c2
        (n_phi, n, n) maps; only ``i < j`` is used, NaN marks a pair that is not fitted.
        Frame k = 0 (t = 0) is not in it. Maps larger than the memory budget stay on disk.
    phi
        (n_phi,) detector angles in degrees.
    t
        (n,) times in seconds, ``k*dt`` for k = 1, 2, ...
    q, gap, dt
        1/Å, Å (None in static mode when not given), s.
    sigma
        Noise per c2 value: None (to be estimated), (n_phi,) or (n_phi, n, n).
    provenance
        Resolved q, phi, dt, frames, sigma, layout, each with its source, for display.
    n_masked
        Pairs i < j left out because of bad frames or non-finite values.
    notes
        Sentences the user should read (disagreements, what was assumed).
    """

    c2: MapArray | TiledMaps
    phi: FloatArray
    t: FloatArray
    q: float
    gap: float | None
    dt: float
    sigma: FloatArray | None
    provenance: Mapping[str, Resolved]
    n_masked: int = 0
    notes: tuple[str, ...] = ()

    @property
    def array(self) -> MapArray:
        """The maps as one array.

        Raises
        ------
        StreamedError
            They are kept on disk.
        """
        if isinstance(self.c2, TiledMaps):
            raise StreamedError(
                "the maps are larger than the memory budget and this step needs them whole",
                hint="give it more memory (--memory), or fewer frames (analyzer_parameters)",
            )
        return self.c2

    def selected(self, frames: IndexArray) -> MapArray:
        """Return the pairs of some frames (ascending indices), valid for i < j: (n_phi, m, m)."""
        if isinstance(self.c2, TiledMaps):
            return self.c2.selected(frames)
        return self.c2[:, frames[:, None], frames[None, :]]

    def pairs(self, angle: int, i: IndexArray, j: IndexArray) -> MapArray:
        """Return scattered pairs of one angle, valid for i < j; shape of `i` and `j`."""
        if isinstance(self.c2, TiledMaps):
            return self.c2.pairs(angle, i, j)
        values: MapArray = self.c2[angle][i, j]
        return values

    @property
    def n_phi(self) -> int:
        """Number of angles."""
        return int(self.c2.shape[0])

    @property
    def n_frames(self) -> int:
        """Number of fitted frames (k = 0 left out)."""
        return int(self.c2.shape[1])
