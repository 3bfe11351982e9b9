r"""Inside one tile of the pass: the fields and patterns of `field_sums`, from curves over frames.

sin and cos of kappa (G_j - G_i) come from outer products of sin and cos of kappa G: no
transcendental function per angle and pair, and one exponential per pair for all angles (one for
each where maps are of several rings). Small arguments go through a series.
"""

from __future__ import annotations

from typing import Generic, NamedTuple

import jax
import numpy as np

from homodyne_cli.core.gram_pass.field_sums import field_sums
from homodyne_cli.core.gram_pass.losses import loss_terms
from homodyne_cli.core.gram_pass.pass_spec import AngleScaling, Leaf, PassSpec
from homodyne_cli.core.maps.tiling import TILE
from homodyne_cli.core.model.curves import SHEAR_FACTORS, ModelCurves
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import N_DIFFUSION

#: |h| below which sinc and its slope come from their series; terms below reach 1e-16 there.
_SERIES_RADIUS = 0.25


class TileBatch(NamedTuple):
    """Tiles in the order of the scan; leading axes (devices, steps), or fewer inside it.

    The last axes are (step_tiles,) of `rows` and `columns` and (n_phi, step_tiles, TILE, TILE) of
    `y` and `weight`.
    """

    rows: jax.Array
    columns: jax.Array
    y: jax.Array
    weight: jax.Array | None


class Curves(NamedTuple, Generic[Leaf]):
    """Vectors over the frames that the tiles are made of, on the host or on the devices.

    Attributes
    ----------
    transport, transport_slopes
        (n,) A and (3, n) dA/dp.
    strain, strain_slopes
        (n,) G and (4, n): dG/dp for the three shear parameters, then G itself, whose difference
        is the phi0 column.
    sine, cosine
        (n_phi, n) of the phase h = rate * G. Here, and not in the tile, because XLA would fuse them
        into its loop over pairs and compute them for each.
    rate
        (n_phi,) scale * kappa.
    """

    transport: Leaf
    transport_slopes: Leaf
    strain: Leaf
    strain_slopes: Leaf
    sine: Leaf
    cosine: Leaf
    rate: Leaf


class Fixed(NamedTuple):
    """What stays the same over all passes: (n_phi,) what the data are counted from, and q.

    The latter is (1,) where all maps are of one ring, else (n_phi,).
    """

    shift: jax.Array
    q: jax.Array


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


def pass_curves(kind: PassSpec, model: ModelCurves, length: int) -> Curves[FloatArray]:
    """Take from the model's curves over the frames that the tiles count what the tiles need.

    Slopes are left out where no derivatives are taken.

    Parameters
    ----------
    length
        Frames that the compiled code takes; the last one is repeated.
    """

    def padded(curve: FloatArray) -> FloatArray:
        out = np.empty((*curve.shape[:-1], length))
        out[..., : curve.shape[-1]] = curve
        out[..., curve.shape[-1] :] = curve[..., -1:]
        return out

    none = np.zeros((*model.transport.shape[:-1], 0))
    transport = padded(model.transport)
    slopes = padded(model.transport_slopes) if kind.derivatives else none
    if kind.mode == "static":
        return Curves(transport, slopes, *[none] * 5)
    strain = model.strain
    rate = SHEAR_FACTORS[kind.convention].scale * model.kappa
    with np.errstate(invalid="ignore"):
        phase = rate[..., None] * strain[..., None, :]
        waves = padded(np.sin(phase)), padded(np.cos(phase))
    shear_slopes = none
    if kind.derivatives:
        shear_slopes = padded(np.concatenate([model.strain_slopes, strain[None]]))
    return Curves(transport, slopes, padded(strain), shear_slopes, *waves, rate)


def curve_shapes(kind: PassSpec, n_phi: int, length: int) -> Curves[tuple[int, ...]]:
    """Return the shapes of the leaves of `pass_curves`."""
    none = (0,)
    slopes = (N_DIFFUSION, length) if kind.derivatives else none
    if kind.mode == "static":
        return Curves((length,), slopes, *[none] * 5)
    shear_slopes = (4, length) if kind.derivatives else none
    waves = (n_phi, length)
    return Curves((length,), slopes, (length,), shear_slopes, waves, waves, (n_phi,))


def _difference(curve: jax.Array, i: jax.Array, j: jax.Array) -> jax.Array:
    """Return curve[..., j] - curve[..., i] over tiles: (..., tiles, TILE, TILE)."""
    return curve[..., j][..., None, :] - curve[..., i][..., :, None]


def _tile_fields(
    kind: PassSpec, curves: Curves[jax.Array], i: jax.Array, j: jax.Array, q: jax.Array
) -> tuple[jax.Array, jax.Array | None, jax.Array]:
    """Return u, v (n_phi or 1, tiles, TILE, TILE) and sign(dA) (tiles, TILE, TILE)."""
    difference = _difference(curves.transport, i, j)
    decay = jnp.exp(-(q[:, None, None, None] ** 2) * jnp.abs(difference))
    sign = jnp.sign(difference)
    if kind.mode == "static":
        return decay, None, sign
    h = curves.rate[:, None, None, None] * _difference(curves.strain, i, j)
    sine_i, sine_j = curves.sine[:, i][..., :, None], curves.sine[:, j][..., None, :]
    cosine_i, cosine_j = curves.cosine[:, i][..., :, None], curves.cosine[:, j][..., None, :]
    sinc, slope = _sinc_and_slope(
        h, sine_j * cosine_i - cosine_j * sine_i, cosine_j * cosine_i + sine_j * sine_i
    )
    form = SHEAR_FACTORS[kind.convention]
    shared = decay * sinc ** (form.power - 1)
    return shared * sinc, (form.power * form.scale) * shared * slope, sign


def step_sums(
    kind: PassSpec,
    curves: Curves[jax.Array],
    scaling: AngleScaling[jax.Array],
    fixed: Fixed,
    step: TileBatch,
) -> jax.Array:
    """Sum fields times patterns over the tiles of one step: (n_phi, all sums)."""
    rows, columns, data, pair_weight = step
    shift = fixed.shift[:, None, None, None]
    n_phi = data.shape[0]
    offsets = jnp.arange(TILE)
    last = curves.transport.shape[-1] - 1
    i = jnp.minimum(rows[:, None] + offsets, last)
    j = jnp.minimum(columns[:, None] + offsets, last)
    u, v, sign = _tile_fields(kind, curves, i, j, fixed.q)
    fitted = jnp.isfinite(data)
    y = jnp.where(fitted, data.astype(jnp.float64) - shift, 0.0)
    base = fitted.astype(jnp.float64) if pair_weight is None else pair_weight
    w, loss = loss_terms(kind.weight, u, y + shift, base, scaling)
    one = jnp.ones((1, sign.size))
    u_patterns, v_patterns = one, None
    if kind.derivatives:
        slopes = _difference(curves.transport_slopes, i, j) * sign
        u_patterns = jnp.concatenate([slopes.reshape(N_DIFFUSION, -1), one])
        if v is not None:
            v_patterns = _difference(curves.strain_slopes, i, j).reshape(4, -1)
    sums = field_sums(u, v, w, y, u_patterns, v_patterns)
    ones = jnp.zeros((n_phi, 4))
    if kind.weight.loss != "linear":
        terms = jnp.stack([jnp.broadcast_to(f, data.shape) for f in (w, w * y, w * y * y, loss)])
        ones = terms.reshape(4, n_phi, -1).sum(axis=-1).T
    # In one row: every array that leaves a device costs a call.
    return jnp.concatenate([*sums, ones], axis=1)
