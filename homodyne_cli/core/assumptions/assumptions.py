"""All assumptions of the model, held against one fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from homodyne_cli.core.assumptions.flow import flow_findings
from homodyne_cli.core.assumptions.instrument import FittedCurves, instrument_findings
from homodyne_cli.core.checks.angle_maps import FittedModel
from homodyne_cli.core.checks.residual_maps import Residuals
from homodyne_cli.core.model.pair_model import model_maps
from homodyne_cli.core.noise.find_speckles import find_speckles
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate, white_noise
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.noise_report import UNKNOWN_NOISE, NoiseReport, SpeckleWeights
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import OnCount, Solution, unfollowed

#: Photon noise over contrast where noise is white: so far beyond the limit from which covariances
#: are taken pair by pair that it is so over merged frames as well.
_WHITE = 1e6
#: Standard errors of M by which it must exceed the pixels.
_BEYOND_DOUBT = 3.0


def with_assumptions(
    dataset: Dataset,
    problem: FitProblem,
    solution: Solution,
    sigma: FloatArray,
    report: NoiseReport,
    *,
    counted: bool = False,
    on_map: OnCount = unfollowed,
) -> Dataset:
    """Return a dataset with the assumptions that do not hold among its findings.

    Those that it has from an earlier look at the same fit stay, as that may have known more of the
    instrument. Arguments as below.
    """
    broken = broken_assumptions(
        dataset, problem, solution, sigma, report, counted=counted, on_map=on_map
    )
    findings = tuple(broken)
    codes = {finding.code for finding in findings}
    earlier = (f for f in dataset.findings or () if f.code not in codes)
    return replace(dataset, findings=(*earlier, *findings))


@serial_algebra()
def broken_assumptions(
    dataset: Dataset,
    problem: FitProblem,
    solution: Solution,
    sigma: FloatArray,
    report: NoiseReport = UNKNOWN_NOISE,
    *,
    counted: bool = False,
    on_map: OnCount = unfollowed,
) -> Iterator[Finding]:
    """Yield a warning for each assumption of the model that does not hold.

    Parameters
    ----------
    sigma
        (n_phi,) noise of a pair.
    report
        What the fit saw of its noise. Speckles that its weights were made from are not counted
        again.
    counted
        Whether the report is of these residuals: white noise in it is white.
    on_map
        Told of each map that has been held against the model.
    """
    if not np.all(np.isfinite(solution.vector)):
        return
    with np.errstate(all="ignore"):
        yield from instrument_findings(FittedCurves.of(dataset, problem, solution))
        model = FittedModel.of(dataset, problem, solution)
        if not np.all((model.contrast > 0.0) & (model.contrast <= 1.0)) or not np.all(sigma > 0.0):
            return
        fitted = model_maps(
            dataset, solution.vector, solution.contrast, solution.offset, problem.convention
        )
        residuals = Residuals(dataset, fitted, sigma)
        white = counted and not np.isfinite(report.n_speckles)
        noise = _white(residuals, model) if white else _noise(residuals, model, report)
        yield from _impossible_speckles(dataset, noise)
        yield from flow_findings(residuals, model, noise, on_map)


def _noise(residuals: Residuals, model: FittedModel, report: NoiseReport) -> SpeckleEstimate:
    """Return speckles and photons."""
    if report.weights is not None:
        return _of_weights(report, report.weights)
    assert not isinstance(residuals.fitted, np.ndarray)
    speckles = find_speckles(residuals.dataset, residuals.fitted, residuals.sigma)
    return _white(residuals, model) if speckles is None else speckles.estimate


def _white(residuals: Residuals, model: FittedModel) -> SpeckleEstimate:
    """Return white noise, as that of so many speckles that they do not show."""
    root = _WHITE * float(model.contrast.max()) / float(residuals.sigma.min())
    noise = white_noise(residuals.dataset.n_phi)
    return replace(noise, n_speckles=root**2, photon_noise=root * residuals.sigma)


def _of_weights(report: NoiseReport, weights: SpeckleWeights) -> SpeckleEstimate:
    photon_noise = np.array(weights.photon_noise)
    n_speckles = np.array(weights.n_speckles)
    return SpeckleEstimate(
        n_speckles=report.n_speckles,
        n_speckles_error=report.n_speckles_error,
        photon_noise=photon_noise,
        photon_noise_error=np.full_like(photon_noise, np.nan),
        modes=weights.modes,
        excess=weights.excess,
        share=n_speckles / report.n_speckles,
    )


def _impossible_speckles(dataset: Dataset, noise: SpeckleEstimate) -> Iterator[Finding]:
    """Yield a warning where there are more speckles than pixels to see them, beyond doubt."""
    if dataset.pixels is None or not np.isfinite(noise.n_speckles_error):
        return
    pixels = float(dataset.pixels.mean())
    if noise.n_speckles - _BEYOND_DOUBT * noise.n_speckles_error > pixels:
        yield Finding(
            Code.TOO_MANY_SPECKLES,
            "warning",
            f"the noise is that of {noise.n_speckles:.3g} ± {noise.n_speckles_error:.2g} "
            f"speckles per angle, and a bin has {pixels:.4g} pixels: a pixel sees one at most",
            "see how the maps were correlated: means over repeats, smoothing, another pixel map",
        )
