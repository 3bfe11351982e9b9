"""Two-time correlation maps from first principles: particles, fields, intensities, no c2 model.

Every particle of a speckle diffuses and is carried along by a uniform velocity gradient across
the gap. Only the displacement along q matters for the phase of its wave, so that is what is
simulated::

    phase_j(t) = theta_j + q w_j(t) + q cos(phi0 - phi) z_j G(t)
    E(t) = sum_j exp(i phase_j(t)),   I = |E|^2,   c2(t1, t2) = <I1 I2> / (<I1> <I2>)

w_j is Brownian with variance A(t2) - A(t1) between two times (A is the integral of the transport
coefficient: g1 = exp(-q^2 <dw^2> / 2), so |g1|^2 = exp(-q^2 dA)), z_j is uniform in [0, gap] and
stays (diffusion across the gap is smaller than the gap by four orders of magnitude), G is the
integral of the shear rate, theta_j is uniform because the beam is wider than 2 pi / q, and <> is
the mean over speckles. Speckles share no particles. The integrals are taken by Gauss-Legendre
quadrature between frames, so nothing here is shared with the code that fits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import Dataset, FloatArray, Provenance
from homodyne_cli.parameters import NAMES, PARAMETERS, Convention
from homodyne_cli.problem import Bounds, FitProblem, InitialParameters, SolverOptions

Float32Array = NDArray[np.float32]

#: Held at their true value, zero: a constant added to a power law of free exponent.
FIXED: Final[Mapping[str, float]] = {"D_offset": 0.0, "gamma_dot_t_offset": 0.0}
#: What the benchmarks fit, in table order.
FREE: Final = tuple(name for name in NAMES if name not in FIXED)
_NODES: Final = 16
#: Particle phases worked on at once; keeps the arrays in the cache.
_BATCH: Final = 120_000


@dataclass(frozen=True)
class ParticleExperiment:
    """A simulated experiment.

    Attributes
    ----------
    truth
        (7,) model parameters in table order.
    q, gap, dt, phi
        1/Å, Å, s, degrees; frames are at ``dt, 2 dt, ..., n_frames dt``.
    n_speckles, n_particles
        Speckles per angle, and particles behind each. With N particles the contrast is lower
        by a factor 1 - 1/N than with infinitely many.
    contrast
        c2(t, t) - 1 expected of many particles, in (0, 1]; an incoherent constant background
        lowers it.
    counts
        Mean photons per speckle and frame (Poisson), None for no photon noise.
    """

    truth: tuple[float, ...]
    q: float
    gap: float
    dt: float
    phi: tuple[float, ...]
    n_frames: int
    n_speckles: int = 600
    n_particles: int = 200
    contrast: float = 0.5
    counts: float | None = None

    @property
    def t(self) -> FloatArray:
        """(n_frames,) times in seconds."""
        return np.asarray(self.dt * np.arange(1, self.n_frames + 1), dtype=np.float64)

    def true_values(self) -> dict[str, float]:
        """Return the true value of each free parameter."""
        table = dict(zip(NAMES, self.truth, strict=True))
        return {name: table[name] for name in FREE}


#: Both slow down. At the last frame the sinc has passed five zeros (first angle), and diffusion
#: alone leaves exp(-5).
THREE_ANGLES: Final = ParticleExperiment(
    truth=(4.0e4, -0.4, 0.0, 7.0e-4, -0.25, 0.0, 2.0),
    q=0.0054,
    gap=2.0e6,
    dt=0.1,
    phi=(-10.0, 45.0, 100.0),
    n_frames=60,
)

#: Both speed up. At the last frame the sinc has passed nine zeros (second angle), and diffusion
#: alone leaves exp(-4).
FIVE_ANGLES: Final = ParticleExperiment(
    truth=(1.3e4, 0.3, 0.0, 1.6e-3, 0.35, 0.0, -4.0),
    q=0.0082,
    gap=1.0e6,
    dt=0.05,
    phi=(-30.0, 5.0, 50.0, 80.0, 130.0),
    n_frames=80,
)

GEOMETRIES: Final[Mapping[str, ParticleExperiment]] = {
    "three angles": THREE_ANGLES,
    "five angles": FIVE_ANGLES,
}


def increments(t: FloatArray, amplitude: float, exponent: float, offset: float) -> FloatArray:
    """Integrate amplitude * s**exponent + offset between neighbouring times by quadrature.

    Parameters
    ----------
    t
        (n,) increasing positive times in seconds.

    Returns
    -------
    array
        (n - 1,)
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = 0.5 * np.diff(t)[:, None]
    s = t[:-1, None] + half * (1.0 + nodes)
    return np.asarray(np.sum(half * weights * (amplitude * s**exponent + offset), axis=1))


