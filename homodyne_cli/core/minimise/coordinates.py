r"""Coordinates that the optimiser moves in: physical ones, or transforms of them.

Two transforms, each on its own or both:

- ``shear_transforms.enabled``: gamma_dot_t0 as ln(gamma_dot_t0/gamma_dot_t0_ref) and beta as
  beta - beta_ref.
- ``shear_transforms.decorrelate``: the amplitude a of each power law a t^e as the rate
  b = a t_ref^e at a time t_ref inside the window (its logarithm where the first transform takes
  one). Data fix the rate inside the window; the amplitude, which is the rate at 1 s, follows from
  it and the exponent, so that a and e are strongly correlated and b and e are not.

Bounds stay those of the physical parameters. In (b, e) they are no box: the optimiser is given the
smallest box that contains them, and a trial point outside them is evaluated at the nearest
physical value of the amplitude. Beyond that edge b has no effect, so an accepted step that crosses
it ends the stay in these coordinates: the descent goes on from the clipped point, whose cost is
the one that was accepted, in coordinates without the rate, where bounds are a box.
Parameters, uncertainties and scales are always reported in physical units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.dataset import FloatArray
from homodyne_cli.errors import ConfigError
from homodyne_cli.parameters import RATES
from homodyne_cli.problem import Bounds, FitProblem, ShearTransforms


@dataclass(frozen=True)
class Coordinates:
    """One-to-one map between physical x and optimiser's u.

    Attributes
    ----------
    logarithmic
        (p,) whether u = ln(x/reference).
    reference
        (p,) the reference of a logarithm, or what is subtracted.
    rates
        Places (amplitude, exponent) of power laws whose amplitude is replaced by the rate at
        the reference time before the above applies.
    log_time
        Logarithm of the reference time in seconds.
    last
        Time of the last frame in seconds; zero where Gauss-Newton steps are straight in x.
    """

    logarithmic: np.ndarray
    reference: FloatArray
    rates: tuple[tuple[int, int], ...] = ()
    log_time: float = 0.0
    last: float = 0.0

    def to_u(self, x: FloatArray) -> FloatArray:
        """Return optimiser coordinates."""
        x = x.copy()
        for amplitude, exponent in self.rates:
            x[amplitude] *= np.exp(self.log_time * x[exponent])
        ratio = np.where(self.logarithmic, x / np.where(self.logarithmic, self.reference, 1.0), 1.0)
        return np.where(self.logarithmic, np.log(ratio), x - self.reference)

    def to_x(self, u: FloatArray) -> FloatArray:
        """Return physical parameters."""
        power = np.where(self.logarithmic, u, 0.0)
        x = np.where(self.logarithmic, self.reference * np.exp(power), u + self.reference)
        for amplitude, exponent in self.rates:
            x[amplitude] *= np.exp(-self.log_time * x[exponent])
        return x

    def jacobian(self, x: FloatArray) -> FloatArray:
        """Return the (p, p) matrix dx/du."""
        matrix = np.diag(np.where(self.logarithmic, x, 1.0))
        for amplitude, exponent in self.rates:
            if not self.logarithmic[amplitude]:
                matrix[amplitude, amplitude] = np.exp(-self.log_time * x[exponent])
            matrix[amplitude, exponent] = -self.log_time * x[amplitude]
        return matrix

    def box(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the smallest box in u that contains the physical one.

        The rate a t_ref^e is monotonous in a and, at fixed a, in e: its extremes are at corners.
        """
        low, high = self.to_u(lower), self.to_u(upper)
        for amplitude, exponent in self.rates:
            corners = []
            for a in (lower, upper):
                for e in (lower, upper):
                    corner = lower.copy()
                    corner[amplitude], corner[exponent] = a[amplitude], e[exponent]
                    corners.append(self.to_u(corner)[amplitude])
            low[amplitude], high[amplitude] = min(corners), max(corners)
        return low, high

    def leaves(self, u: FloatArray, lower: FloatArray, upper: FloatArray) -> bool:
        """Whether the amplitude of a power law at `u` is outside its bounds."""
        if not self.rates:
            return False
        places = [amplitude for amplitude, _ in self.rates]
        x, low, high = self.to_x(u)[places], lower[places], upper[places]
        margin = policy.ROUNDING_OF_COORDINATES * np.maximum(np.abs(low), np.abs(high))
        return bool(np.any((x < low - margin) | (x > high + margin)))

    def shifted(self, shift: FloatArray) -> Coordinates:
        """Return coordinates of u + shift."""
        factor = np.exp(np.where(self.logarithmic, -shift, 0.0))
        moved = np.where(self.logarithmic, self.reference * factor, self.reference - shift)
        return replace(self, reference=moved)

    def without_rates(self) -> Coordinates:
        """Return the coordinates in which physical bounds are a box."""
        return replace(self, rates=())


@dataclass(frozen=True)
class ScaledCoordinates:
    """What the trust region moves in: u / scale.

    Attributes
    ----------
    coordinates
        From physical parameters to u.
    scale
        (p,) of u.
    x_scale
        (p,) the same in physical units, for reports.
    """

    coordinates: Coordinates
    scale: FloatArray
    x_scale: FloatArray

    def distance(self, x: FloatArray, other: FloatArray) -> float:
        """Return the length of a step from one physical point to another."""
        to_u = self.coordinates.to_u
        return float(np.linalg.norm((to_u(x) - to_u(other)) / self.scale))


def fit_coordinates(problem: FitProblem, free: FreeParameters, t: FloatArray) -> Coordinates:
    """Make the coordinates that a problem asks for, on frames at (n,) times `t` in seconds."""
    transforms = problem.solver.shear_transforms
    coordinates = coordinates_of(free.names, transforms, problem.bounds, reference_time(t))
    return replace(coordinates, last=float(t[-1]))


def coordinates_of(
    names: Sequence[str],
    transforms: ShearTransforms,
    bounds: Mapping[str, Bounds],
    time: float | None = None,
) -> Coordinates:
    """Make the coordinates of the free parameters.

    Parameters
    ----------
    time
        Reference time in seconds of ``decorrelate``; without it that transform is left out.

    Raises
    ------
    ConfigError
        If the logarithm is asked for and gamma_dot_t0 may be zero or negative.
    """
    logarithmic = np.zeros(len(names), dtype=bool)
    reference = np.zeros(len(names))
    if transforms.enabled and "gamma_dot_t0" in names:
        if bounds["gamma_dot_t0"].lower <= 0.0:
            raise ConfigError(
                "shear_transforms take the logarithm of gamma_dot_t0, whose lower bound is "
                f"{bounds['gamma_dot_t0'].lower:g}",
                hint="set a positive lower bound, or shear_transforms.enabled: false",
            )
        logarithmic[names.index("gamma_dot_t0")] = True
        reference[names.index("gamma_dot_t0")] = transforms.gamma_dot_t0_ref
    if transforms.enabled and "beta" in names:
        reference[names.index("beta")] = transforms.beta_ref
    if time is None or not transforms.decorrelate:
        return Coordinates(logarithmic, reference)
    rates = tuple(
        (names.index(amplitude), names.index(exponent))
        for amplitude, exponent, _ in RATES
        if amplitude in names and exponent in names
    )
    return Coordinates(logarithmic, reference, rates, float(np.log(time)))
