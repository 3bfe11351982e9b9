"""What a fit found: parameters, uncertainties, the path of the optimiser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from homodyne_cli.curves import Curves
from homodyne_cli.dataset import FloatArray
from homodyne_cli.findings.agreement import Agreement
from homodyne_cli.noise_report import UNKNOWN_NOISE, NoiseReport
from homodyne_cli.parameters import AnalysisMode, Convention, Loss, PerAngleMode, XScaleMode
from homodyne_cli.problem import Bounds

#: Status of a fit that was told to end; the codes of `scipy.optimize` are larger.
INTERRUPTED: Final = -7


#: What a fit is doing between its steps.
Phase = Literal["search", "noise", "weights", "profile", "assumptions", "saving", "pictures"]
#: Told which phase a fit is in, how much of it is done, and of how much; 0 of 0 if that is unknown.
OnPhase = Callable[[Phase, int, int], None]
#: Told how many of something are done, and of how many.
OnCount = Callable[[int, int], None]


def unfollowed(*_: object) -> None:
    """Take progress that nobody follows."""


@dataclass(frozen=True)
class Solution:
    """Where a fit stands.

    Attributes
    ----------
    values
        By parameter name, in table order.
    contrast, offset
        (n_phi,) each.
    """

    values: Mapping[str, float]
    contrast: FloatArray
    offset: FloatArray

    @property
    def vector(self) -> FloatArray:
        """(7,) or (3,) values in table order."""
        return np.array(list(self.values.values()))


@dataclass(frozen=True)
class FittedParameter:
    """One parameter after the fit; `uncertainty` is NaN where the data give none.

    `uncertainty_hessian` is that of the inverse Hessian of what was minimised. Where another
    parameter is at a bound, `uncertainty` holds for it there, and `uncertainty_unbounded` is what
    it would be if the bound were none; NaN elsewhere.
    """

    name: str
    value: float
    uncertainty: float
    unit: str
    initial: float
    bounds: Bounds
    at_bound: bool
    fixed: bool
    unmoved: bool
    uncertainty_hessian: float = float("nan")
    uncertainty_unbounded: float = float("nan")

    @property
    def moved(self) -> bool:
        """Whether it left its start, or is fixed."""
        return not self.unmoved


@dataclass(frozen=True)
class IterationRecord:
    """One accepted step of the optimiser; iteration 0 is the start.

    `step_norm` is the length of the step in the optimiser's scaled coordinates, `condition` the
    condition number of the Jacobian there and `condition_raw` in physical units, not scaled.
    `column_norms` is empty unless ``diagnostics.log_jacobian_norms`` is on.
    """

    iteration: int
    chi2: float
    edm: float
    step_norm: float
    seconds: float
    condition: float = float("nan")
    condition_raw: float = float("nan")
    effective_ratio: float = float("nan")
    column_norms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Rival:
    """Another minimum, `chi2_above` higher on all pairs, at these values by parameter."""

    chi2_above: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class SearchReport:
    """How the global stage chose the start of the fit, on decimated pairs.

    Attributes
    ----------
    screened, refined
        Points at which chi2 was looked at, and descents made from the best of them (and from
        the given start).
    reached
        Descents that ended in the minimum that was chosen.
    chi2, runner_up
        Of the minimum chosen and of the next best one (None if there is no other).
    n_points
        Pairs that these chi2 are over.
    rivals
        Minima that noise alone could have made the lowest; looked for where an exponent is open.
    beyond
        A minimum outside of the bounds of phi0, much lower than that inside (its `chi2_above` is
        negative); looked for where that does not describe the data.
    """

    screened: int
    refined: int
    reached: int
    chi2: float
    runner_up: float | None
    n_points: int
    rivals: tuple[Rival, ...] = ()
    beyond: Rival | None = None


@dataclass(frozen=True)
class ProfileInterval:
    """Where the profile of one parameter has risen by `chi2_rise`; None: not before its bound."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    chi2_rise: float


@dataclass(frozen=True)
class Conditioning:
    """Condition number of the Jacobian in physical units, and as x_scale made it."""

    raw: float
    scaled: float


@dataclass(frozen=True)
class Combination:
    """A linear combination of parameters that the data determine where they do not its parts.

    It is the sum of coefficient times parameter (phi0 in degrees), with its uncertainty.
    """

    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    value: float
    uncertainty: float
    unit: str


