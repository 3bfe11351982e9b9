r"""Assumptions on the instrument: frames are instants, q is one value, particles stay in the beam.

Every one is judged by what its failure does to c2, as a share of the contrast, from the fit alone;
1% of the contrast is what tells lobes of 4.7% from noise in a good map.

**Blur.** A frame of exposure e averages c2 over triangles of lags of variance e^2 / 6, which adds
e^2 f'' / 12 to f: (Gamma e)^2 / 12 for a decay at the rate Gamma = q^2 J, p (s kappa g e)^2 / 36
for a shear factor sinc(s x)^p at the rate g. A constant share of that is in the contrast; where
rates change with time it is not.

**Aliasing.** Lobes of the shear factor follow each other at a phase pi of the sinc. Where
neighbouring frames are more than half of that apart they are not sampled, and another strain fits
as well.

**Width of q.** A ring of width w averages f over q - w/2 to q + w/2.

**Transit.** In a beam of Gaussian profile and standard deviation b along the flow, a particle that
has moved by d scatters with a field of overlap exp(-d^2 / (8 b^2)). Over the gap d goes from 0 to
D, the gap times the strain, so that f loses D^2 / (12 b^2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.model.curves import SHEAR_FACTORS, ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import pair_model
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.problem import FitProblem
from homodyne_cli.results import Solution

#: Share of the contrast that counts, and the share of frames in which it must: rates of power laws
#: diverge towards t = 0, which a few frames see.
LIMIT, _FRAMES = 0.01, 0.05
#: Phase of the sinc between neighbouring frames beyond which lobes are not sampled.
_HALF_LOBE = np.pi / 2.0
#: Frames, spread over all, whose pairs are looked at.
_LOOKED_AT = 150
_FWHM = 2.0 * (2.0 * np.log(2.0)) ** 0.5
_Q_NODES = 5


@dataclass(frozen=True)
class FittedCurves:
    """A fit as functions of time, and what it was asked.

    Attributes
    ----------
    curves
        Of all frames and angles, at the solution.
    """

    dataset: Dataset
    problem: FitProblem
    curves: ModelCurves

    @classmethod
    def of(cls, dataset: Dataset, problem: FitProblem, solution: Solution) -> FittedCurves:
        """Evaluate a solution."""
        parameters, convention = solution.vector, problem.convention
        curves = model_curves(
            dataset.t, dataset.phi, dataset.q, dataset.gap, parameters, convention
        )
        return cls(dataset, problem, curves)

    @property
    def sheared(self) -> bool:
        """Whether the model has a flow."""
        return len(self.curves.strain_slopes) > 0

    @property
    def phase_steps(self) -> FloatArray:
        """(n_phi, n - 1) phase of the sinc between neighbouring frames."""
        scale = SHEAR_FACTORS[self.problem.convention].scale
        steps = np.abs(np.diff(self.curves.strain))
        return np.asarray(scale * np.abs(self.curves.kappa)[:, None] * steps)

    def f(self, angle: int, beyond: float = 0.0) -> FloatArray:
        """Return f between frames spread over all, (m, m), at a q that is larger by `beyond`."""
        own = self.curves.q
        q = own + beyond
        curves = replace(self.curves, q=q, kappa=self.curves.kappa * (q / own))
        model = pair_model(curves, angle, self.problem.convention)
        frames = self.frames
        return model.f(frames[:, None], frames)

    @property
    def frames(self) -> np.ndarray:
        """(m,) frames spread over all, neighbours among them at the beginning."""
        n = self.dataset.n_frames
        return np.unique(np.geomspace(1, n, min(n, _LOOKED_AT)).astype(int)) - 1


def instrument_findings(fit: FittedCurves) -> Iterator[Finding]:
    """Yield a warning for each assumption on the instrument that does not hold."""
    yield from _blur(fit)
    yield from _aliasing(fit)
    yield from _width(fit)
    yield from _transit(fit)


def _blur(fit: FittedCurves) -> Iterator[Finding]:
    dt, form = fit.dataset.dt, SHEAR_FACTORS[fit.problem.convention]
    exposure = fit.problem.setup.exposure
    share = min((exposure or dt) / dt, 1.0)
    decay = share * fit.dataset.q.max() ** 2 * np.abs(np.diff(fit.curves.transport))
    phase = share * fit.phase_steps.max(axis=0)
    effect = decay**2 / 12.0 + form.power * phase**2 / 36.0
    # What is the same in all frames is in the contrast.
    excess = np.abs(effect - np.median(effect)) > LIMIT
    blurred = float(np.mean(excess))
    if blurred <= _FRAMES:
        return
    known = "" if exposure else " (if it lasts as long as a frame: exposure is not given)"
    until = fit.dataset.t[int(np.flatnonzero(excess).max())]
    yield Finding(
        Code.BLUR,
        "warning" if exposure else "note",
        f"within one exposure of {share * dt:.3g} s{known} c2 changes: blur adds more "
        f"than {LIMIT:.0%} of the contrast in {blurred:.0%} of the frames (up to t = {until:.3g} "
        f"s; at most {min(float(effect.max()), 1.0):.0%}): rates and exponents are biased there",
        "leave these frames out (start_frame), measure with shorter frames, or give "
        "analyzer_parameters.exposure if it is shorter than dt",
    )


def _aliasing(fit: FittedCurves) -> Iterator[Finding]:
    if not fit.sheared:
        return
    steps = fit.phase_steps
    share = np.mean(steps > _HALF_LOBE, axis=1)
    if share.max() <= _FRAMES:
        return
    angles = int(np.count_nonzero(share > _FRAMES))
    worst = float(steps.max() / (2.0 * _HALF_LOBE))
    yield Finding(
        Code.ALIASED,
        "warning",
        f"neighbouring frames are more than half a lobe of the shear factor apart (up to "
        f"{worst:.2g} lobes) at {angles} of {len(steps)} angles: lobes are not sampled there, and "
        "other shear rates may describe the data as well",
        "measure with shorter frames, or fit angles closer to right angles to the flow "
        "(phi_filtering) and compare",
    )


def _width(fit: FittedCurves) -> Iterator[Finding]:
    width = fit.problem.setup.q_width
    if width is None:
        return
    nodes, weights = np.polynomial.legendre.leggauss(_Q_NODES)
    effect = 0.0
    for angle in range(fit.dataset.n_phi):
        parts = (fit.f(angle, 0.5 * width * node) for node in nodes)
        mean = sum(0.5 * w * part for w, part in zip(weights, parts, strict=True))
        effect = max(effect, float(np.abs(mean - fit.f(angle)).max()))
    if effect <= LIMIT:
        return
    yield Finding(
        Code.Q_WIDTH,
        "warning",
        f"the ring is {width / fit.dataset.q.min():.1%} of q wide, which washes lobes out and "
        f"bends the decay by up to {effect:.1%} of the contrast (limit {LIMIT:.0%})",
        "divide the ring into narrower ones (dynamic q bins)",
    )


def _transit(fit: FittedCurves) -> Iterator[Finding]:
    beam, gap = fit.problem.setup.beam_size, fit.dataset.gap
    if beam is None or gap is None or not fit.sheared:
        return
    strain = fit.curves.strain[fit.frames]
    distance = gap * np.abs(strain[:, None] - strain)
    lost = 1.0 - np.exp(-((distance * _FWHM / beam) ** 2) / 12.0)
    effect = max(float((fit.f(a) * lost).max()) for a in range(fit.dataset.n_phi))
    if effect <= LIMIT:
        return
    yield Finding(
        Code.TRANSIT,
        "warning",
        f"particles leave the beam ({beam:.3g} Å) before they decorrelate: transit takes up to "
        f"{effect:.1%} of the contrast (limit {LIMIT:.0%}) and counts as diffusion",
        "a wider beam along the flow; or a higher q, where c2 decays before",
    )
