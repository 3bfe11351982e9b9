r"""Inside one tile of the pass: fields that depend on the angle times patterns that do not.

With f = exp(-q^2 |dA|) S(kappa dG) the derivatives of f over one tile are a field that depends on
the angle times a field that does not::

    df/dp_D   = u * (-q^2 sign(dA) dA_p)         u = E S          dA_p = A_p[j] - A_p[i]
    df/dp_g   = v * (kappa dG_p)                 v = E S'(x)
    df/dphi0  = v * (dkappa/dphi0 dG)

so that each sum over pairs of a product of two columns is the product of a *field* (one of
w u^2, w u v, w v^2, w u, w v, w u y, w v y; w the pair weight) with a *pattern* shared by all
angles (products of sign(dA) dA_p, dG_p and 1). The pass is seven fields times a few dozen
patterns as matrix products over the pairs of a tile. sin and cos of kappa (G_j - G_i) come from
outer products of sin and cos of kappa G: no transcendental function per angle and pair, and one
exponential per pair for all angles. Small arguments go through a series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.losses import LINEAR, PairWeight, Scaling, loss_terms
from homodyne_cli.core.physics import SHEAR_FACTORS, phase_factors, running_integral
from homodyne_cli.core.tiles import TILE, Steps
from homodyne_cli.parameters import N_DIFFUSION, AnalysisMode, Convention

#: |h| below which sinc and its slope come from their series; terms below reach 1e-16 there.
_SERIES_RADIUS = 0.25


class Curves(NamedTuple):
    """Vectors over the frames that the tiles are made of.

    Attributes
    ----------
    transport, transport_slopes
        (n,) A and (3, n) dA/dp.
    strain, strain_slopes
        (n,) G and (4, n): dG/dp for the three shear parameters, then G itself, whose difference
        is the phi0 column.
    sine, cosine
        (n_phi, n) of the phase h = scale * kappa * G.
    phase_rate
        (n_phi,) scale * kappa.
    """

    transport: jax.Array
    transport_slopes: jax.Array
    strain: jax.Array
    strain_slopes: jax.Array
    sine: jax.Array
    cosine: jax.Array
    phase_rate: jax.Array


class Setting(NamedTuple):
    """What every tile of a pass is evaluated at.

    Attributes
    ----------
    parameters
        (7,) or (3,) in table order.
    scaling
        Current contrast, offset and sigma, which robust weights depend on.
    shift
        (n_phi,) what the data are counted from.
    t, frames, phi
        (n,) seconds, (m,) indices into it that the tiles count, (n_phi,) degrees.
    q, gap
        1/Å and Å.
    """

    parameters: jax.Array
    scaling: Scaling
    shift: jax.Array
    t: jax.Array
    frames: jax.Array
    phi: jax.Array
    q: jax.Array
    gap: jax.Array


class FieldSums(NamedTuple):
    """Sums over pairs of field times pattern; leading axis n_phi.

    `uu` (4, 4), `uv` (4, 4), `vv` (4, 4), `u1`, `uy`, `v1`, `vy` (4,); the u patterns are
    sign(dA) dA_p (3) and 1, the v patterns dG_p (3) and dG. `ones` holds (w, w y, w y^2, loss).
    """

    uu: jax.Array
    uv: jax.Array
    vv: jax.Array
    u1: jax.Array
    uy: jax.Array
    v1: jax.Array
    vy: jax.Array
    ones: jax.Array


@dataclass(frozen=True)
class PassKind:
    """What a pass computes; each kind is compiled once.

    Attributes
    ----------
    mode, convention
        The model.
    derivatives
        False for the columns f, 1 and y alone (enough for the cost).
    weight
        How pairs are weighted: equally, or by a robust loss of the current residual.
    """

    mode: AnalysisMode
    convention: Convention
    derivatives: bool = True
    weight: PairWeight = LINEAR


def _sinc_and_slope(
    h: jax.Array, sine: jax.Array, cosine: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return sin(h)/h and its derivative, given sin(h) and cos(h)."""
    square = h * h
    small = square < _SERIES_RADIUS**2
    inverse = 1.0 / jnp.where(small, 1.0, h)
    near = jnp.where(small, square, 0.0)
    value = 1.0 - near / 6.0 * (
        1.0 - near / 20.0 * (1.0 - near / 42.0 * (1.0 - near / 72.0 * (1.0 - near / 110.0)))
    )
    slope = (-h / 3.0) * (
        1.0 - near / 10.0 * (1.0 - near / 28.0 * (1.0 - near / 54.0 * (1.0 - near / 88.0)))
    )
    sinc = jnp.where(small, value, sine * inverse)
    return sinc, jnp.where(small, slope, (cosine - sinc) * inverse)