@dataclass(frozen=True)
class FitRecord:
    """What a fit says about itself beside its solution; the defaults say nothing.

    Attributes
    ----------
    converged, message, iterations
        As the fit reported them.
    uncertainties, initial
        By parameter name; NaN where the data give no uncertainty.
    x_scale
        Scale per free parameter.
    covariance
        (p, p) of the parameters named by `covariance_names`.
    history
        Steps of the optimiser.
    noise
        Speckle and white noise that the fit saw.
    written_by, directory
        The program, and where the record was read from.
    notes
        What had to be assumed in reading.
    """

    converged: bool = False
    message: str = ""
    iterations: int | None = None
    uncertainties: Mapping[str, float] = field(default_factory=dict)
    initial: Mapping[str, float] = field(default_factory=dict)
    x_scale: Mapping[str, float] = field(default_factory=dict)
    covariance: FloatArray | None = None
    covariance_names: tuple[str, ...] = ()
    history: tuple[IterationRecord, ...] = ()
    noise: NoiseReport = UNKNOWN_NOISE
    written_by: str = ""
    directory: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitResult:
    """What a fit found.

    Attributes
    ----------
    contrast, offset, contrast_uncertainty, offset_uncertainty
        (n_phi,) each.
    sigma
        (n_phi,) noise of a pair (root mean square where the file gives a map; see `NoiseReport`).
    chi2, reduced_chi2, n_points, degrees_of_freedom
        Sum (r/sigma)^2 over fitted pairs i < j (the robust cost x 2 for other losses); with best
        weights in the metric of the noise's covariance, where `plain_chi2` is the former.
    edm
        Chi2 decrease that one more undamped Gauss-Newton step within bounds predicts.
    status, message, converged
        Optimiser's status code, its meaning in words, and the verdict with EDM taken in.
    covariance
        (p, p) of the free parameters in `covariance_names`, contrast and offset projected out.
    undetermined
        Sentences naming combinations of parameters that the data do not determine.
    combinations
        What is determined of parameters that are not known apart.
    equivalents
        Other values inside the bounds, by parameter, that describe the data exactly as well.
    agreements
        Whether rings agree, and repeats, where there are several.
    search
        What the global stage found; None where the fit went down from the given start alone.
    """

    mode: AnalysisMode
    convention: Convention
    per_angle_mode: PerAngleMode
    parameters: tuple[FittedParameter, ...]
    contrast: FloatArray
    offset: FloatArray
    contrast_uncertainty: FloatArray
    offset_uncertainty: FloatArray
    sigma: FloatArray
    chi2: float
    reduced_chi2: float
    n_points: int
    degrees_of_freedom: int
    edm: float
    status: int
    message: str
    converged: bool
    iterations: int
    evaluations: int
    covariance: FloatArray
    covariance_names: tuple[str, ...]
    curves: Curves
    undetermined: tuple[str, ...]
    x_scale: Mapping[str, float]
    x_scale_mode: XScaleMode
    history: tuple[IterationRecord, ...]
    loss: Loss = "linear"
    search: SearchReport | None = None
    noise: NoiseReport = UNKNOWN_NOISE
    profiles: tuple[ProfileInterval, ...] = ()
    plain_chi2: float = float("nan")
    combinations: tuple[Combination, ...] = ()
    equivalents: tuple[Mapping[str, float], ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def value(self, name: str) -> float:
        """Return the fitted value of a parameter."""
        return next(p.value for p in self.parameters if p.name == name)

    @property
    def values(self) -> FloatArray:
        """(p,) fitted values in table order."""
        return self.solution.vector

    @property
    def bounds(self) -> dict[str, Bounds]:
        """Bounds that the fit held to: default ones may have been widened to the data."""
        return {p.name: p.bounds for p in self.parameters}

    @property
    def interrupted(self) -> bool:
        """Whether it was told to end before it was done."""
        return self.status == INTERRUPTED

    @property
    def solution(self) -> Solution:
        """Where the fit ended."""
        return Solution({p.name: p.value for p in self.parameters}, self.contrast, self.offset)

    @property
    def record(self) -> FitRecord:
        """What the fit says about itself."""
        return FitRecord(
            converged=self.converged,
            message=self.message,
            iterations=self.iterations,
            uncertainties={p.name: p.uncertainty for p in self.parameters},
            initial={p.name: p.initial for p in self.parameters},
            x_scale=self.x_scale,
            covariance=self.covariance,
            covariance_names=self.covariance_names,
            history=self.history,
            noise=self.noise,
            written_by="homodyne",
        )

    @property
    def conditioning(self) -> Mapping[str, Conditioning]:
        """Of the start and the end of the fit; empty where no path is recorded."""
        ends = zip(("start", "end"), self.history[:: max(len(self.history) - 1, 1)], strict=False)
        return {name: Conditioning(at.condition_raw, at.condition) for name, at in ends}


@dataclass(frozen=True)
class Seconds:
    """Where the wall-clock time of a fit went."""

    load: float
    compile: float
    fit: float
    save: float
    total: float
