r"""What one angle of a measurement would tell, before there are data.

The information of an angle is the Gram matrix of the columns X of the model (derivatives, f and 1)
in the metric of its noise, and the variance of their scores, of one speckle:

    G = <X, C0^-1 X>,    V = <C0^-1 X, C C0^-1 X>

Weights and columns do not depend on the data, so maps without content pass through the code of the
fit. V differs from G by a few percent to a third, smoothly: where there are many frames both are
taken once more with frames merged into at most 250 blocks, and V / G is theirs (uncertainties
change by up to 3%). Where more than two frames are merged, two points among them
stand for all (1 to 4% more).

**Many angles.** They differ in kappa = q L cos(phi0 - phi) alone: the derivative by phi0 but for a
factor, all columns are functions of its size. Where there are many of them, G and V are computed
for sizes that stand a factor 1.5 apart, and interpolated: the logarithm of the diagonal of G, and G
and V over it, by cubic splines in ln kappa. Uncertainties are right to 1%.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import repeat

import numpy as np
from scipy.interpolate import CubicSpline

from homodyne_cli.core.model.curves import ModelCurves
from homodyne_cli.core.noise.weighed_angle import AngleNoise, WeighedAngle, weigh_angle
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import Convention

#: Photon noise over contrast that stands for noise without speckles.
_NO_SPECKLES = 1e6
#: Blocks of frames on which V / G is looked at.
_SCORE_BLOCKS = 250
#: Frames that stand for those of a block.
_SAMPLES = 2
#: Kappas that are computed one by one, and the factor between those that others are read off.
_FEW, _APART = 6, 1.5
#: Phase over the whole measurement below which all columns are powers of kappa.
_NO_PHASE = 0.05


@dataclass(frozen=True)
class AngleInformation:
    """Information of one angle, of one speckle and unit contrast.

    Attributes
    ----------
    gram
        (p + 2, p + 2) G.
    merged_gram, score
        G and V with frames merged.
    merged
        Consecutive frames in one, of `gram`.
    """

    gram: FloatArray
    merged_gram: FloatArray
    score: FloatArray
    merged: int

    def with_slope(self, slope: float) -> AngleInformation:
        """Return that of an angle with d |kappa| / d phi0 = slope, from one of unit slope."""
        factor = np.ones(len(self.gram))
        factor[-3] = slope
        both = np.outer(factor, factor)
        return AngleInformation(
            self.gram * both, self.merged_gram * both, self.score * both, self.merged
        )


@dataclass(frozen=True)
class Sampling:
    """How angles of one kind are measured.

    Attributes
    ----------
    curves
        Model at the truth; its `kappa` is of no matter.
    q, gap
        1/Å, Å.
    contrast
        Of these angles.
    photon_noise
        w; None for independent noise of standard deviation 1 in every pair.
    most_blocks
        Frames, or blocks of them, that a fit can afford.
    computed
        What has been computed, by |kappa|.
    """

    curves: ModelCurves
    q: float
    gap: float | None
    convention: Convention
    contrast: float
    photon_noise: float | None
    most_blocks: int
    computed: dict[float, AngleInformation] = field(default_factory=dict)

    def information(self, kappas: FloatArray) -> list[AngleInformation]:
        """Return the information of angles of some |kappa|, for unit slope."""
        phase = float(np.ptp(self.curves.strain))
        if phase == 0.0 or len(np.unique(kappas)) <= _FEW:
            return self._computed(kappas)
        least = _NO_PHASE / phase
        kappas = np.maximum(kappas, 1e-3 * least)
        nodes = _nodes(max(float(kappas.min()), least), float(kappas.max()))
        return _interpolated(nodes, self._computed(nodes), kappas)

    def _computed(self, kappas: FloatArray) -> list[AngleInformation]:
        missing = np.setdiff1d(kappas, list(self.computed)).tolist()
        with core_threads() as threads:
            made = threads.map(partial(_inform, self), missing)
            self.computed.update(zip(missing, made, strict=True))
        return [self.computed[kappa] for kappa in kappas.tolist()]

    def weighed(self, kappa: float, most_blocks: int) -> tuple[WeighedAngle, ModelCurves, int]:
        """Return an angle with frames merged as a fit does, its curves, and how many are merged."""
        n = len(self.curves.transport)
        size = -(-n // most_blocks)
        kappas = {"kappa": np.array([kappa]), "kappa_slope": np.ones(1)}
        curves = replace(self.curves, **kappas)
        if size > _SAMPLES:
            # Two points of the mean and the variance of a block's frames.
            apart = np.array([-1.0, 1.0]) * np.sqrt((size**2 - 1.0) / 12.0)
            frames = size * np.arange(n // size)[:, None] + 0.5 * (size - 1.0) + apart
            curves = _at_frames(curves, frames.ravel())
        m = len(curves.transport)
        maps = Dataset(
            c2=np.broadcast_to(0.0, (1, m, m)),
            phi=np.zeros(1),
            t=np.arange(1.0, m + 1.0),
            q=self.q,
            gap=self.gap,
            dt=1.0,
            sigma=None,
            provenance={},
        )
        w = _NO_SPECKLES * self.contrast if self.photon_noise is None else self.photon_noise
        own = w * m / n
        noise = AngleNoise(self.contrast, own, 1.0 / self.contrast, n_speckles=1.0, scale=1.0)
        one = weigh_angle(maps, curves, 0, self.convention, noise, min(most_blocks, m))
        assert one is not None
        return one, curves, size


def _inform(sampling: Sampling, kappa: float) -> AngleInformation:
    whole, curves, size = sampling.weighed(kappa, sampling.most_blocks)
    gram = whole.gram(curves)[:-1, :-1]
    if sampling.photon_noise is None:
        # In units of w^2 per pair of frames.
        gram = (_NO_SPECKLES * sampling.contrast) ** 2 * gram
        return AngleInformation(gram, gram, gram, size)
    merged, merged_gram = whole, gram
    if len(whole.values) > _SCORE_BLOCKS:
        merged, curves, _ = sampling.weighed(kappa, _SCORE_BLOCKS)
        merged_gram = merged.gram(curves)[:-1, :-1]
    score = merged.score_covariance(curves, merged_gram)
    return AngleInformation(gram, merged_gram, score, size)


def _at_frames(curves: ModelCurves, frames: FloatArray) -> ModelCurves:
    """Return curves between frames."""
    below = np.minimum(frames.astype(int), len(curves.transport) - 2)
    share = frames - below

    def between(curve: FloatArray) -> FloatArray:
        return np.asarray((1.0 - share) * curve[..., below] + share * curve[..., below + 1])

    return replace(
        curves,
        transport=between(curves.transport),
        transport_slopes=between(curves.transport_slopes),
        strain=between(curves.strain),
        strain_slopes=between(curves.strain_slopes),
    )


def _nodes(least: float, most: float) -> FloatArray:
    """Return sizes that do not depend on which angles there are, one beyond either end."""
    first = np.floor(np.log(least) / np.log(_APART)) - 1.0
    last = np.ceil(np.log(most) / np.log(_APART)) + 1.0
    return np.asarray(_APART ** np.arange(first, last + 1.0))


def _interpolated(
    nodes: FloatArray, known: Sequence[AngleInformation], kappas: FloatArray
) -> list[AngleInformation]:
    """Read information off that of the nodes; below them columns are powers of kappa."""
    x, at = np.log(nodes), np.log(kappas)
    inside = np.maximum(at, x[0])
    parts = []
    for one, other in (("gram", "gram"), ("merged_gram", "merged_gram"), ("score", "merged_gram")):
        values = np.stack([getattr(information, one) for information in known])
        scale = np.stack([np.diag(getattr(information, other)) for information in known])
        logs = CubicSpline(x, np.log(scale))
        size = np.exp(0.5 * (logs(inside) + (at - inside)[:, None] * logs(x[0], 1)))
        root = np.sqrt(scale)
        shape = CubicSpline(x, values / (root[:, :, None] * root[:, None, :]))
        parts.append(shape(inside) * size[:, :, None] * size[:, None, :])
    return list(map(AngleInformation, *parts, repeat(known[0].merged)))
