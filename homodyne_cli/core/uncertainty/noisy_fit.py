"""The end of a fit, and what its noise does to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from homodyne_cli.core.minimise.state import MinimiserState
from homodyne_cli.core.noise.best_objective import BestObjective
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.objective.projection import hold
from homodyne_cli.core.uncertainty.covariance import ScoreNoise
from homodyne_cli.noise_report import NoiseReport


@dataclass(frozen=True)
class NoisyFit:
    """Where a fit ended and how its score varies there.

    Attributes
    ----------
    pairs
        The ordinary objective, whose sigma is the noise of a pair.
    state
        Of what was minimised.
    report
        What the residuals say about their noise.
    actual, independent
        The score with the noise as it is, and as the objective takes it.
    n_points
        That chi2 is expected to be, unknowns aside.
    plain_chi2
        Of the pairs with sigma alone.
    """

    pairs: PairObjective
    state: MinimiserState
    report: NoiseReport
    actual: ScoreNoise
    independent: ScoreNoise
    n_points: int
    plain_chi2: float


def with_best_weights(
    objective: BestObjective, report: NoiseReport, state: MinimiserState
) -> NoisyFit:
    """Evaluate what the whole covariance does to the score of a fit with best weights.

    Parameters
    ----------
    state
        Its pass is made again, with the sums that this takes.
    """
    pairs, scores = objective.pairs, objective.scores(state.x)
    at = scores.at
    plain = hold(pairs.plain_grams(state.x), at.contrast, at.offset, pairs.sigma)
    return NoisyFit(
        pairs=pairs,
        state=replace(state, at=at),
        report=replace(report, gain=scores.gain, weights=objective.weights),
        actual=ScoreNoise(at.hessian, scores.variance),
        independent=ScoreNoise(at.hessian, at.hessian),
        n_points=objective.n_points,
        plain_chi2=plain.chi2,
    )
