"""Particle data fitted with both conventions, and what the fits say about the motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from homodyne_cli.core.fit import fit
from homodyne_cli.dataset import Dataset
from homodyne_cli.parameters import NAMES, Convention
from homodyne_cli.results import FitResult
from tests.support.oracle import running_integral
from tests.support.particles import (
    ParticleExperiment,
    particle_problem,
    true_integrals,
)

CONVENTIONS: Final[tuple[Convention, ...]] = ("he2024", "homodyne-2")
#: Starts of the shear amplitude relative to the truth; the fit with the lower chi2 counts.
STARTS: Final = (1.0, 2.3)


@dataclass(frozen=True)
class Outcome:
    """One fit beside the truth.

    Attributes
    ----------
    strain, displacement
        G and A over the window, fitted over true.
    chi2
        Sum of squares in units of the estimated noise.
    """

    strain: float
    displacement: float
    chi2: float
    result: FitResult


def fit_both(experiment: ParticleExperiment, data: Dataset) -> dict[Convention, Outcome]:
    """Fit a dataset with both conventions, from good starts for either."""
    return {convention: _fit_one(experiment, data, convention) for convention in CONVENTIONS}


def _fit_one(experiment: ParticleExperiment, data: Dataset, convention: Convention) -> Outcome:
    truth = dict(zip(NAMES, experiment.truth, strict=True))
    results = [
        fit(
            data,
            particle_problem(
                experiment,
                convention,
                start={**truth, "gamma_dot_t0": factor * truth["gamma_dot_t0"]},
            ),
        )
        for factor in STARTS
    ]
    best = min(results, key=lambda r: r.chi2)
    A, G = true_integrals(experiment)
    a, g = (
        float(running_integral(experiment.t, best.values[k : k + 3], convention)[-1])
        for k in (0, 3)
    )
    return Outcome(
        strain=g / float(G[-1]), displacement=a / float(A[-1]), chi2=best.chi2, result=best
    )
