"""The fused pass: per-angle Gram matrices of the residual's columns, without a Jacobian.

Each device goes through its own tiles (see `fields` for what happens inside one) and the sums of
all devices are added on the host, always in the same order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, partial

import jax
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from homodyne_cli.core.gram_pass.device_tiles import PairTiles
from homodyne_cli.core.gram_pass.losses import AngleScaling
from homodyne_cli.core.gram_pass.tile_sums import (
    Curves,
    FieldSums,
    Fixed,
    PassSpec,
    TileBatch,
    curve_shapes,
    pass_curves,
    step_sums,
)
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import FloatArray, IndexArray
from homodyne_cli.parameters import N_DIFFUSION

__all__ = ["AngleGrams", "PassSpec", "evaluate", "evaluate_many"]

#: Points that an accelerator looks at together.
_TOGETHER = 32
#: Calls that may be under way: tiles that are read from a file must not pile up.
_UNDER_WAY = 2


def _flat(sums: FieldSums) -> jax.Array:
    """Put all sums of an angle in one row: every array that leaves a device costs a call."""
    return jnp.concatenate(list(sums), axis=1)


@cache
def _places(kind: PassSpec) -> IndexArray:
    """Return (m, m): where in such a row, followed by the moments, each Gram element is."""
    n_u, n_v = kind.patterns
    widths = (
        n_u * (n_u + 1) // 2,
        n_u * n_v,
        n_v * (n_v + 1) // 2,
        *(n_u, n_u, n_v, n_v),
        4,
    )
    total = sum(widths)
    uu, uv, vv, u1, uy, v1, vy, ones = np.split(np.arange(total), np.cumsum(widths)[:-1])
    if kind.weight.loss == "linear":
        ones = total + np.arange(3)
    size = n_u + n_v + 2
    place = np.zeros((size, size), dtype=np.intp)
    u, v = np.arange(n_u), np.arange(n_u, n_u + n_v)
    for block, columns in ((uu, u), (vv, v)):
        first, second = np.triu_indices(len(columns))
        place[columns[first], columns[second]] = block
    place[u[:, None], v] = np.reshape(uv, (n_u, n_v))
    place[u, -2], place[u, -1], place[v, -2], place[v, -1] = u1, uy, v1, vy
    place[-2, -2], place[-2, -1], place[-1, -1] = ones[:3]
    lower = np.tril_indices(size, -1)
    place[lower] = place.T[lower]
    order = [*range(n_u - 1), *range(n_u, n_u + n_v), n_u - 1, size - 2, size - 1]
    return place[np.ix_(order, order)]


def _parted(
    kind: PassSpec, n_phi: int, length: int, state: jax.Array
) -> tuple[Curves[jax.Array], AngleScaling[jax.Array]]:
    """Take apart what `_state` put together."""
    shapes = (*curve_shapes(kind, n_phi, length), *((n_phi,),) * len(AngleScaling._fields))
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = jnp.split(state, ends[:-1].tolist())
    leaves = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    n_curves = len(Curves._fields)
    return Curves(*leaves[:n_curves]), AngleScaling(*leaves[n_curves:])


def _steps_sum(
    kind: PassSpec,
    curves: Curves[jax.Array],
    scaling: AngleScaling[jax.Array],
    fixed: Fixed,
    steps: TileBatch,
    filled: jax.Array,
) -> jax.Array:
    """Sum over the first `filled` steps: (n_phi, all sums)."""

    def body(k: jax.Array, total: jax.Array) -> jax.Array:
        step: TileBatch = jax.tree.map(
            lambda leaf: lax.dynamic_index_in_dim(leaf, k, keepdims=False), steps
        )
        return total + _flat(step_sums(kind, curves, scaling, fixed, step))

    first: TileBatch = jax.tree.map(lambda leaf: leaf[0], steps)
    shape = jax.eval_shape(lambda step: _flat(step_sums(kind, curves, scaling, fixed, step)), first)
    # The sum differs from device to device; shard_map wants its start marked so as well.
    zero = lax.pcast(jnp.zeros(shape.shape, shape.dtype), "devices", to="varying")
    total: jax.Array = lax.fori_loop(0, filled, body, zero)
    return total


@partial(jax.jit, static_argnames=("kind", "mesh", "length"))
def _chunk_sums(
    kind: PassSpec,
    mesh: jax.sharding.Mesh,
    length: int,
    state: jax.Array,
    fixed: Fixed,
    tiles: TileBatch,
    filled: jax.Array,
) -> jax.Array:
    """Sum over each device's first `filled` steps; the answer's leading axis is the device."""

    def on_device(state: jax.Array, fixed: Fixed, tiles: TileBatch, filled: jax.Array) -> jax.Array:
        steps: TileBatch = jax.tree.map(lambda leaf: leaf[0], tiles)
        curves, scaling = _parted(kind, steps.y.shape[1], length, state)
        return _steps_sum(kind, curves, scaling, fixed, steps, filled[0])[None]

    spread = P("devices")
    run = jax.shard_map(on_device, mesh=mesh, in_specs=(P(), P(), spread, spread), out_specs=spread)
    sums: jax.Array = run(state, fixed, tiles, filled)
    return sums


@partial(jax.jit, static_argnames=("kind", "mesh", "length", "points_at_once"))
def _screened(
    kind: PassSpec,
    mesh: jax.sharding.Mesh,
    length: int,
    points_at_once: int | None,
    fixed: Fixed,
    tiles: TileBatch,
    points: jax.Array,
) -> jax.Array:
    """Sum over few tiles at many points: each device has all the tiles and its share of points."""

    def on_device(fixed: Fixed, tiles: TileBatch, points: jax.Array) -> jax.Array:
        def at(state: jax.Array) -> jax.Array:
            curves, scaling = _parted(kind, tiles.y.shape[0], length, state)
            return _flat(step_sums(kind, curves, scaling, fixed, tiles))

        sums: jax.Array = lax.map(at, points, batch_size=points_at_once)
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


def _gram(tiles: PairTiles, kind: PassSpec, rows: FloatArray) -> FloatArray:
    """Return (..., n_phi, m, m) from rows of sums, columns that the pass leaves out at one."""
    moments = tiles.moments
    known = np.stack([moments.count, moments.y, moments.yy], axis=1)
    known = np.broadcast_to(known, (*rows.shape[:-1], known.shape[-1]))
    every = np.concatenate([rows, known], axis=-1)
    return np.asarray(every[..., _places(kind)])


def _state(
    tiles: PairTiles,
    kind: PassSpec,
    model: ModelCurves,
    length: int,
    scaling: AngleScaling[FloatArray] | None,
) -> FloatArray:
    """Return all that changes from pass to pass as one vector (..., size).

    Every array that goes to a device costs a call.
    """
    curves = pass_curves(kind, model, length)
    lead = curves.transport.shape[:-1]
    n_phi = len(tiles.phi)
    known = (np.zeros(n_phi), np.zeros(n_phi), np.ones(n_phi)) if scaling is None else scaling
    state = [np.broadcast_to(part, (*lead, n_phi)) for part in known]
    return np.concatenate([*(leaf.reshape(*lead, -1) for leaf in curves), *state], axis=-1)


def evaluate(
    tiles: PairTiles,
    kind: PassSpec,
    parameters: FloatArray,
    scaling: AngleScaling[FloatArray] | None = None,
) -> AngleGrams:
    """Run the pass once over all pairs.

    Parameters
    ----------
    parameters
        (7,) or, for ``static``, (3,) in table order.
    scaling
        What a robust weight is computed from. Not needed for the linear loss.
    """
    model = _model(tiles, kind, parameters)
    state = _state(tiles, kind, model, tiles.length, scaling)
    placed = jax.device_put(state, tiles.layout.replicated)
    parts: list[jax.Array] = []
    for steps, filled in tiles.chunks:
        parts.append(
            _chunk_sums(kind, tiles.layout.mesh, tiles.length, placed, tiles.fixed, steps, filled)
        )
        if len(parts) > _UNDER_WAY:
            parts[-1 - _UNDER_WAY].block_until_ready()
    # Always the same order: over devices within a call, then over calls.
    rows = np.sum([np.asarray(part).sum(axis=0) for part in parts], axis=0)
    scale = _column_scale(kind, model, tiles)
    return AngleGrams(
        gram=_gram(tiles, kind, rows) * scale[:, :, None] * scale[:, None, :],
        loss=rows[:, -1],
        shift=tiles.moments.shift,
    )


def _model(tiles: PairTiles, kind: PassSpec, parameters: FloatArray) -> ModelCurves:
    return model_curves(
        tiles.t, tiles.phi, tiles.q, tiles.gap, parameters, kind.convention, tiles.frames
    )


def evaluate_many(tiles: PairTiles, kind: PassSpec, points: FloatArray) -> AngleGrams:
    """Evaluate the cost-only sums of a small set of pairs at many points in one call.

    Parameters
    ----------
    tiles
        Few tiles: every device gets a copy of all of them.
    kind
        Its loss must be linear; derivatives are not taken.
    points
        (m, p) parameters in table order.

    Returns
    -------
    AngleGrams
        Its `gram` is (m, n_phi, 3, 3).
    """
    kind = replace(kind, derivatives=False)
    layout = tiles.layout
    padded = np.concatenate([points, points[: -len(points) % layout.n_devices]])
    points_at_once = None if layout.mesh.devices.flat[0].platform == "cpu" else _TOGETHER
    frames = len(tiles.frames)
    state = _state(tiles, kind, _model(tiles, kind, padded.T[:, :, None]), frames, None)
    placed = jax.device_put(state, layout.spread)
    sums = _screened(
        kind, layout.mesh, frames, points_at_once, tiles.fixed, tiles.gathered(), placed
    )
    rows = np.asarray(sums)[: len(points)]
    return AngleGrams(_gram(tiles, kind, rows), rows[..., -1], tiles.moments.shift)


def _column_scale(kind: PassSpec, model: ModelCurves, tiles: PairTiles) -> FloatArray:
    """Return (n_phi, m): the factors of the columns that do not depend on the pair."""
    n_phi = len(tiles.phi)
    tail = np.ones((n_phi, 3))
    if not kind.derivatives:
        return tail
    diffusion = np.repeat(-(tiles.q[:, None] ** 2), N_DIFFUSION, axis=1)
    if kind.mode == "static":
        return np.hstack([diffusion, tail])
    shear = np.repeat(model.kappa[:, None], 3, axis=1)
    return np.hstack([diffusion, shear, model.kappa_slope[:, None], tail])
