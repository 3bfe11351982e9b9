r"""What a measurement would say, before it is made: uncertainties of a fit with best weights.

Angles add up what they tell (`expected_information`: the Gram matrix G of the model's columns in
the metric of the noise, the variance V of their scores), M speckles multiply both by M, and the
covariance of a fit is H^-1 V H^-1 with contrast and offset among its unknowns, as a fit states it.
The data of a right model are its expectation, so no map is needed.

A scan asks for the same frames again and again: information is kept, and of one speckle, so that
other numbers of speckles and of repeats cost nothing, and other angles little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from homodyne_cli.core.gram_pass.pass_spec import AngleGrams
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.noise.best_objective import affordable_blocks
from homodyne_cli.core.noise.expected_information import AngleInformation, Sampling
from homodyne_cli.core.numerics.threads import serial_algebra
from homodyne_cli.core.objective.build import free_names, refuse_harmonics
from homodyne_cli.core.objective.projection import angle_parts, project
from homodyne_cli.core.objective.scaling import scaling_model
from homodyne_cli.core.simulation import Experiment, Noise
from homodyne_cli.core.uncertainty.covariance import ScoreNoise, covariance
from homodyne_cli.dataset import FloatArray, Rows
from homodyne_cli.parameters import N_DIFFUSION, names_of
from homodyne_cli.problem import Bounds, FitProblem

#: Contrast and offset of a plan are the truth, inside any bounds.
_UNBOUNDED = Bounds(-1e6, 1e6)
#: Fewest frames that a search for enough of them looks at, and the precision of its answer.
FEWEST_FRAMES, _FRAME_STEP = 10, 1.03


@dataclass(frozen=True)
class Measurement:
    """An experiment and its noise.

    Attributes
    ----------
    experiment
        Its parameters are the truth.
    noise
        Speckles per angle and photons per speckle and frame, or white noise; not both.
    """

    experiment: Experiment
    noise: Noise

    def with_frames(self, n_frames: int) -> Measurement:
        """Return the same measurement of another length."""
        return replace(self, experiment=replace(self.experiment, n_frames=n_frames))


@dataclass(frozen=True)
class Expectation:
    """What a measurement would say.

    Attributes
    ----------
    uncertainties
        Standard deviation of every free parameter; NaN where it would not be determined.
    merged
        Consecutive frames that a fit would merge into one.
    """

    measurement: Measurement
    uncertainties: Mapping[str, float]
    merged: int

    def meets(self, goals: Mapping[str, float]) -> bool:
        """Tell whether no uncertainty is above its goal."""
        return all(self.uncertainties[name] <= goal for name, goal in goals.items())

    def repeats(self, goals: Mapping[str, float]) -> int | None:
        """Return how many such measurements suffice; None if no number of them does.

        Each has a contrast and an offset of its own, so that variances fall with their number.
        """
        share = max(self.uncertainties[name] / goal for name, goal in goals.items())
        return math.ceil(share**2 * (1.0 - 1e-12)) if math.isfinite(share) else None


class _Key(NamedTuple):
    n_frames: int
    dt: float
    contrast: float
    photon_noise: float | None
    most_blocks: int


@dataclass(frozen=True)
class Planner:
    """Expects measurements with one model; remembers what it has computed.

    Attributes
    ----------
    problem
        What the fit would be asked.
    """

    problem: FitProblem
    _samplings: dict[_Key, Sampling] = field(default_factory=dict)

    @serial_algebra()
    def expect(self, measurement: Measurement) -> Expectation:
        """Return the uncertainties that a fit would state.

        Raises
        ------
        ConfigError
            If contrast and offset are series of more terms than there are angles.
        """
        refuse_harmonics(self.problem, _rows(measurement.experiment))
        known = self._information(measurement)
        names = free_names(self.problem)
        sigma = _uncertainties(self.problem, measurement, known)
        return Expectation(
            measurement, dict(zip(names, sigma.tolist(), strict=True)), known[0].merged
        )

    def enough_frames(
        self,
        measurement: Measurement,
        goals: Mapping[str, float],
        most: int,
        notify: Callable[[int], None] = lambda _: None,
    ) -> Expectation | None:
        """Return the shortest measurement of this kind that meets the goals, to 3%.

        None if `most` frames do not.

        Parameters
        ----------
        notify
            Called with every number of frames that is tried.
        """

        def expect(n_frames: int) -> Expectation:
            notify(n_frames)
            return self.expect(measurement.with_frames(n_frames))

        best = expect(measurement.experiment.n_frames)
        low = high = best.measurement.experiment.n_frames
        while not best.meets(goals):
            if high >= most:
                return None
            low, high = high, min(2 * high, most)
            best = expect(high)
        while low == high > FEWEST_FRAMES:
            shorter = expect(max(high // 2, FEWEST_FRAMES))
            low = shorter.measurement.experiment.n_frames
            if shorter.meets(goals):
                best, high = shorter, low
        while high > _FRAME_STEP * low + 1.0:
            between = expect(round(math.sqrt(low * high)))
            middle = between.measurement.experiment.n_frames
            if between.meets(goals):
                best, high = between, middle
            else:
                low = middle
        return best

    def _information(self, measurement: Measurement) -> list[AngleInformation]:
        """Return what each angle tells, of one speckle."""
        curves, experiment = _curves(measurement.experiment), measurement.experiment
        contrast, sizes = experiment.scaling()[0], np.abs(curves.kappa)
        slopes = curves.kappa_slope * np.sign(curves.kappa)
        out: dict[int, AngleInformation] = {}
        for one in np.unique(contrast).tolist():
            angles = np.flatnonzero(contrast == one)
            known = self._sampling(measurement, curves, one).information(sizes[angles])
            out.update(zip(angles.tolist(), known, strict=True))
        every = [out[angle] for angle in range(len(contrast))]
        if len(experiment.parameters) == N_DIFFUSION:
            return every
        return [one.with_slope(slope) for one, slope in zip(every, slopes.tolist(), strict=True)]

    def _sampling(self, measurement: Measurement, curves: ModelCurves, contrast: float) -> Sampling:
        experiment, n = measurement.experiment, measurement.experiment.n_frames
        noise = measurement.noise
        key = _Key(
            n,
            experiment.dt,
            contrast,
            None if noise.speckles is None else 1.0 / noise.counts,
            min(affordable_blocks(len(experiment.phi)), n),
        )
        if key not in self._samplings:
            self._samplings[key] = Sampling(
                curves=curves,
                convention=experiment.convention,
                contrast=contrast,
                photon_noise=key.photon_noise,
                most_blocks=key.most_blocks,
            )
        return self._samplings[key]


def _rows(experiment: Experiment) -> Rows:
    return Rows(experiment.phi, np.full(len(experiment.phi), experiment.q))


def _curves(experiment: Experiment) -> ModelCurves:
    return model_curves(
        experiment.t,
        experiment.phi,
        experiment.q,
        experiment.gap,
        experiment.parameters,
        experiment.convention,
    )


def _uncertainties(
    problem: FitProblem, measurement: Measurement, known: Sequence[AngleInformation]
) -> FloatArray:
    """Return (p,) standard deviations of the free parameters."""
    experiment, noise = measurement.experiment, measurement.noise
    times = noise.speckles if noise.speckles is not None else noise.white**-2.0
    contrast, offset = experiment.scaling()
    model = scaling_model(
        problem.per_angle_mode,
        _rows(experiment),
        order=problem.fourier_order,
        contrast=contrast,
        offset=offset,
        contrast_bounds=_UNBOUNDED,
        offset_bounds=_UNBOUNDED,
    )
    gram, score = (
        _with_expected_data(times * np.stack(parts), contrast, offset)
        for parts in zip(*((k.gram, k.score) for k in known), strict=True)
    )
    names, table = free_names(problem), names_of(problem.mode)
    places = [table.index(name) for name in names]
    widths = np.array([problem.bounds[n].upper - problem.bounds[n].lower for n in names])
    ones = np.ones(len(contrast))
    at = project(gram, model, ones).restricted(places)
    variance = at.directions.assembled(angle_parts(score, at.contrast, ones, places))
    stated = covariance(at, names, widths, ScoreNoise(at.hessian, variance)).parameters
    return np.asarray(np.sqrt(np.diag(stated)))


def _with_expected_data(grams: FloatArray, contrast: FloatArray, offset: FloatArray) -> AngleGrams:
    """Return Gram matrices with the column of the data, which are contrast f + offset."""
    n_phi, k, _ = grams.shape
    out = np.zeros((n_phi, k + 1, k + 1))
    out[:, :k, :k] = grams
    data = contrast[:, None] * grams[:, :, -2] + offset[:, None] * grams[:, :, -1]
    out[:, :k, k] = out[:, k, :k] = data
    out[:, k, k] = contrast * data[:, -2] + offset * data[:, -1]
    return AngleGrams(out, np.zeros(n_phi), np.zeros(n_phi))
