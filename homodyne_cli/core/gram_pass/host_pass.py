"""The pass by NumPy: nothing to import and nothing to compile.

Fields come from the model as it stands in `model.pair_model`, and go through the products of
`field_sums` as those of the devices do. Pairs are taken in stretches whose fields stay in the
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.core.gram_pass.field_sums import field_sums, gram_matrices
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, PassSpec
from homodyne_cli.core.maps.pair_noise import pair_weights, rms_sigma
from homodyne_cli.core.maps.tiling import add_moments, sum_moments, typical
from homodyne_cli.core.model.curves import ModelCurves, model_curves
from homodyne_cli.core.model.pair_model import PairModel, pair_models
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray, MapArray, Moments

#: Values of a field in a stretch.
_STRETCH: Final = 65_536
#: Pairs of each angle that say about how large the data are.
_TYPICAL: Final = 4096


class _Stretch(NamedTuple):
    """Pairs (m,), and of each (m, n_phi) data as stored, zero where not fitted, and weights.

    None is a weight of 1 for all of them; truth values are those of pairs that are fitted.
    """

    i: IndexArray
    j: IndexArray
    y: MapArray
    weight: FloatArray | NDArray[np.bool_] | None


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


def host_pairs(dataset: Dataset, frames: IndexArray | None = None) -> HostPairs:
    """Take the pairs i < j of a dataset, or of some of its frames."""
    index = np.arange(dataset.n_frames) if frames is None else frames
    maps = dataset.array if frames is None else dataset.selected(frames)
    i, j = np.triu_indices(len(index), 1)
    noise = rms = None
    if dataset.sigma is not None and dataset.sigma.ndim == 3:
        noise = dataset.sigma[:, index[:, None], index]
        rms = rms_sigma(dataset.array, dataset.sigma)
    some = slice(None, None, max(len(i) // _TYPICAL, 1))
    shift = typical(maps[None, :, i[some], j[some], None])
    size = max(_STRETCH // dataset.n_phi, 1)

    def cut(first: int) -> tuple[_Stretch, Moments]:
        rows, columns = i[first : first + size], j[first : first + size]
        y: MapArray = maps[:, rows, columns].T.copy()
        weight = None
        if noise is not None and rms is not None:
            weight = pair_weights(y, noise[:, rows, columns].T, rms)
            y[weight == 0.0] = np.nan
        block = y.T[..., None], None if weight is None else weight.T[..., None]
        moments = sum_moments([block], shift)
        fitted = np.isfinite(y)
        y[~fitted] = 0.0
        if weight is None and not fitted.all():
            weight = fitted
        return _Stretch(rows, columns, y, weight), moments

    with core_threads() as threads:
        parts = list(threads.map(cut, range(0, len(i), size)))
    gap = 0.0 if dataset.gap is None else dataset.gap
    moments = add_moments([moments for _, moments in parts])
    stretches = tuple(stretch for stretch, _ in parts)
    return HostPairs(stretches, dataset.t, index, dataset.phi, dataset.q, gap, moments)


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
        return _stretch_sums(kind, curves, model, pairs.moments.shift, part)

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
    kind: PassSpec, curves: ModelCurves, model: PairModel, shift: FloatArray, part: _Stretch
) -> FloatArray:
    """Return (n_phi, all sums) of fields times patterns."""
    i, j, _, weight = part
    y = part.y.astype(float)
    y -= shift
    w = None if weight is None else weight.T.astype(float)
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
    return np.hstack(field_sums(u, v, w, y.T, u_patterns, v_patterns))


def _difference(curves: FloatArray, i: IndexArray, j: IndexArray) -> FloatArray:
    # Twice as fast as an index.
    return np.asarray(np.take(curves, j, axis=1) - np.take(curves, i, axis=1))
