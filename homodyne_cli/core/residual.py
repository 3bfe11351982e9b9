"""The fused pass: per-angle Gram matrices of the residual's columns, without a Jacobian.

Each device goes through its own tiles (see `fields` for what happens inside one) and the sums of
all devices are added on the host, always in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import jax
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from homodyne_cli.core.backend import jnp
from homodyne_cli.core.fields import (
    Curves,
    FieldSums,
    Fixed,
    PassKind,
    Steps,
    pass_curves,
    step_sums,
)
from homodyne_cli.core.losses import Scaling
from homodyne_cli.core.physics import ModelCurves, model_curves
from homodyne_cli.core.tiles import PairTiles
from homodyne_cli.models import FloatArray
from homodyne_cli.parameters import N_DIFFUSION

__all__ = ["AngleGrams", "PassKind", "evaluate", "screen"]

#: Points that an accelerator looks at together.
_TOGETHER = 32
#: Calls that may be under way: tiles that are read from a file must not pile up.
_UNDER_WAY = 2


def _flat(sums: FieldSums) -> jax.Array:
    """Put all sums of an angle in one row: every array that leaves a device costs a call."""
    return jnp.concatenate([jnp.asarray(leaf) for leaf in sums], axis=1)


def _unflat(kind: PassKind, rows: FloatArray) -> FieldSums:
    n_u, n_v = kind.patterns
    widths = (
        n_u * (n_u + 1) // 2,
        n_u * n_v,
        n_v * (n_v + 1) // 2,
        *(n_u, n_u, n_v, n_v),
        4,
    )
    return FieldSums(*np.split(rows, np.cumsum(widths)[:-1], axis=-1))


def _steps_sum(
    kind: PassKind,
    curves: Curves[jax.Array],
    scaling: Scaling,
    fixed: Fixed,
    steps: Steps,
    filled: jax.Array,
) -> jax.Array:
    """Sum over the first `filled` steps: (n_phi, all sums)."""

    def body(k: jax.Array, total: jax.Array) -> jax.Array:
        step: Steps = jax.tree.map(
            lambda leaf: lax.dynamic_index_in_dim(leaf, k, keepdims=False), steps
        )
        return total + _flat(step_sums(kind, curves, scaling, fixed, step))

    first: Steps = jax.tree.map(lambda leaf: leaf[0], steps)
    shape = jax.eval_shape(lambda step: _flat(step_sums(kind, curves, scaling, fixed, step)), first)
    # The sum differs from device to device; shard_map wants its start marked so as well.
    zero = lax.pcast(jnp.zeros(shape.shape, shape.dtype), "devices", to="varying")
    total: jax.Array = lax.fori_loop(0, filled, body, zero)
    return total


@partial(jax.jit, static_argnames=("kind", "mesh"))
def _chunk_sums(
    kind: PassKind,
    mesh: jax.sharding.Mesh,
    curves: Curves[jax.Array],
    scaling: Scaling,
    fixed: Fixed,
    tiles: Steps,
    filled: jax.Array,
) -> jax.Array:
    """Sum over each device's first `filled` steps; the answer's leading axis is the device."""

    def on_device(
        curves: Curves[jax.Array], scaling: Scaling, fixed: Fixed, tiles: Steps, filled: jax.Array
    ) -> jax.Array:
        steps: Steps = jax.tree.map(lambda leaf: leaf[0], tiles)
        return _steps_sum(kind, curves, scaling, fixed, steps, filled[0])[None]

    spread = P("devices")
    run = jax.shard_map(
        on_device, mesh=mesh, in_specs=(P(), P(), P(), spread, spread), out_specs=spread
    )
    sums: jax.Array = run(curves, scaling, fixed, tiles, filled)
    return sums


@partial(jax.jit, static_argnames=("kind", "mesh", "together"))
def _screened(
    kind: PassKind,
    mesh: jax.sharding.Mesh,
    together: int | None,
    fixed: Fixed,
    tiles: Steps,
    points: Curves[jax.Array],
) -> jax.Array:
    """Sum over few tiles at many points: each device has all the tiles and its share of points."""

    def on_device(fixed: Fixed, tiles: Steps, points: Curves[jax.Array]) -> jax.Array:
        n_phi = tiles.y.shape[0]
        scaling = Scaling(jnp.zeros(n_phi), jnp.zeros(n_phi), jnp.ones(n_phi))

        def at(curves: Curves[jax.Array]) -> jax.Array:
            return _flat(step_sums(kind, curves, scaling, fixed, tiles))

        sums: jax.Array = lax.map(at, points, batch_size=together)
        return sums

    spread = P("devices")
    run = jax.shard_map(on_device, mesh=mesh, in_specs=(P(), P(), spread), out_specs=spread)
    sums: jax.Array = run(fixed, tiles, points)
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


def _assemble(
    sums: FieldSums, column_scale: FloatArray, tiles: PairTiles, kind: PassKind
) -> FloatArray:
    """Put the field sums together as Gram matrices in column order."""
    moments = tiles.moments
    ones = (
        np.asarray(sums.ones)
        if kind.weight.loss != "linear"
        else np.stack([moments.count, moments.y, moments.yy], axis=1)
    )
    n_u, n_v = kind.patterns
    size = n_u + n_v + 2
    n_phi = len(moments.y)
    gram = np.zeros((n_phi, size, size))
    u, v = np.arange(n_u), np.arange(n_u, n_u + n_v)
    for block, among in ((sums.uu, u), (sums.vv, v)):
        first, second = np.triu_indices(len(among))
        gram[:, among[first], among[second]] = block
    gram[:, u[:, None], v] = np.reshape(sums.uv, (n_phi, n_u, n_v))
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
    state = (np.zeros(n_phi), np.zeros(n_phi), np.ones(n_phi)) if scaling is None else scaling
    model = _model(tiles, kind, parameters)
    curves = pass_curves(kind, model, tiles.length)
    placed, known = jax.device_put((curves, state), tiles.layout.replicated)
    held = placed, Scaling(*known), tiles.fixed
    parts: list[jax.Array] = []
    for steps, filled in tiles.chunks:
        parts.append(_chunk_sums(kind, tiles.layout.mesh, *held, steps, filled))
        if len(parts) > _UNDER_WAY:
            parts[-1 - _UNDER_WAY].block_until_ready()
    # Always the same order: over devices within a call, then over calls.
    rows = np.sum([np.asarray(part).sum(axis=0) for part in parts], axis=0)
    sums = _unflat(kind, rows)
    return AngleGrams(
        gram=_assemble(sums, _column_scale(kind, model, tiles), tiles, kind),
        loss=np.asarray(sums.ones)[:, 3],
        shift=tiles.moments.shift,
    )


def _model(tiles: PairTiles, kind: PassKind, parameters: FloatArray) -> ModelCurves:
    return model_curves(
        tiles.t, tiles.phi, tiles.q, tiles.gap, parameters, kind.convention, tiles.frames
    )


def screen(tiles: PairTiles, kind: PassKind, points: FloatArray) -> list[AngleGrams]:
    """Evaluate the cost-only sums of a small set of pairs at many points in one call.

    Parameters
    ----------
    tiles
        Few tiles: every device gets a copy of all of them.
    kind
        Its loss must be linear; derivatives are not taken.
    points
        (m, p) parameters in table order.
    """
    kind = replace(kind, derivatives=False)
    n_devices = tiles.layout.mesh.devices.size
    extra = -len(points) % n_devices
    padded = np.concatenate([points, points[:extra]])
    together = None if tiles.layout.mesh.devices.flat[0].platform == "cpu" else _TOGETHER
    frames = len(tiles.frames)
    curves = [pass_curves(kind, _model(tiles, kind, p), frames) for p in padded]
    stacked = Curves(*(np.stack(leaves) for leaves in zip(*curves, strict=True)))
    placed = jax.device_put(stacked, tiles.layout.spread)
    sums = np.asarray(
        _screened(kind, tiles.layout.mesh, together, tiles.fixed, tiles.gathered(), placed)
    )
    scale = np.ones((len(tiles.phi), 3))
    shift = tiles.moments.shift
    return [
        AngleGrams(_assemble(_unflat(kind, rows), scale, tiles, kind), np.zeros(len(scale)), shift)
        for rows in sums[: len(points)]
    ]


def _column_scale(kind: PassKind, model: ModelCurves, tiles: PairTiles) -> FloatArray:
    """Return (n_phi, m): the factors of the columns that do not depend on the pair."""
    n_phi = len(tiles.phi)
    tail = np.ones((n_phi, 3))
    if not kind.derivatives:
        return tail
    diffusion = np.full((n_phi, N_DIFFUSION), -(tiles.q**2))
    if kind.mode == "static":
        return np.hstack([diffusion, tail])
    shear = np.repeat(model.kappa[:, None], 3, axis=1)
    return np.hstack([diffusion, shear, model.kappa_slope[:, None], tail])
