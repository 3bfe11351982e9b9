"""What the residuals of a fit say about their noise, and the weights that were made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from annotated_types import Ge, Gt, Le

#: A number that a run may hold, in its unit.
Figure: TypeAlias = Annotated[float, Ge(-1e30), Le(1e30)]


@dataclass(frozen=True)
class SpeckleWeights:
    """What best weights are made from: a run keeps it, and they can be made again.

    Attributes
    ----------
    parameters
        In table order, at which the covariance of the noise is evaluated.
    contrast, photon_noise, n_speckles
        Of each angle: c, w and M.
    modes, excess
        See `SpeckleEstimate`.
    """

    parameters: tuple[Figure, ...]
    contrast: tuple[Figure, ...]
    photon_noise: tuple[Annotated[Figure, Gt(0)], ...]
    n_speckles: tuple[Annotated[Figure, Gt(0)], ...]
    modes: Annotated[Figure, Ge(1)]
    excess: Annotated[Figure, Ge(-1)]


@dataclass(frozen=True)
class NoiseReport:
    """What the residuals say about their noise, with standard errors where they are known.

    Attributes
    ----------
    n_speckles
        Effective speckles per angle whose fluctuations the fit sees; infinite if noise is white.
    white_share
        Share of the residuals' variance that is independent from pair to pair.
    shared_out
        Whether the angles' sigma are in proportion to how much their noise repeats itself.
    photons
        Photons per speckle and frame, the median over angles.
    gain
        Uncertainty with equal weights over that with best ones, the largest of a parameter.
    weights
        Of a fit with best weights.
    """

    n_speckles: float = float("inf")
    white_share: float = 1.0
    shared_out: bool = False
    n_speckles_error: float = float("nan")
    photons: float = float("nan")
    photons_error: float = float("nan")
    gain: float = float("nan")
    weights: SpeckleWeights | None = None


#: Of runs and programs that did not look at their noise.
UNKNOWN_NOISE = NoiseReport()
