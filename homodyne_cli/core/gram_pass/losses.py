"""Robust losses as SciPy defines them, and the pair weights that belong to them.

With z = (r/sigma)^2 the cost is sum rho(z) / 2. The Gauss-Newton model of a pass weights each
pair by rho'(z), as iteratively reweighted least squares does. All these losses are concave
in z, so rho(z) >= z rho'(z): the weighted sum of squares never exceeds the cost, and
the compressed residual of the solver always exists.
"""

from __future__ import annotations

import jax

from homodyne_cli.core.gram_pass.pass_spec import AngleScaling, PairWeight
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.parameters import Loss


def rho(loss: Loss, z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return rho(z), rho'(z) and rho''(z) of one of SciPy's losses."""
    t = 1.0 + z
    if loss == "linear":
        return z, jnp.ones_like(z), jnp.zeros_like(z)
    if loss == "soft_l1":
        return 2.0 * (jnp.sqrt(t) - 1.0), t**-0.5, -0.5 * t**-1.5
    if loss == "huber":
        inside = z <= 1.0
        outer = jnp.where(inside, 1.0, z)
        return (
            jnp.where(inside, z, 2.0 * jnp.sqrt(outer) - 1.0),
            jnp.where(inside, 1.0, outer**-0.5),
            jnp.where(inside, 0.0, -0.5 * outer**-1.5),
        )
    if loss == "cauchy":
        return jnp.log1p(z), 1.0 / t, -(t**-2)
    square = 1.0 + z**2
    return jnp.arctan(z), 1.0 / square, -2.0 * z / square**2


def loss_terms(
    weight: PairWeight,
    model: jax.Array,
    y: jax.Array,
    base: jax.Array,
    scaling: AngleScaling[jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Return pair weights and losses over a tile.

    Parameters
    ----------
    model, y
        Normalised model f and data, (n_phi, tiles, TILE, TILE).
    base
        Weight from the mask and the noise map; zero where a pair is not fitted.
    scaling
        Current contrast, offset and sigma.
    """
    if weight.loss == "linear":
        return base, base
    contrast, offset, sigma = (s[:, None, None, None] for s in scaling)
    z = base * ((y - contrast * model - offset) / sigma) ** 2
    value, first, second = rho(weight.loss, z)
    fitted = base > 0.0
    if weight.role == "irls":
        factor = first
    elif weight.role == "curvature":
        factor = first + 2.0 * z * second
    else:
        factor = first**2
    return base * factor, jnp.where(fitted, value, 0.0)
