"""Who makes the pass: NumPy over maps in memory, the devices by JAX over what is larger.

On two cores NumPy takes 12 ns a pair and JAX 9. JAX takes a second of computing to be imported and
to compile the pass, which the few passes of a fit do not make up for below a hundred million pairs;
it spreads over many cores and accelerators. It is imported where it is needed first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias, Union

import numpy as np

from homodyne_cli.core.gram_pass.host_pass import HostPairs, evaluate_on_host, host_pairs
from homodyne_cli.core.gram_pass.pass_spec import (
    LINEAR,
    AngleGrams,
    AngleScaling,
    PairWeight,
    PassSpec,
)
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from homodyne_cli.problem import FitProblem

if TYPE_CHECKING:
    from homodyne_cli.core.gram_pass.device_tiles import PairTiles

Pairs: TypeAlias = Union[HostPairs, "PairTiles"]

#: Pairs of all angles up to which NumPy makes the pass.
HOST_PAIRS: Final = 100_000_000


def pack_pairs(
    dataset: Dataset,
    weight: PairWeight = LINEAR,
    frames: IndexArray | None = None,
    like: Pairs | None = None,
) -> Pairs:
    """Take the pairs of a dataset, or of some of its frames, to where passes are made.

    Parameters
    ----------
    weight
        Of the passes: losses other than linear are the devices'.
    like
        The pairs of the whole dataset, whose compiled code a part of them runs.
    """
    if _suits_host(dataset, weight, frames):
        return host_pairs(dataset, frames)
    from homodyne_cli.core.gram_pass.device_tiles import pack

    return pack(dataset, frames=frames, like=None if isinstance(like, HostPairs) else like)


def describe_device(dataset: Dataset, problem: FitProblem) -> str:
    """Return what makes the passes over all pairs of a fit, for manifests."""
    if _suits_host(dataset, PairWeight(problem.solver.loss), None):
        return "cpu (NumPy)"
    from homodyne_cli.core.numerics import backend

    return backend.describe_device()


def _suits_host(dataset: Dataset, weight: PairWeight, frames: IndexArray | None) -> bool:
    n = dataset.n_frames if frames is None else len(frames)
    streamed = frames is None and not isinstance(dataset.c2, np.ndarray)
    return not streamed and on_host(dataset.n_phi * n * (n - 1) // 2, weight)


def on_host(n_pairs: int, weight: PairWeight) -> bool:
    """Whether NumPy makes passes over so many pairs.

    Where the environment tells JAX what to compute on, JAX shall compute.
    """
    platforms = os.environ.get("JAX_PLATFORMS", "")
    chosen = platforms not in ("", "cpu") or bool(os.environ.get("XLA_FLAGS"))
    return n_pairs <= HOST_PAIRS and weight == LINEAR and not chosen


def import_ahead(problem: FitProblem, n_pairs: int) -> None:
    """Import JAX in a thread where it is going to be needed, and let it find its devices.

    What goes wrong there is said by who needs it next.
    """
    if not on_host(n_pairs, PairWeight(problem.solver.loss)):
        _in_a_thread(_import_devices)


def _import_devices() -> None:
    from homodyne_cli.core.gram_pass import gram_pass

    gram_pass.find_devices()


def compile_ahead(
    each: Sequence[Pairs], kind: PassSpec, parameters: FloatArray
) -> Callable[[], None]:
    """Compile the devices' pass over some pairs in a thread; return what waits for it."""

    def compile_all() -> None:
        for pairs in each:
            if not isinstance(pairs, HostPairs):
                from homodyne_cli.core.gram_pass import gram_pass

                gram_pass.compile_pass(pairs, kind, parameters)

    return _in_a_thread(compile_all)


def _in_a_thread(work: Callable[[], None]) -> Callable[[], None]:
    with_one = ThreadPoolExecutor(max_workers=1)
    done = with_one.submit(work)
    with_one.shutdown(wait=False)
    return done.result


def evaluate(
    pairs: Pairs,
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
    if isinstance(pairs, HostPairs):
        return evaluate_on_host(pairs, kind, parameters)
    from homodyne_cli.core.gram_pass import gram_pass

    return gram_pass.evaluate(pairs, kind, parameters, scaling)


def evaluate_many(pairs: Pairs, kind: PassSpec, points: FloatArray) -> AngleGrams:
    """Evaluate the cost-only sums at many points (m, p); `gram` is (m, n_phi, 3, 3)."""
    kind = replace(kind, derivatives=False)
    each = [evaluate(pairs, kind, point) for point in points]
    return AngleGrams(np.stack([one.gram for one in each]), each[0].loss, each[0].shift)
