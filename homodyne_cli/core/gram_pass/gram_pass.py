"""The fused pass: per-angle Gram matrices of the residual's columns, without a Jacobian.

Each device goes through its own tiles (see `tile_sums` for what happens inside one) and the sums of
all devices are added on the host, always in the same order.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec as P

from homodyne_cli.core.gram_pass.device_tiles import PairTiles
from homodyne_cli.core.gram_pass.field_sums import gram_matrices, n_sums
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, AngleScaling, PassSpec
from homodyne_cli.core.gram_pass.tile_sums import (
    Curves,
    Fixed,
    TileBatch,
    curve_shapes,
    pass_curves,
    step_sums,
)
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.numerics.backend import devices, jnp
from homodyne_cli.dataset import FloatArray

__all__ = ["AngleGrams", "PassSpec", "evaluate"]

#: Calls that may be under way: tiles that are read from a file must not pile up.
_UNDER_WAY = 2


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
        return total + step_sums(kind, curves, scaling, fixed, step)

    # The sum differs from device to device; shard_map wants its start marked so as well.
    zero = lax.pcast(jnp.zeros((steps.y.shape[1], n_sums(kind))), "devices", to="varying")
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


def _model(tiles: PairTiles, kind: PassSpec, parameters: FloatArray) -> ModelCurves:
    return model_curves(
        tiles.t, tiles.phi, tiles.q, tiles.gap, parameters, kind.convention, tiles.frames
    )


def _state(
    tiles: PairTiles,
    kind: PassSpec,
    model: ModelCurves,
    scaling: AngleScaling[FloatArray] | None = None,
) -> jax.Array:
    """Place all that changes from pass to pass on every device, as one vector.

    Every array that goes to a device costs a call.
    """
    curves = pass_curves(kind, model, tiles.length)
    n_phi = len(tiles.phi)
    known = (np.zeros(n_phi), np.zeros(n_phi), np.ones(n_phi)) if scaling is None else scaling
    state = np.concatenate([*(leaf.ravel() for leaf in curves), *known])
    placed: jax.Array = jax.device_put(state, tiles.layout.replicated)
    return placed


def find_devices() -> None:
    """Let JAX find its devices, which takes it some time at first."""
    devices()


def compile_pass(tiles: PairTiles, kind: PassSpec, parameters: FloatArray) -> None:
    """Compile what `evaluate` runs, by running it over none of the pairs."""
    state = _state(tiles, kind, _model(tiles, kind, parameters))
    steps, filled = next(iter(tiles.chunks))
    none = jax.device_put(np.zeros(filled.shape, filled.dtype), tiles.layout.spread)
    _chunk_sums(kind, tiles.layout.mesh, tiles.length, state, tiles.fixed, steps, none)


def evaluate(
    tiles: PairTiles,
    kind: PassSpec,
    parameters: FloatArray,
    scaling: AngleScaling[FloatArray] | None = None,
) -> AngleGrams:
    """Run the pass once over all pairs; arguments as in `passes.evaluate`."""
    model = _model(tiles, kind, parameters)
    placed = _state(tiles, kind, model, scaling)
    parts: list[jax.Array] = []
    for steps, filled in tiles.chunks:
        parts.append(
            _chunk_sums(kind, tiles.layout.mesh, tiles.length, placed, tiles.fixed, steps, filled)
        )
        if len(parts) > _UNDER_WAY:
            parts[-1 - _UNDER_WAY].block_until_ready()
    # Always the same order: over devices within a call, then over calls.
    rows = np.sum([np.asarray(part).sum(axis=0) for part in parts], axis=0)
    gram = gram_matrices(kind, rows, tiles.moments, model)
    return AngleGrams(gram, loss=rows[:, -1], shift=tiles.moments.shift)