def true_integrals(experiment: ParticleExperiment) -> tuple[FloatArray, FloatArray]:
    """Return A (Å^2, mean-square displacement along q) and G (strain), from the first frame.

    Returns
    -------
    A, G
        (n_frames,) each, zero at the first frame.
    """
    p, t = experiment.truth, experiment.t
    steps = increments(t, *p[0:3]), increments(t, *p[3:6])
    a, g = (np.concatenate([[0.0], np.cumsum(step)]) for step in steps)
    return a, g


def _fields(
    experiment: ParticleExperiment, phi: float, n: int, rng: np.random.Generator
) -> Float32Array:
    """Return the intensity (n_frames, n) of n speckles, before background; mean about 1."""
    A, G = true_integrals(experiment)
    width = (n, experiment.n_particles)
    phases = np.empty((experiment.n_frames, *width), dtype=np.float32)
    phases[0] = 2.0 * np.pi * rng.random(width, dtype=np.float32)
    rng.standard_normal(dtype=np.float32, out=phases[1:])
    phases[1:] *= (experiment.q * np.sqrt(np.diff(A))).astype(np.float32)[:, None, None]
    along = experiment.q * math.cos(math.radians(experiment.truth[6] - phi))
    height = np.float32(experiment.gap) * rng.random(width, dtype=np.float32)
    phases[1:] += (along * np.diff(G)).astype(np.float32)[:, None, None] * height
    np.cumsum(phases, axis=0, out=phases)
    real: Float32Array = np.cos(phases).sum(axis=2)
    imaginary: Float32Array = np.sin(phases, out=phases).sum(axis=2)
    return (real**2 + imaginary**2) / np.float32(experiment.n_particles)


def particle_intensities(experiment: ParticleExperiment, seed: int) -> FloatArray:
    """Simulate the intensities of all speckles.

    Parameters
    ----------
    seed
        Equal seeds give equal intensities.

    Returns
    -------
    array
        (n_phi, n_frames, n_speckles), mean about 1 (about `counts` with photon noise).
    """
    rng = np.random.default_rng(seed)
    total = experiment.n_speckles
    batch = max(1, _BATCH // (experiment.n_frames * experiment.n_particles))
    sizes = [min(batch, total - done) for done in range(0, total, batch)]
    scattered = np.stack(
        [
            np.concatenate([_fields(experiment, phi, n, rng) for n in sizes], axis=1)
            for phi in experiment.phi
        ]
    ).astype(np.float64)
    coherent = math.sqrt(experiment.contrast)
    intensity: FloatArray = (1.0 - coherent) + coherent * scattered
    if experiment.counts is None:
        return intensity
    return rng.poisson(experiment.counts * intensity).astype(np.float64)


def simulate_particles(experiment: ParticleExperiment, seed: int) -> FloatArray:
    """Return (n_phi, n_frames, n_frames) maps <I1 I2> / (<I1> <I2>) of one realisation."""
    intensity = particle_intensities(experiment, seed)
    mean = intensity.mean(axis=2)
    product = intensity @ np.swapaxes(intensity, 1, 2) / experiment.n_speckles
    return np.asarray(product / (mean[:, :, None] * mean[:, None, :]))


def particle_dataset(experiment: ParticleExperiment, seed: int) -> Dataset:
    """Return one realisation, ready to fit; the noise is left to be estimated."""
    source = Provenance("simulated", f"particles, seed {seed}")
    return Dataset(
        c2=simulate_particles(experiment, seed),
        phi=np.array(experiment.phi),
        t=experiment.t,
        q=np.full(len(experiment.phi), experiment.q),
        gap=experiment.gap,
        dt=experiment.dt,
        sigma=None,
        provenance={"layout": source},
    )


def particle_problem(
    experiment: ParticleExperiment,
    convention: Convention = "he2024",
    *,
    start: Mapping[str, float] | None = None,
    solver: SolverOptions | None = None,
) -> FitProblem:
    """Return the problem with `FREE` free and `FIXED` held, started at `start` (the truth).

    Contrast may pass 1, which a realisation of a few hundred speckles can.
    """
    values = dict(zip(NAMES, experiment.truth, strict=True)) if start is None else dict(start)
    return FitProblem(
        mode="laminar_flow",
        convention=convention,
        per_angle_mode="individual",
        fourier_order=1,
        initial=InitialParameters(values={**values, **FIXED}, fixed=FIXED),
        bounds={p.name: Bounds(p.lower, p.upper) for p in PARAMETERS},
        contrast_bounds=Bounds(0.0, 2.0),
        solver=solver or SolverOptions(),
    )
