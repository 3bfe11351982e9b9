r"""Whether the residuals of a fit show the noise of speckles: the one place where that is asked.

Counting speckles costs a hundred times a look at whether there are any. With F = Q l Q' on a
window and Z = Q' R Q, white noise of variance v leaves

    Var Z_ij = v (1 + d_ij - 2 sum_k Q_ki^2 Q_kj^2)

and the first speckles add to it in proportion to l_i + l_j. With x = Z^2 over that variance, cut
off as in `speckle_estimate`, and the modes left out that a misfit fills, the evidence is

    z = sum (l_i + l_j - mean) (min(x_ij, 6) - mean) / its deviation for white noise,

the score of M^(-1/2) at zero. What an estimate of M finds to be 4 standard errors is hardly ever
below 4 here, and nothing is counted below 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.model.pair_model import ModelMaps
from homodyne_cli.core.noise.speckle_estimate import (
    CUT,
    SMOOTH,
    SpeckleEstimate,
    estimate_speckles,
)
from homodyne_cli.core.noise.windows import Window, residual_windows
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.noise_report import NoiseReport

#: Contrast below which no speckle is seen; numbers beyond which, or whose inverse below which, data
#: are no correlation maps.
_LEAST_CONTRAST, _USUAL = 1e-3, 1e6
#: z below which no speckles are counted, and the median of a chi-squared variable.
_NO_SIGN, _MEDIAN = 3.0, 0.4549364


@dataclass(frozen=True)
class SpecklesSeen:
    """Speckle noise in residuals.

    Attributes
    ----------
    estimate
        Speckles and photons.
    white_share
        Of the residuals' variance that photons make, and is independent from pair to pair.
    """

    estimate: SpeckleEstimate
    white_share: float

    @property
    def report(self) -> NoiseReport:
        """What is said of it; photons are those of the typical angle."""
        estimate = self.estimate
        typical = int(np.argsort(estimate.photon_noise)[len(estimate.photon_noise) // 2])
        w, error = estimate.photon_noise[typical], estimate.photon_noise_error[typical]
        return NoiseReport(
            n_speckles=estimate.n_speckles,
            white_share=self.white_share,
            n_speckles_error=estimate.n_speckles_error,
            photons=float(1.0 / w),
            photons_error=float(error / w**2),
        )


def find_speckles(dataset: Dataset, fitted: ModelMaps, sigma: FloatArray) -> SpecklesSeen | None:
    """Look for speckle noise; None where noise is white, or the fit is beyond judging.

    Parameters
    ----------
    sigma
        (n_phi,) noise between neighbouring pairs.
    """
    with np.errstate(all="ignore"):
        windows = residual_windows(dataset, fitted)
        if not _are_sound(windows, fitted.contrast, sigma) or evidence(windows) < _NO_SIGN:
            return None
        estimate = estimate_speckles(windows, sigma**2, dataset.pixel_share)
        share = _white_share(windows, estimate)
    known = np.isfinite([estimate.n_speckles_error, estimate.excess, share]).all()
    return SpecklesSeen(estimate, share) if known and not estimate.white else None


def _are_sound(windows: Sequence[Window], contrast: FloatArray, sigma: FloatArray) -> bool:
    """Whether speckles can be counted: a contrast as fields have it, numbers of usual size."""
    fields = np.all((contrast > _LEAST_CONTRAST) & (contrast <= 1.0))
    sizes = [float(np.abs(part).max()) for w in windows for part in (w.g1, w.residual)]
    known = np.all(np.isfinite(sizes)) and max(sizes, default=0.0) < _USUAL
    # A field that has decayed after one frame, or never does, tells nothing of speckles.
    fields_left = [float(np.mean(np.abs(w.g1 - np.eye(len(w.g1))))) for w in windows]
    known = known and bool(fields_left) and min(fields_left) > _LEAST_CONTRAST
    return bool(fields and known and np.all((sigma > 1.0 / _USUAL) & (sigma < _USUAL)))


def evidence(windows: Sequence[Window]) -> float:
    """Return z of the module, standard normal where noise is white."""
    with core_threads() as threads:
        sums = np.sum(list(threads.map(_score_of_speckles, windows)), axis=0)
    return float(sums[0] / np.sqrt(max(sums[1], 1e-300)))


def _score_of_speckles(window: Window) -> tuple[float, float]:
    """Return the score of one window and its variance."""
    values, vectors = window.eigen
    n = len(values)
    i, j = np.triu_indices(n)
    rough = np.maximum(i, j) >= n // SMOOTH
    i, j = i[rough], j[rough]
    z = (vectors.T @ window.residual @ vectors)[i, j]
    # A mode that lives on one frame has no pair.
    spread = np.where(i == j, 2.0, 1.0) - 2.0 * (np.square(vectors).T @ np.square(vectors))[i, j]
    x = np.divide(z**2, spread, out=np.zeros_like(z), where=spread > _LEAST_CONTRAST)
    cut = np.minimum(x * (_MEDIAN / max(float(np.median(x)), 1e-300)), CUT)
    slope = values[i] + values[j]
    slope -= slope.mean()
    return float(slope @ (cut - cut.mean())), float(slope @ slope * cut.var())


def _white_share(windows: Sequence[Window], estimate: SpeckleEstimate) -> float:
    """Return w^2 over the main part of the variance, means over pairs."""
    white, whole = 0.0, 0.0
    for window in windows:
        w, c = float(estimate.photon_noise[window.angle]), window.contrast
        pairs = window.present
        white += w**2 * float(pairs.sum())
        whole += float((pairs * ((c + w) ** 2 + (c * window.g1**2) ** 2)).sum())
    return white / max(whole, 1e-300)
