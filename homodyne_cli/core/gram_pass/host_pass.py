"""The pass over few pairs, by NumPy: nothing to import and nothing to compile.

Fields come from the model as it stands in `model.pair_model`, and go through the products of
`field_sums` as those of the devices do. Pairs are taken in stretches whose fields stay in the
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from homodyne_cli.core.gram_pass.field_sums import field_sums, gram_matrices
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, PassSpec
from homodyne_cli.core.maps.pair_noise import pair_weights, rms_sigma
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_models
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, Moments

#: Values of a field in a stretch.
_STRETCH: Final = 65_536


class _Stretch(NamedTuple):
    """Pairs (m,), and data and weights of them; (n_phi, m) each, the angles next to each other."""

    i: IndexArray
    j: IndexArray
    y: FloatArray
    weight: FloatArray


@dataclass(frozen=True)
class HostPairs:
    """The pairs of a dataset, or of some of its frames, in the memory of the host.

    Attributes
    ----------
    stretches
        All pairs; what is not fitted has weight zero.
    t, frames
        (n,) frame times, and (m,) indices into it that the pairs count.
    moments
        Sums that do not depend on the parameters.
    """

    stretches: tuple[_Stretch, ...]
    t: FloatArray
    frames: IndexArray
    phi: FloatArray
    q: FloatArray
    gap: float
    moments: Moments

    @property
    def n_points(self) -> int:
        """Number of fitted pairs over all angles."""
        return int(self.moments.n_points.sum())


def host_pairs(dataset: Dataset, frames: IndexArray) -> HostPairs:
    """Take the pairs i < j of some of the frames of a dataset."""
    i, j = np.triu_indices(len(frames), 1)
    y = dataset.selected(frames)[:, i, j]
    weight = np.isfinite(y).astype(float)
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        rms = rms_sigma(dataset.array, dataset.sigma)[:, None]
        weight = pair_weights(y, dataset.sigma[:, frames[i], frames[j]], rms)
    centred, moments = _centred(y, weight)
    size = max(_STRETCH // len(y), 1)
    stretches = tuple(
        _Stretch(
            i[first : first + size],
            j[first : first + size],
            *(np.asfortranarray(part[:, first : first + size]) for part in (centred, weight)),
        )
        for first in range(0, len(i), size)
    )
    gap = 0.0 if dataset.gap is None else dataset.gap
    return HostPairs(stretches, dataset.t, frames, dataset.phi, dataset.q, gap, moments)


def _centred(y: MapArray, weight: FloatArray) -> tuple[FloatArray, Moments]:
    """Return data (n_phi, m) counted from their means, zero where not fitted, and their sums."""
    fitted = weight > 0.0
    n_points = fitted.sum(axis=1)
    known = np.where(fitted, y, 0.0).astype(float)
    shift = known.sum(axis=1) / np.maximum(n_points, 1)
    known = np.where(fitted, known - shift[:, None], 0.0)
    weighted = weight * known
    sums = weight.sum(axis=1), weighted.sum(axis=1), np.einsum("am,am->a", weighted, known)
    return known, Moments(*sums, shift, n_points.astype(float))


def evaluate_on_host(pairs: HostPairs, kind: PassSpec, parameters: FloatArray) -> AngleGrams:
    """Run the pass once over all pairs; the loss is linear.

    Parameters
    ----------
    parameters
        (7,) or, for ``static``, (3,) in table order.
    """
    curves = model_curves(
        pairs.t, pairs.phi, pairs.q, pairs.gap, parameters, kind.convention, pairs.frames
    )
    model = pair_models(curves, kind.convention)

    def sums(part: _Stretch) -> FloatArray:
        return _stretch_sums(kind, curves, model, part)

    if len(pairs.stretches) == 1:
        rows = sums(pairs.stretches[0])
    else:
        with core_threads(len(pairs.stretches)) as threads:
            rows = np.sum(list(threads.map(sums, pairs.stretches)), axis=0)
    none = np.zeros((len(pairs.phi), 4))
    gram = gram_matrices(kind, np.hstack([rows, none]), pairs.moments, curves)
    return AngleGrams(gram, none[:, 0], pairs.moments.shift)


# Parameters far out may overflow; chi2 is then infinite or NaN, and the step is refused. What a
# thread ignores it is asked for there.
@np.errstate(all="ignore")
def _stretch_sums(
    kind: PassSpec, curves: ModelCurves, model: PairModel, part: _Stretch
) -> FloatArray:
    """Return (n_phi, all sums) of fields times patterns."""
    i, j, y, weight = part
    v = v_patterns = None
    u_patterns = np.ones((1, len(i)))
    if not kind.derivatives:
        g1 = model.g1(i, j)
    else:
        g1, slope = model.with_slope(i, j)
        sign = np.sign(curves.transport[j] - curves.transport[i])
        slopes = _difference(curves.transport_slopes, i, j) * sign
        u_patterns = np.concatenate([slopes, u_patterns])
        if kind.mode != "static":
            v = slope.T
            strains = np.concatenate([curves.strain_slopes, curves.strain[None]])
            v_patterns = _difference(strains, i, j)
    u = np.square(g1, out=g1).T
    return np.hstack(field_sums(u, v, weight, y, u_patterns, v_patterns))


def _difference(curves: FloatArray, i: IndexArray, j: IndexArray) -> FloatArray:
    return np.asarray(curves[:, j] - curves[:, i])
