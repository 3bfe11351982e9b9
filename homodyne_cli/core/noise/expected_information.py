r"""What one angle of a measurement would tell, before there are data.

The information of an angle is the Gram matrix of the columns X of the model (derivatives, f and 1)
in the metric of its noise, and the variance of their scores, of one speckle:

    G = <X, C0^-1 X>,    V = <C0^-1 X, C C0^-1 X>

Weights and columns do not depend on the data, so maps without content pass through the code of the
fit.

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
from homodyne_cli.core.noise.angle_data import AngleData, FrameBlocks
from homodyne_cli.core.noise.weighed_angle import AngleNoise, WeighedAngle, weigh_angle
from homodyne_cli.core.numerics.threads import core_threads
from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import Convention

#: Photon noise over contrast that stands for noise without speckles.
_NO_SPECKLES = 1e6
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
    score
        (p + 2, p + 2) V.
    merged
        Consecutive frames in one, of `gram`.
    """

    gram: FloatArray
    score: FloatArray
    merged: int

    def with_slope(self, slope: float) -> AngleInformation:
        """Return that of an angle with d |kappa| / d phi0 = slope, from one of unit slope."""
        factor = np.ones(len(self.gram))
        factor[-3] = slope
        both = np.outer(factor, factor)
        return AngleInformation(self.gram * both, self.score * both, self.merged)


@dataclass(frozen=True)
class Sampling:
    """How angles of one kind are measured.

    Attributes
    ----------
    curves
        Model at the truth; its `kappa` is of no matter.
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

    def weighed(self, kappa: float) -> tuple[WeighedAngle, ModelCurves]:
        """Return an angle without data, frames merged as a fit does, and its curves."""
        curves = replace(
            self.curves, q=self.curves.q[:1], kappa=np.array([kappa]), kappa_slope=np.ones(1)
        )
        blocks = FrameBlocks.of(len(curves.transport), self.most_blocks)
        m = len(blocks)
        pairs = np.array([[0.5 * m * (m - 1), 0.0], [0.0, 0.0]])
        data = AngleData(0, blocks, np.zeros((m, m)), None, 0.0, pairs)
        w = _NO_SPECKLES * self.contrast if self.photon_noise is None else self.photon_noise
        noise = AngleNoise(self.contrast, w, 1.0 / self.contrast, n_speckles=1.0, scale=1.0)
        return weigh_angle(data, curves, self.convention, noise), curves


def _inform(sampling: Sampling, kappa: float) -> AngleInformation:
    angle, curves = sampling.weighed(kappa)
    size = angle.data.blocks.size
    if sampling.photon_noise is None:
        # In units of w^2 per pair of frames.
        gram = (_NO_SPECKLES * sampling.contrast) ** 2 * angle.gram(curves)[:-1, :-1]
        return AngleInformation(gram, gram, size)
    sums = angle.scores(curves)
    return AngleInformation(sums.gram[:-1, :-1], sums.best, size)


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
    scale = np.stack([np.diag(information.gram) for information in known])
    logs, root = CubicSpline(x, np.log(scale)), np.sqrt(scale)
    size = np.exp(0.5 * (logs(inside) + (at - inside)[:, None] * logs(x[0], 1)))
    for name in ("gram", "score"):
        values = np.stack([getattr(information, name) for information in known])
        shape = CubicSpline(x, values / (root[:, :, None] * root[:, None, :]))
        parts.append(shape(inside) * size[:, :, None] * size[:, None, :])
    return list(map(AngleInformation, *parts, repeat(known[0].merged)))
