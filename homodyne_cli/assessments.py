"""What is known and judged after a fit: the run read back, its diagnosis, its checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import AnalysisMode, Convention, Loss, PerAngleMode
from homodyne_cli.problem import Bounds
from homodyne_cli.results import IterationRecord

Measure = Literal["gradient", "sensitivity"]
CheckStatus = Literal["pass", "warn", "fail", "n/a"]


@dataclass(frozen=True)
class Run:
    """A finished fit, read back from its directory.

    Attributes
    ----------
    directory
        Where it was read from.
    written_by
        ``homodyne`` or ``homodyne 2.x``.
    dataset
        Maps, angles, times, geometry; sigma is the run's, (n_phi,) or None.
    values, uncertainties, initial
        By parameter name; `uncertainties` and `initial` may lack names.
    contrast, offset
        (n_phi,) as the run reported them.
    bounds
        By parameter name; defaults where the run does not say.
    x_scale
        Scale per free parameter; empty where the run did not use one.
    converged, message, iterations
        As the run reported them; `iterations` is -1 if unknown.
    notes
        What had to be assumed.
    history
        TileBatch of the optimiser; empty where the run does not record them.
    n_speckles
        Effective speckles per angle whose correlated noise the fit found; infinite where it found
        none, or did not look.
    """

    directory: Path
    written_by: str
    mode: AnalysisMode
    convention: Convention
    per_angle_mode: PerAngleMode
    fourier_order: int
    dataset: Dataset
    values: Mapping[str, float]
    uncertainties: Mapping[str, float]
    initial: Mapping[str, float]
    free: tuple[str, ...]
    contrast: FloatArray
    offset: FloatArray
    bounds: Mapping[str, Bounds]
    x_scale: Mapping[str, float]
    converged: bool
    message: str
    iterations: int
    covariance: FloatArray | None
    covariance_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    loss: Loss = "linear"
    history: tuple[IterationRecord, ...] = ()
    n_speckles: float = float("inf")


@dataclass(frozen=True)
class CheckResult:
    """The verdict of one validation check.

    Attributes
    ----------
    id
        ``oscillations``, ``chi_squared``, ``uncertainties``, ``residuals``,
        ``gradient_balance``, ``convergence`` or ``physical``.
    value, threshold
        The figure that decided and its limit; None where there is none.
    message
        One line: the reason.
    advice
        What to do about it; empty where nothing is needed.
    """

    id: str
    status: CheckStatus
    value: float | None
    threshold: float | None
    message: str
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` finds at the point where a fit stopped.

    Attributes
    ----------
    names
        Free parameters; the arrays below follow them.
    gradients
        d SSE / d p with contrast and offset held (SSE of unweighted residuals);
        `gradient_noise` is their standard deviation if the data were model plus noise.
    sensitivities
        Column norms of the weighted Jacobian, contrast and offset projected out.
    z
        Gradient of chi2 (projected) over its standard deviation under noise.
    x_scale_map
        Recommended scale, by the rule in `measure`; `asked_measure` is what was asked for.
    max_ratio
        Largest |gradient| over the baseline.
    effective_ratio
        max/min of sensitivity times the run's x_scale.
    edm
        Chi2 decrease still to be had.
    condition_raw, condition_scaled
        Of the projected Jacobian, without and with the recommended scale.
    correlated
        (name, name, correlation) with |correlation| > 0.95.
    undetermined
        Sentences naming combinations that the data do not determine.
    below_noise
        Names whose gradient is below its noise floor.
    """

    names: tuple[str, ...]
    values: FloatArray
    gradients: FloatArray
    gradient_noise: FloatArray
    sensitivities: FloatArray
    z: FloatArray
    x_scale_map: Mapping[str, float]
    measure: Measure
    asked_measure: Measure
    baseline: float
    max_ratio: float
    threshold: float
    imbalance: bool
    effective_ratio: float
    edm: float
    premature: bool
    chi2: float
    condition_raw: float
    condition_scaled: float
    correlated: tuple[tuple[str, str, float], ...]
    undetermined: tuple[str, ...]
    below_noise: tuple[str, ...]
