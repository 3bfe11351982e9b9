r"""Experiments with known truth: maps with white noise, or maps of drawn speckles.

White noise is a normal deviate per pair, independent of all others.

Speckles are drawn as a beamline sees them. The field of one coherent mode is a complex Gaussian
process over the frames whose correlation is the model's signed g1, so that |<E_i E_j*>|^2 = f. A
pixel sees several modes at once (partial coherence, a pixel that averages over the speckle)::

    I = sum_m w_m |E_m|^2,    sum w = 1,    <I_i I_j> = 1 + f_ij sum w^2

and the contrast is sum w^2. Any contrast c is made of the fewest modes: as many equal ones as fit
into 1/c and a weaker one. Their intensity is close to the gamma distribution of shape 1/c that
J. W. Goodman derives for integrated thermal light (*Statistical Optics*, Wiley). Photons are
Poisson counts of counts * I. The map of M speckles is what beamlines compute, normalised by the
mean of either frame::

    c2_ij = <I_i I_j>_M / (<I_i>_M <I_j>_M)

without the shot noise of counts on the diagonal, shifted from its baseline of 1 to the offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from homodyne_cli.core.model.curves import model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_model
from homodyne_cli.core.numerics.threads import core_threads, serial_algebra
from homodyne_cli.dataset import Dataset, FloatArray, MapArray, Provenance, join_rings
from homodyne_cli.errors import UsageError
from homodyne_cli.parameters import Convention

#: Frames times speckles drawn at once; a few arrays of this size are held per thread.
_BLOCK = 1_000_000
#: Eigenvalues of g1 below this share of the largest are rounding.
_RANK = 1e-14


@dataclass(frozen=True)
class Experiment:
    """What is measured, and the truth behind it.

    Attributes
    ----------
    parameters
        (7,) or (3,) in table order.
    phi
        (n_phi,) degrees.
    n_frames
        Frames at start + dt, start + 2 dt, ...
    q, gap, dt
        1/Å, Å (None without shear), s.
    contrast, offset
        Of all angles, or (n_phi,).
    convention
        Of the model.
    from_zero
        Begin with a frame at `start`, as files do and fits do not. Power laws are singular at
        t = 0, so its dynamics are those of the next frame.
    start
        Seconds at the frame before those, 0 for a window that begins with the measurement.
    """

    parameters: FloatArray
    phi: FloatArray
    n_frames: int
    q: float
    gap: float | None
    dt: float
    contrast: float | FloatArray = 0.3
    offset: float | FloatArray = 1.1
    convention: Convention = "he2024"
    from_zero: bool = False
    start: float = 0.0

    @property
    def t(self) -> FloatArray:
        """(n_frames,) seconds, or one more."""
        return np.asarray(
            self.start + self.dt * np.arange(not self.from_zero, self.n_frames + 1), dtype=float
        )

    def angles(self) -> list[PairModel]:
        """Return g1 and f of each angle, frames as in `t`."""
        positive = self.t[int(self.from_zero) :]
        curves = model_curves(
            positive, self.phi, self.q, self.gap, self.parameters, self.convention
        )
        models = [pair_model(curves, a, self.convention) for a in range(len(self.phi))]
        if not self.from_zero:
            return models
        first_twice = np.maximum(np.arange(len(self.t)) - 1, 0)
        return [PairModel(m.decay[first_twice], m.phase[first_twice], m.form) for m in models]

    def scaling(self) -> tuple[FloatArray, FloatArray]:
        """Return contrast and offset, (n_phi,) each."""
        contrast, offset = (
            np.broadcast_to(np.asarray(v, dtype=float), self.phi.shape)
            for v in (self.contrast, self.offset)
        )
        return contrast, offset


@dataclass(frozen=True)
class Noise:
    """Noise of a simulated map.

    Attributes
    ----------
    white
        Standard deviation of the independent noise of every pair.
    speckles
        Speckles per angle that the map is averaged over; None for infinitely many.
    counts
        Mean photons per speckle and frame; infinite for no photon noise.
    """

    white: float = 0.0
    speckles: int | None = None
    counts: float = float("inf")


@dataclass(frozen=True)
class Simulation:
    """Maps (symmetric, noise left to be estimated) and what they were made of."""

    dataset: Dataset
    experiment: Experiment
    noise: Noise


def simulate(experiment: Experiment, noise: Noise, seed: int | np.random.Generator) -> Simulation:
    """Simulate the maps of an experiment.

    Parameters
    ----------
    seed
        Equal seeds give equal maps; a generator is drawn from, and goes on from there.

    Raises
    ------
    UsageError
        Speckles of a contrast that is not above 0 and at most 1.
    """
    rng = np.random.default_rng(seed)
    made = _speckle_maps(experiment, noise, rng) if noise.speckles else _clean_maps(experiment)
    c2 = np.empty((len(experiment.phi), *2 * (len(experiment.t),)))
    for out, one in zip(c2, made, strict=True):
        out[:] = one
        if noise.white:
            half = noise.white * rng.standard_normal(one.shape)
            out += np.triu(half) + np.triu(half, 1).T
    source = "simulated" if isinstance(seed, np.random.Generator) else f"simulated, seed {seed}"
    dataset = Dataset(
        c2=c2,
        phi=experiment.phi,
        t=experiment.t,
        q=np.full(len(experiment.phi), experiment.q),
        gap=experiment.gap,
        dt=experiment.dt,
        sigma=None,
        provenance={"layout": Provenance("none", source)},
    )
    return Simulation(dataset, experiment, noise)


def simulate_rings(
    experiments: Sequence[Experiment], noise: Noise, seed: int | np.random.Generator
) -> Dataset:
    """Simulate the rings of one measurement, each with noise of its own; see `simulate`."""
    if len(experiments) == 1:
        return simulate(experiments[0], noise, seed).dataset
    streams = np.random.default_rng(seed).spawn(len(experiments))
    each = zip(experiments, streams, strict=True)
    return join_rings([simulate(ring, noise, stream).dataset for ring, stream in each])


def _clean_maps(experiment: Experiment) -> Iterator[MapArray]:
    frames = np.arange(len(experiment.t))
    for model, contrast, offset in zip(experiment.angles(), *experiment.scaling(), strict=True):
        yield contrast * model.f(frames[:, None], frames) + offset


def _speckle_maps(
    experiment: Experiment, noise: Noise, rng: np.random.Generator
) -> Iterator[MapArray]:
    contrast, offset = experiment.scaling()
    if not np.all((contrast > 0.0) & (contrast <= 1.0)):
        raise UsageError(
            f"speckles have a contrast above 0 and at most 1, not {contrast.min():g} to "
            f"{contrast.max():g}",
            hint="set initial_parameters.per_angle_scaling.contrast",
        )
    models = experiment.angles()
    streams = rng.spawn(len(models))
    with serial_algebra(), core_threads() as threads:
        maps = threads.map(partial(_speckle_map, noise), models, contrast, streams)
        for one, baseline in zip(maps, offset, strict=True):
            yield one + (baseline - 1.0)


def _speckle_map(
    noise: Noise, model: PairModel, contrast: float, rng: np.random.Generator
) -> FloatArray:
    """Return the map of one angle, baseline 1; NaN in frames without a photon."""
    frames = np.arange(len(model.decay))
    root = _root(model.g1(frames[:, None], frames))
    product, total = np.zeros((len(frames), len(frames))), np.zeros(len(frames))
    left, block = noise.speckles or 0, max(_BLOCK // len(frames), 1)
    while left > 0:
        intensity = speckle_intensities(root, contrast, min(left, block), rng)
        if np.isfinite(noise.counts):
            intensity = rng.poisson(noise.counts * intensity).astype(float)
            product[frames, frames] -= intensity.sum(axis=1)
        product += intensity @ intensity.T
        total += intensity.sum(axis=1)
        left -= block
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((noise.speckles or 0) * product / np.outer(total, total))


def _root(g1: FloatArray) -> FloatArray:
    """Return (n, rank) with root @ root.T = g1."""
    values, vectors = np.linalg.eigh(g1)
    kept = values > _RANK * values[-1]
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept]))


def speckle_intensities(
    root: FloatArray, contrast: float, count: int, rng: np.random.Generator
) -> FloatArray:
    """Draw intensities of mean 1: (n, count).

    Parameters
    ----------
    root
        (n, rank) with root @ root.T the field correlation g1.
    contrast
        Variance of an intensity.
    count
        Speckles, independent of each other.
    """
    intensity = np.zeros((len(root), count))
    for weight in mode_weights(contrast):
        for _ in ("real", "imaginary"):
            part = root @ rng.standard_normal((root.shape[1], count))
            intensity += np.square(part, out=part) * (0.5 * weight)
    return intensity


def mode_weights(contrast: float) -> FloatArray:
    """Return the weights of the fewest modes whose sum is 1 and whose squares add to `contrast`."""
    equal = int(1.0 / contrast)
    weight = (equal + np.sqrt(max(equal * (contrast * (equal + 1) - 1.0), 0.0))) / (
        equal * (equal + 1)
    )
    rest = 1.0 - equal * weight
    weights = np.append(np.full(equal, weight), rest)
    return weights[weights > 1e-12]
