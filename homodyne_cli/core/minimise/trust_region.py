r"""One phase of a minimisation: SciPy's trust region on a compressed residual.

`scipy.optimize.least_squares` wants residuals and a Jacobian; with s = sqrt(chi2), g = J^T r and
H = J^T J it is given the (p+1)-row pair

    f = (0, ..., 0, s)        J = [ chol(H - g g^T / s^2) ; g^T / s ]

which has the same cost f^T f = chi2, the same J^T J = H and the same J^T f = g, so the trust
region takes the same steps as on the millions of rows. f needs no derivatives: a trial step
that is rejected costs a cost-only pass.

It moves v = u + shift, where u are the coordinates and shift = (trust_region_scale - 1) u0: SciPy
takes its first trust radius from the length of the scaled start vector, so lengthening that vector
by a factor lengthens the radius by it, and nothing else changes.

A step across the bounds of a power law's amplitude ends the stay in coordinates with rates (see
`coordinates`); the phase goes on without them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from homodyne_cli.core.minimise import policy
from homodyne_cli.core.minimise.coordinates import Coordinates
from homodyne_cli.core.minimise.minimisation import Minimisation
from homodyne_cli.core.minimise.state import StopReason, in_flat_valley
from homodyne_cli.core.numerics.gram import square_root, without_effect
from homodyne_cli.dataset import FloatArray
from homodyne_cli.problem import SolverOptions

if TYPE_CHECKING:
    from scipy import optimize


def run_trust_region(
    log: Minimisation,
    ratio: float = np.inf,
    enough: float = 0.0,
    *,
    eager: bool = False,
    afresh: bool = False,
) -> StopReason:
    """Run the trust region once from where the minimisation stands.

    Parameters
    ----------
    ratio, enough
        It stops where the effective ratio is above the first, with `UNBALANCED`, or the EDM below
        the second, with `AT_HAND`.
    eager
        Take derivatives with every trial step. Near the minimum nearly every step is accepted,
        and the cost-only pass before it would be wasted.
    afresh
        With a scale from here and SciPy's own first radius, whatever was chosen for the start.

    Raises
    ------
    ConfigError
        If ``x_scale: config`` is asked for without a map.
    """
    options = log.options
    if afresh:
        options = replace(options, x_scale="auto", trust_region_scale=1.0)
    for coordinates in (log.coordinates, log.coordinates.without_rates()):
        if log.iterations_left < 1:
            log.stop = StopReason.MAX_ITERATIONS
            break
        log.stop = _TrustRegion(log, options, coordinates, ratio, enough, eager).run()
        if log.stop is not StopReason.LEFT_COORDINATES:
            break
        options = replace(options, trust_region_scale=1.0)
    return log.stop


@dataclass
class _TrustRegion:
    """What SciPy calls while it works; see `run_trust_region`."""

    log: Minimisation
    options: SolverOptions
    coordinates: Coordinates
    ratio: float
    enough: float
    eager: bool

    def __post_init__(self) -> None:
        self.log.rescale(self.options, self.coordinates)
        self.begun, self.left = self.log.here, self.log.iterations_left
        start = self.coordinates.to_u(self.log.x)
        self.shifted = self.coordinates.shifted((self.options.trust_region_scale - 1.0) * start)

    def run(self) -> StopReason:
        """Let SciPy work until a tolerance or a limit is met."""
        # It takes a while to import, and commands that minimise nothing come by this module.
        from scipy import optimize

        log, options, free = self.log, self.options, self.log.free
        answer = optimize.least_squares(
            self._residual,
            self.shifted.to_u(log.x),
            jac=self._jacobian,
            bounds=self.shifted.box(free.lower, free.upper),
            method="trf",
            ftol=options.ftol,
            xtol=options.xtol,
            gtol=options.gtol,
            x_scale="jac" if options.x_scale == "jac" else log.scaled.scale,
            max_nfev=policy.TRIALS_PER_ITERATION * self.left,
            callback=self._each_iteration,
        )
        stop, reason = StopReason(answer.status), self._reason_to_stop(np.asarray(answer.x))
        halted = stop is StopReason.MAX_ITERATIONS or reason is StopReason.LEFT_COORDINATES
        return reason if halted and reason is not None else stop

    def _physical(self, v: FloatArray) -> FloatArray:
        """Return parameters inside the bounds, which coordinates and rounding may leave."""
        return self.log.free.clip(self.shifted.to_x(v))

    def _residual(self, v: FloatArray) -> FloatArray:
        x = self._physical(v)
        chi2 = self.log.derivatives(x).chi2 if self.eager else self.log.cost(x)
        return compressed_residual(chi2, len(x))

    def _jacobian(self, v: FloatArray) -> FloatArray:
        x = self._physical(v)
        at, slope = self.log.derivatives(x), self.coordinates.jacobian(x)
        hessian = at.reduced_hessian
        # Rounding must not send a parameter without effect to its bound.
        slope[without_effect(hessian, self.log.free.width)] = 0.0
        return compressed_jacobian(at.chi2, slope.T @ at.gradient, slope.T @ hessian @ slope)

    def _each_iteration(self, intermediate_result: optimize.OptimizeResult) -> None:
        x = self._physical(intermediate_result.x)
        if not np.array_equal(x, self.log.x):
            self.log.accept(x)
        reason = self._reason_to_stop(intermediate_result.x)
        if intermediate_result.nit >= self.left or reason is not None:
            raise StopIteration

    def _reason_to_stop(self, v: FloatArray) -> StopReason | None:
        """Return the reason to stop at an accepted point, if there is one besides SciPy's."""
        log = self.log
        if self.shifted.leaves(v, log.free.lower, log.free.upper):
            return StopReason.LEFT_COORDINATES
        if log.here.edm < self.enough:
            return StopReason.AT_HAND
        if in_flat_valley(log.since(self.begun), self.options):
            return StopReason.FLAT_VALLEY
        return StopReason.UNBALANCED if log.here.effective_ratio > self.ratio else None


def compressed_residual(chi2: float, p: int) -> FloatArray:
    """Return the (p+1,) residual with f^T f = chi2."""
    out = np.zeros(p + 1)
    out[-1] = np.sqrt(chi2)
    return out


def compressed_jacobian(chi2: float, gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Return the (p+1, p) Jacobian that belongs to `compressed_residual`."""
    if chi2 <= 0.0:
        return np.vstack([square_root(hessian), np.zeros_like(gradient)])
    last = gradient / np.sqrt(chi2)
    return np.vstack([square_root(hessian - np.outer(last, last)), last])
