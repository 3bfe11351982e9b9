"""Gradient imbalance and premature convergence at the point where a fit stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.assessments import Diagnosis, Measure
from homodyne_cli.core.evaluation import EvaluatedRun
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams
from homodyne_cli.core.minimise.policy import EDM_CONVERGED
from homodyne_cli.core.minimise.state import predicted_edm
from homodyne_cli.core.minimise.x_scale import baseline_level, effective_ratio, gradient_x_scale
from homodyne_cli.core.numerics.gram import column_norms, condition_number
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import hold
from homodyne_cli.core.uncertainty.covariance import covariance, describe_direction
from homodyne_cli.dataset import FloatArray
from homodyne_cli.results import Solution

#: Ratio above which gradients count as imbalanced (reference document).
THRESHOLD = 10.0
#: Pairs of parameters correlated more than this are named.
CORRELATED = 0.95


@dataclass(frozen=True)
class Gradients:
    """Gradients of the unweighted sum of squares with contrast and offset held.

    Attributes
    ----------
    values
        (p,) d SSE / d p.
    noise
        (p,) their standard deviation if the data were the model plus noise.
    """

    values: FloatArray
    noise: FloatArray


def held_gradients(objective: PairObjective, grams: AngleGrams, solution: Solution) -> Gradients:
    """Return the reference document's gradients; contrast and offset do not move.

    Parameters
    ----------
    grams
        Of the pass at the solution, pairs weighted equally.
    """
    places, contrast = objective.places, solution.contrast
    held = hold(grams, contrast, solution.offset, np.ones(len(contrast)))
    diagonal = np.einsum("akk->ak", grams.gram)[:, places]
    weight = (contrast * objective.sigma) ** 2
    return Gradients(
        values=2.0 * held.gradient[places],
        noise=2.0 * np.sqrt(np.einsum("a,ak->k", weight, diagonal)),
    )


def diagnose(
    evaluated: EvaluatedRun,
    *,
    threshold: float = THRESHOLD,
    baseline: Sequence[str] | None = None,
    measure: Measure = "gradient",
) -> Diagnosis:
    """Judge balance and convergence of a run.

    Parameters
    ----------
    threshold
        Effective ratio above which the run counts as imbalanced.
    baseline
        Parameters whose geometric mean is the baseline of the rule; None takes D0, D_offset, phi0.
    measure
        What the recommended map is built from. Gradients below their noise floor say nothing
        about scale: the map then falls back to sensitivities and the diagnosis says so.
    """
    run, at, free = evaluated.run, evaluated.at, evaluated.free
    names, x = free.names, free.start
    hessian = at.reduced_hessian
    norms = column_norms(hessian)
    gradients = held_gradients(evaluated.objective, evaluated.grams, run.solution)
    table = dict(zip(names, gradients.values.tolist(), strict=True))
    below = tuple(
        n
        for n, g, noise in zip(names, gradients.values, gradients.noise, strict=True)
        if abs(g) < noise
    )
    used: Measure = "sensitivity" if below else measure
    source = table if used == "gradient" else dict(zip(names, norms.tolist(), strict=True))
    scale = gradient_x_scale(source, baseline)
    ratio = effective_ratio(norms, np.array([run.record.x_scale.get(n, 1.0) for n in names]))
    level = baseline_level(table, baseline)
    edm = predicted_edm(at, x, free)
    spread = covariance(at, names, evaluated.objective.free.width)
    return Diagnosis(
        names=names,
        values=x,
        gradients=gradients.values,
        gradient_noise=gradients.noise,
        sensitivities=norms,
        z=np.where(norms > 0.0, at.gradient / np.where(norms > 0.0, norms, 1.0), 0.0),
        x_scale_map=scale,
        measure=used,
        asked_measure=measure,
        baseline=level,
        max_ratio=float(np.max(np.abs(gradients.values)) / level),
        threshold=threshold,
        imbalance=ratio > threshold,
        effective_ratio=ratio,
        edm=edm,
        premature=edm >= EDM_CONVERGED,
        chi2=at.chi2,
        condition_raw=condition_number(hessian),
        condition_scaled=condition_number(hessian, np.array([scale[n] for n in names])),
        correlated=_correlated(spread.parameters, names),
        undetermined=tuple(describe_direction(d) for d in spread.directions),
        below_noise=below,
    )


def _correlated(block: FloatArray, names: Sequence[str]) -> tuple[tuple[str, str, float], ...]:
    sigma = np.sqrt(np.diag(block))
    pairs = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            value = block[i, j] / (sigma[i] * sigma[j])
            if np.isfinite(value) and abs(value) > CORRELATED:
                pairs.append((names[i], names[j], float(value)))
    return tuple(sorted(pairs, key=lambda pair: -abs(pair[2])))


def verdict(diagnosis: Diagnosis) -> tuple[str, str]:
    """Say in words what was found, and what to do next."""
    figures = f"effective ratio {diagnosis.effective_ratio:.3g}, threshold {diagnosis.threshold:g}"
    left = f"one more step would lower chi2 by {diagnosis.edm:.3g}"
    if diagnosis.premature and diagnosis.imbalance:
        return (
            f"Stopped early, and gradients are imbalanced ({figures}; {left}).",
            "Write the map with -o fix.yaml, enter it with apply-scale, and fit again.",
        )
    if diagnosis.premature:
        return (
            f"Stopped early ({left}), but gradients are balanced ({figures}).",
            "Fit again from here with more iterations or tighter ftol; check the start values.",
        )
    if diagnosis.imbalance:
        return (
            f"Gradients are imbalanced ({figures}), yet the fit converged ({left}).",
            "The result stands. The recommended map would have got there in fewer iterations.",
        )
    return (
        f"Balanced ({figures}) and converged ({left}).",
        "Nothing to do here: go on with homodyne verify.",
    )