def frame_curves(kind: PassKind, setting: Setting) -> Curves:
    """Compute the vectors over the frames that every tile is made of."""
    parameters, t, frames = setting.parameters, setting.t, setting.frames
    transport = running_integral(t, parameters[:N_DIFFUSION], kind.convention)
    if kind.mode == "static":
        none = jnp.zeros((0,))
        return Curves(
            transport.value[frames], transport.derivatives[:, frames], none, none, none, none, none
        )
    strain = running_integral(t, parameters[N_DIFFUSION:-1], kind.convention)
    kappa, _ = phase_factors(parameters[-1], setting.phi, setting.q, setting.gap)
    rate = SHEAR_FACTORS[kind.convention].scale * kappa
    value = strain.value[frames]
    phase = rate[:, None] * value
    return Curves(
        transport.value[frames],
        transport.derivatives[:, frames],
        value,
        jnp.concatenate([strain.derivatives[:, frames], value[None]]),
        jnp.sin(phase),
        jnp.cos(phase),
        rate,
    )


def _difference(curve: jax.Array, i: jax.Array, j: jax.Array) -> jax.Array:
    """Return curve[..., j] - curve[..., i] over tiles: (..., tiles, TILE, TILE)."""
    return curve[..., j][..., None, :] - curve[..., i][..., :, None]


def _tile_fields(
    kind: PassKind, curves: Curves, i: jax.Array, j: jax.Array, q: jax.Array
) -> tuple[jax.Array, jax.Array | None, jax.Array]:
    """Return u, v (n_phi or 1, tiles, TILE, TILE) and sign(dA) (tiles, TILE, TILE)."""
    difference = _difference(curves.transport, i, j)
    decay = jnp.exp(-(q**2) * jnp.abs(difference))
    sign = jnp.sign(difference)
    if kind.mode == "static":
        return decay[None], None, sign
    h = curves.phase_rate[:, None, None, None] * _difference(curves.strain, i, j)
    sine_i, sine_j = curves.sine[:, i][..., :, None], curves.sine[:, j][..., None, :]
    cosine_i, cosine_j = curves.cosine[:, i][..., :, None], curves.cosine[:, j][..., None, :]
    sinc, slope = _sinc_and_slope(
        h, sine_j * cosine_i - cosine_j * sine_i, cosine_j * cosine_i + sine_j * sine_i
    )
    form = SHEAR_FACTORS[kind.convention]
    shared = decay * sinc ** (form.power - 1)
    return shared * sinc, (form.power * form.scale) * shared * slope, sign


def _products(left: jax.Array, right: jax.Array) -> jax.Array:
    """Return all products of two sets of patterns: (m * k, pairs)."""
    return (left[:, None] * right[None]).reshape(-1, left.shape[-1])


def step_sums(kind: PassKind, curves: Curves, setting: Setting, step: Steps) -> FieldSums:
    """Sum fields times patterns over the tiles of one step."""
    rows, columns, data, pair_weight = step
    shift = setting.shift[:, None, None, None]
    n_phi = data.shape[0]
    offsets = jnp.arange(TILE)
    last = curves.transport.shape[-1] - 1
    i = jnp.minimum(rows[:, None] + offsets, last)
    j = jnp.minimum(columns[:, None] + offsets, last)
    u, v, sign = _tile_fields(kind, curves, i, j, setting.q)
    fitted = jnp.isfinite(data)
    y = jnp.where(fitted, data.astype(jnp.float64) - shift, 0.0)
    base = fitted.astype(jnp.float64) if pair_weight is None else pair_weight
    w, loss = loss_terms(kind.weight, u, y + shift, base, setting.scaling)

    def fields(*several: jax.Array) -> jax.Array:
        full = [jnp.broadcast_to(f, data.shape) for f in several]
        return jnp.stack(full).reshape(len(several), n_phi, -1)

    def against(patterns: jax.Array, *several: jax.Array) -> jax.Array:
        stacked = fields(*several).reshape(len(several) * n_phi, -1)
        return (stacked @ patterns.T).reshape(len(several), n_phi, -1)

    one = jnp.ones((1, sign.size))
    if kind.derivatives:
        slopes = _difference(curves.transport_slopes, i, j) * sign
        u_patterns = jnp.concatenate([slopes.reshape(N_DIFFUSION, -1), one])
    else:
        u_patterns = one
    wu = w * u
    uu = against(_products(u_patterns, u_patterns), wu * u)[0]
    u1, uy = against(u_patterns, wu, wu * y)
    size = u_patterns.shape[0]
    empty = jnp.zeros((n_phi, 0))
    uv, vv, v1, vy = jnp.zeros((n_phi, size, 0)), jnp.zeros((n_phi, 0, 0)), empty, empty
    if kind.derivatives and v is not None:
        v_patterns = _difference(curves.strain_slopes, i, j).reshape(4, -1)
        wv = w * v
        uv = against(_products(u_patterns, v_patterns), wu * v)[0].reshape(n_phi, size, 4)
        vv = against(_products(v_patterns, v_patterns), wv * v)[0].reshape(n_phi, 4, 4)
        v1, vy = against(v_patterns, wv, wv * y)
    ones = jnp.zeros((n_phi, 4))
    if kind.weight.loss != "linear":
        ones = fields(w, w * y, w * y * y, loss).sum(axis=-1).T
    return FieldSums(uu.reshape(n_phi, size, size), uv, vv, u1, uy, v1, vy, ones)
