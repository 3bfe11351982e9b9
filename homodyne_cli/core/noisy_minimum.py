r"""From the minimum of the search to that of chi2 with the weights that its noise asks for.

Where residuals show the noise of speckles, how many there are and how many photons follow from them
(`noise.speckle_estimate`), and from these, the contrast and the model at the point reached the
covariance of the noise. Chi2 in its metric is minimised, the covariance is taken anew at the new
point, and so on until once more would not be worth noticing: either the minimum in the metric just
taken is at hand, or it is nearer than the one before by so much that, going on at that rate, the
next one would be. The weights do not depend on the data but through a handful of numbers, so that
the estimates stay as good as unbiased.
"""

from __future__ import annotations

from collections.abc import Callable

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.minimise import minimise, step_without_a_pass
from homodyne_cli.core.minimise.state import StopReason, is_converged, linear_step
from homodyne_cli.core.noise.best_objective import (
    MANY_FRAMES,
    BestObjective,
    best_objective,
    read_angles,
    read_sparsely,
)
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.uncertainty.angle_weights import weigh_angles, with_equal_weights
from homodyne_cli.core.uncertainty.noisy_fit import NoisyFit, with_best_weights
from homodyne_cli.core.uncertainty.speckle_noise import speckles_in_residuals
from homodyne_cli.core.uncertainty.symmetries import canonical
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import ConfigError
from homodyne_cli.noise_report import SpeckleWeights
from homodyne_cli.problem import FitProblem

#: Uncertainties of equal weights over those of best ones from which on `auto` takes the best.
WORTHWHILE_GAIN = 1.02
#: Times that the covariance is taken anew: two or three are enough, and a fit that has no minimum
#: must end.
_MOST_REFRESHES = 8


def minimise_with_noise(
    dataset: Dataset,
    problem: FitProblem,
    pairs: PairObjective,
    log: Minimisation,
    on_covariance: Callable[[int, int], None],
) -> NoisyFit:
    """Look at the noise, choose weights by it, and go on to the minimum of the chi2 they make.

    Parameters
    ----------
    on_covariance
        Told each time that the covariance of the noise is taken, and how often it is at most.

    Raises
    ------
    ConfigError
        If ``noise.weights: best`` is asked of what has no such weights.
    """
    allowed = _may_take_best(dataset, problem, pairs)
    speckles = speckles_in_residuals(dataset, pairs, log.x, log.at)
    if speckles is not None and allowed:
        beginning = _worthwhile_beginning(dataset, problem, pairs, log, speckles)
        if beginning is not None:
            objective = _minimise_best(dataset, pairs, log, speckles, beginning, on_covariance)
            log.relocate(canonical(log.state(), pairs, dataset, problem.convention))
            return with_best_weights(objective, speckles.report, log.state())
    equal = weigh_angles(dataset, pairs, log.state(), speckles)
    if equal.objective is not pairs:
        log.change_objective(equal.objective, equal.at)
    minimise(log, near=True)
    log.relocate(canonical(log.state(), pairs, dataset, problem.convention))
    return with_equal_weights(dataset, equal, log.state())


def interrupted_fit(dataset: Dataset, pairs: PairObjective, log: Minimisation) -> NoisyFit:
    """Return a fit that was told to end, with equal weights at the point where it stands."""
    if log.objective is not pairs:
        log.change_objective(pairs)
    log.stop = StopReason.INTERRUPTED
    speckles = speckles_in_residuals(dataset, pairs, log.x, log.at)
    equal = weigh_angles(dataset, pairs, log.state(), speckles)
    return with_equal_weights(dataset, equal, log.state())


def _may_take_best(dataset: Dataset, problem: FitProblem, pairs: PairObjective) -> bool:
    """Whether best weights are asked for, or allowed, and possible."""
    choice, reason = problem.weights, _without_weights(dataset, pairs)
    if choice == "best" and reason:
        raise ConfigError(f"noise.weights 'best' and {reason}", hint="use noise.weights: auto")
    given = dataset.sigma is not None and choice == "auto"
    return choice != "equal" and not reason and not given


def _worthwhile_beginning(
    dataset: Dataset,
    problem: FitProblem,
    pairs: PairObjective,
    log: Minimisation,
    speckles: SpecklesSeen,
) -> BestObjective | None:
    """Return what a minimisation with best weights begins with; None if they make no difference."""
    weights, many = _weights(pairs, log, speckles), dataset.n_frames > MANY_FRAMES
    read = read_sparsely(dataset) if many else read_angles(dataset)
    beginning = best_objective(dataset, pairs, weights, read)
    if problem.weights == "best" or beginning.scores(log.x).gain >= WORTHWHILE_GAIN:
        return beginning
    if not many:
        return None
    # Fewer frames gain less: what they do not gain all may.
    whole = best_objective(dataset, pairs, weights, read_angles(dataset))
    return beginning if whole.scores(log.x).gain >= WORTHWHILE_GAIN else None


def _minimise_best(
    dataset: Dataset,
    pairs: PairObjective,
    log: Minimisation,
    speckles: SpecklesSeen,
    objective: BestObjective,
    on_covariance: Callable[[int, int], None],
) -> BestObjective:
    """Go on to the minimum with best weights, taken anew until the answer stands still.

    Parameters
    ----------
    objective
        To begin with: on a few of the frames where there are many.
    """
    before = 0.0
    if dataset.n_frames > MANY_FRAMES:
        log.change_objective(objective)
        minimise(log, near=True, to_the_end=False)
        weights = _weights(pairs, log, speckles)
        objective = best_objective(dataset, pairs, weights, read_angles(dataset))
        before = _step_from_few_frames(log, objective)
        if before:
            objective = objective.renewed(log.x, log.at.contrast)
    for number in range(1, _MOST_REFRESHES + 1):
        on_covariance(number, _MOST_REFRESHES)
        log.change_objective(objective, log.at if log.objective is objective else None)
        edm = log.here.edm
        still = edm < policy.EDM_STILL or edm**2 < policy.EDM_STILL * before
        to_the_end = still and dataset.n_frames <= MANY_FRAMES
        minimise(log, near=True, to_the_end=to_the_end)
        if not to_the_end and is_converged(log.stop, log.here.edm):
            step_without_a_pass(log)
        if still or log.iterations_left <= 0:
            break
        before, objective = edm, objective.renewed(log.x, log.at.contrast)
    return objective


def _step_from_few_frames(log: Minimisation, objective: BestObjective) -> float:
    """Take the first step on all frames, of which the pass in the next metric will tell.

    Returns
    -------
    edm
        Before it; 0 where the step is too long on the few frames, too, to be linear: none is taken.
    """
    few = log.at.reduced_hessian
    log.change_objective(objective)
    step, edm = linear_step(log.at, log.x, log.free)
    if not step @ few @ step < policy.AT_HAND:
        return 0.0
    step_without_a_pass(log)
    return edm


def _without_weights(dataset: Dataset, pairs: PairObjective) -> str:
    """Return why there can be no best weights; empty if there can."""
    if pairs.robust:
        return "a loss other than linear exclude each other: outliers have no covariance"
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        return "noise given per pair exclude each other"
    return ""


def _weights(pairs: PairObjective, log: Minimisation, speckles: SpecklesSeen) -> SpeckleWeights:
    estimate = speckles.estimate
    return SpeckleWeights(
        parameters=_floats(pairs.expand(log.x)),
        contrast=_floats(log.at.contrast),
        photon_noise=_floats(estimate.photon_noise),
        n_speckles=_floats(estimate.of_angles),
        modes=estimate.modes,
        excess=estimate.excess,
    )


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(values.tolist())
