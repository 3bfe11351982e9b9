"""The fused pass: per-angle Gram matrices of the residual's columns, without a Jacobian.

Each device goes through its own tiles (see `fields` for what happens inside one) and the sums of
all devices are added on the host, always in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.fields import FieldSums, PassKind, Setting, frame_curves, step_sums
from homodyne_cli.core.losses import Scaling
from homodyne_cli.core.physics import phase_factors
from homodyne_cli.core.tiles import PairTiles, Steps
from homodyne_cli.models import FloatArray
from homodyne_cli.parameters import N_DIFFUSION

__all__ = ["AngleGrams", "PassKind", "evaluate"]


@partial(jax.jit, static_argnames=("kind", "mesh"))
def _field_sums(
    kind: PassKind, mesh: jax.sharding.Mesh, setting: Setting, tiles: Steps, filled: jax.Array
) -> FieldSums:
    """Sum over each device's first `filled` steps; the answer's leading axis is the device."""

    def on_device(setting: Setting, tiles: Steps, filled: jax.Array) -> FieldSums:
        curves = frame_curves(kind, setting)
        steps: Steps = jax.tree.map(lambda leaf: leaf[0], tiles)

        def body(k: jax.Array, total: FieldSums) -> FieldSums:
            step: Steps = jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(leaf, k, keepdims=False), steps
            )
            added: FieldSums = jax.tree.map(jnp.add, total, step_sums(kind, curves, setting, step))
            return added

        first: Steps = jax.tree.map(lambda leaf: leaf[0], steps)
        shapes = jax.eval_shape(lambda step: step_sums(kind, curves, setting, step), first)
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        # The sum differs from device to device; shard_map wants its start marked so as well.
        zero = jax.tree.map(lambda z: lax.pcast(z, "devices", to="varying"), zero)
        total = lax.fori_loop(0, filled, body, zero)
        sums: FieldSums = jax.tree.map(lambda leaf: leaf[None], total)
        return sums

    spread = P("devices")
    run = jax.shard_map(on_device, mesh=mesh, in_specs=(P(), spread, P()), out_specs=spread)
    sums: FieldSums = run(setting, tiles, filled)
    return sums


@dataclass(frozen=True)
class AngleGrams:
    """What one pass gives, per angle.

    Attributes
    ----------
    gram
        (n_phi, m, m) sums of w a b over pairs, for the columns [df/dp (p), f, 1, y] (without the
        derivatives if the pass left them out); y is counted from `shift`.
    loss
        (n_phi,) sum of the robust loss rho(r^2/sigma^2); zero for the linear loss.
    shift
        (n_phi,) what y is counted from.
    """

    gram: FloatArray
    loss: FloatArray
    shift: FloatArray


def _on_host(parts: list[FieldSums]) -> FieldSums:
    """Add the sums of all calls and devices, in a fixed order."""
    return FieldSums(
        *(
            np.concatenate([np.asarray(p) for p in leaf]).sum(axis=0)
            for leaf in zip(*parts, strict=True)
        )
    )


def _assemble(
    sums: FieldSums, column_scale: FloatArray, tiles: PairTiles, robust: bool
) -> FloatArray:
    """Put the field sums of all devices together as Gram matrices in column order."""
    moments = tiles.moments
    ones = (
        sums.ones
        if robust
        else np.stack([moments.count, moments.y, moments.yy, 0.0 * moments.y], axis=1)
    )
    n_u, n_v = sums.uu.shape[1], sums.vv.shape[1]
    size = n_u + n_v + 2
    gram = np.zeros((len(moments.y), size, size))
    u, v = slice(0, n_u), slice(n_u, n_u + n_v)
    gram[:, u, u], gram[:, u, v], gram[:, v, v] = sums.uu, sums.uv, sums.vv
    gram[:, u, -2], gram[:, u, -1] = sums.u1, sums.uy
    gram[:, v, -2], gram[:, v, -1] = sums.v1, sums.vy
    gram[:, -2, -2], gram[:, -2, -1], gram[:, -1, -1] = ones[:, 0], ones[:, 1], ones[:, 2]
    rows, columns = np.tril_indices(size, -1)
    gram[:, rows, columns] = gram[:, columns, rows]
    order = [*range(n_u - 1), *range(n_u, n_u + n_v), n_u - 1, size - 2, size - 1]
    gram = gram[:, order][:, :, order]
    return gram * column_scale[:, :, None] * column_scale[:, None, :]


def evaluate(
    tiles: PairTiles,
    kind: PassKind,
    parameters: FloatArray,
    scaling: tuple[FloatArray, FloatArray, FloatArray] | None = None,
) -> AngleGrams:
    """Run the pass once over all pairs.

    Parameters
    ----------
    parameters
        (7,) or, for ``static``, (3,) in table order.
    scaling
        Contrast, offset and sigma, (n_phi,) each; what a robust weight is computed from. Not
        needed for the linear loss.
    """
    n_phi = len(tiles.phi)
    robust = kind.weight.loss != "linear"
    state = (np.zeros(n_phi), np.zeros(n_phi), np.ones(n_phi)) if scaling is None else scaling
    setting = Setting(
        parameters=jnp.asarray(parameters),
        scaling=Scaling(*(jnp.asarray(values) for values in state)),
        shift=jnp.asarray(tiles.moments.shift),
        t=jnp.asarray(tiles.t),
        frames=jnp.asarray(tiles.frames),
        phi=jnp.asarray(tiles.phi),
        q=jnp.asarray(tiles.q),
        gap=jnp.asarray(tiles.gap),
    )
    parts = [
        _field_sums(kind, tiles.mesh, setting, chunk, jnp.asarray(filled, dtype=jnp.int32))
        for chunk, filled in zip(tiles.chunks, tiles.filled, strict=True)
    ]
    sums = _on_host(parts)
    scale = _column_scale(kind, parameters, tiles)
    return AngleGrams(
        gram=_assemble(sums, scale, tiles, robust),
        loss=np.asarray(sums.ones)[:, 3],
        shift=tiles.moments.shift,
    )


def _column_scale(kind: PassKind, parameters: FloatArray, tiles: PairTiles) -> FloatArray:
    """Return (n_phi, m): the factors of the columns that do not depend on the pair."""
    n_phi = len(tiles.phi)
    tail = np.ones((n_phi, 3))
    if not kind.derivatives:
        return tail
    diffusion = np.full((n_phi, N_DIFFUSION), -(tiles.q**2))
    if kind.mode == "static":
        return np.hstack([diffusion, tail])
    kappa, slope = phase_factors(
        jnp.asarray(parameters[-1]), jnp.asarray(tiles.phi), tiles.q, tiles.gap
    )
    shear = np.repeat(np.asarray(kappa)[:, None], 3, axis=1)
    return np.hstack([diffusion, shear, np.asarray(slope)[:, None], tail])
