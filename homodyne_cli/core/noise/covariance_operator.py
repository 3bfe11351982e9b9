r"""Covariance of the noise of one angle's map, as an operator on maps.

A map is the mean over M speckles; one of them contributes to a pair of frames i < j

    psi_ij = y_i y_j - b_ij (y_i + y_j),    y = intensity / mean - 1,    b = <y_i y_j>

where the second term comes from normalising by the mean intensities. y is made of `modes` equal
modes over an incoherent background, each |E|^2 of a complex Gaussian field with real correlation
g (n x n), and of Poisson noise of the photons. With F = g * g (* is element by element), contrast
c = var(y) without photon noise, w the variance of the photon noise of one speckle in one frame over
its squared mean (1 / counts),

    <y_i y_j> = S = c F + w I
    third cumulants: c3 times 2 ggg,               c3 = c^(3/2) / modes^(1/2)
    fourth cumulants: c4 times 6 cycles of gggg,   c4 = c^2 / modes

A map V of weights (symmetric, zero diagonal; sums run over pairs i < j) has the covariance with psi

    C V = off[ S V S + g * (g (2 c4 (V * g) - 2 c3 diag(r)) g) + b * (u 1' + 1 u') + photons ]
    r_i = sum_j V_ij b_ij,    u = S r - h,    h_i = c3 sum_k [g (V * g)]_ik g_ik
    photons = 2 w c3 g * (P + P') - 2 w b * (r 1' + 1 r') + w^2 b * V,    P = g (V * g)

where off[] sets the diagonal to zero. The last line is there because the noise of photons grows
with the intensity; main part, photons and their cross terms are Koppel's (Phys. Rev. A 10, 1938,
1974) where cumulants vanish. What is left out is the 4-cycle over pairs, c4 times
2 g_ik g_kj g_jl g_li: it costs n^4, and weights do without it. Uncertainties do not: `four_cycles`
adds it for a few maps.

**Solving C X = B.** Absent pairs (the diagonal, and pairs without data) leave C as rows and
columns. The main part off[S V S] is inverted exactly with them left out (`pair_precision`), and C
is one to three times its main part, whatever w: conjugate gradients end after 3 to 5 steps at 1e-3.
The inverse of S V S with absent pairs set to zero afterwards, which forgets that they do not exist,
takes 50 to 120 at w/c = 0.02.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from homodyne_cli.core.noise.pair_precision import PairPrecision, pair_precision
from homodyne_cli.dataset import FloatArray

#: Conjugate-gradient steps at most; preconditioned, a tolerance is met in far fewer.
_STEPS = 100
#: Blocks of frames over which the 4-cycle is summed, at the fourth power of their number.
_CYCLE_BLOCKS = 64
#: Photon noise over contrast beyond which what pairs share is less than 4e-4 of it.
_WHITE = 5e3


@dataclass(frozen=True)
class SpeckleCovariance:
    """C of one angle, of one speckle: divided by M it is that of the map.

    All arrays may be JAX arrays.

    Attributes
    ----------
    g1
        (n, n) signed field correlation.
    contrast, photon_noise, modes
        c, w and the number of equal modes, from 1 to 1 / c.
    present
        (n, n) 1 where a pair has data, else 0; zero on the diagonal.
    """

    g1: FloatArray
    contrast: float
    photon_noise: float
    modes: float
    present: FloatArray

    @cached_property
    def f(self) -> FloatArray:
        """(n, n) F."""
        return self.g1 * self.g1

    @property
    def is_white(self) -> bool:
        """Whether C is w^2 (1 + c F), pair by pair, as far as can be told."""
        return self.photon_noise > _WHITE * self.contrast

    @property
    def third(self) -> float:
        """c3."""
        return float(self.contrast**1.5 / self.modes**0.5)

    @property
    def fourth(self) -> float:
        """c4."""
        return self.contrast**2 / self.modes

    def apply(self, maps: FloatArray) -> FloatArray:
        """Return C V for weights V (k, n, n), on the pairs present."""
        v = maps * self.present
        return (self._main(v) + self._rest(v)) * self.present

    def apply_main(self, maps: FloatArray) -> FloatArray:
        """Return off[S V S] alone."""
        return self._main(maps * self.present) * self.present

    def apply_rest(self, maps: FloatArray) -> FloatArray:
        """Return C V less that."""
        return self._rest(maps * self.present) * self.present

    def _main(self, v: FloatArray) -> FloatArray:
        c, w = self.contrast, self.photon_noise
        right = c * (v @ self.f) + w * v
        return c * (self.f @ right) + w * right

    def _rest(self, v: FloatArray) -> FloatArray:
        g, w, third = self.g1, self.photon_noise, self.third
        b = self.contrast * self.f
        r = (v * b).sum(axis=-1)
        # The transpose of P.
        p = (v * g) @ g
        u = self.contrast * (r @ self.f) - w * r - third * (p * g).sum(axis=-2)
        cycles = g @ (2.0 * self.fourth * p - 2.0 * third * r[..., :, None] * g)
        cycles = cycles + 2.0 * w * third * (p + p.swapaxes(-1, -2))
        rest: FloatArray = g * cycles + b * (u[..., :, None] + u[..., None, :] + w * w * v)
        return rest

    def four_cycles(self, weights: FloatArray) -> FloatArray:
        """Return what the 4-cycle over pairs adds to <V, C V'> for maps V (k, n, n): (k, k).

        It is smooth, so frames are merged into 64 blocks if there are more.
        """
        summed, cycles = self._cycles_over_blocks(weights)
        i, j = np.triu_indices(cycles.shape[-1])
        # Both orders of a pair count; a block has pairs within itself.
        multiplicity = np.where(i == j, 1.0, 2.0) * summed[:, i, j]
        crossed = multiplicity @ cycles[:, i, j].T
        return np.asarray(0.25 * self.fourth * (crossed + crossed.T))

    def apply_four_cycles(self, weights: FloatArray) -> FloatArray:
        """Return what the 4-cycle adds to C V, the same for all pairs of two blocks: (k, n, n)."""
        _, cycles = self._cycles_over_blocks(weights)
        block = np.arange(len(self.g1)) // self._frames_of_a_block
        return np.asarray(self.fourth * cycles[:, block[:, None], block] * self.present)

    @property
    def _frames_of_a_block(self) -> int:
        return -(-len(self.g1) // _CYCLE_BLOCKS)

    def _cycles_over_blocks(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return V over blocks, and sum_kl g_ik g_jk V_kl g_il g_jl there: (k, m, m) both."""
        size = self._frames_of_a_block
        summed = block_sums(weights * self.present, size)
        area = block_sums(np.ones_like(self.g1), size)
        f, sign = block_sums(self.f, size) / area, np.sign(block_sums(self.g1, size))
        g = np.sqrt(f) * sign
        i, j = np.triu_indices(len(g))
        u, cycles = g[i] * g[j], np.empty_like(summed)
        for one, out in zip(summed, cycles, strict=True):
            out[i, j] = out[j, i] = ((u @ one) * u).sum(axis=-1)
        return summed, cycles

    @cached_property
    def precision(self) -> PairPrecision:
        """The inverse of the main part."""
        return pair_precision(self.f, self.contrast, self.photon_noise, self.present)

    def solve(self, maps: FloatArray, tolerance: float = 1e-3) -> FloatArray:
        """Return X with C X = B for maps B (k, n, n), zero at absent pairs.

        Parameters
        ----------
        tolerance
            Of the residual against B, in the norm of the main part's inverse. <B, X> and the
            efficiency of X as weights are right to its square.
        """
        x, residual = np.zeros_like(maps), maps * self.present
        z = self.precision.weights(residual)
        direction, rz = z, sums_over_pairs(residual, z)
        enough = tolerance**2 * rz
        for _ in range(_STEPS):
            if np.all(rz <= enough):
                break
            moved = self.apply(direction)
            step = _ratio(rz, sums_over_pairs(direction, moved))
            x, residual = x + step * direction, residual - step * moved
            z = self.precision.weights(residual)
            previous, rz = rz, sums_over_pairs(residual, z)
            direction = z + _ratio(rz, previous) * direction
        return x


def sums_over_pairs(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return <A, B> of two lists of maps, one by one: (k,)."""
    return np.asarray(0.5 * np.einsum("kij,kij->k", left, right))


def block_sums(values: FloatArray, size: int) -> FloatArray:
    """Sum over blocks of `size` rows and columns of the last axes; the last ones may be smaller."""
    for axis in (-2, -1):
        starts = np.arange(0, values.shape[axis], size)
        values = np.add.reduceat(values, starts, axis=axis) if size > 1 else values
    return values


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    safe: FloatArray = np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0.0
    )
    return np.asarray(safe[:, None, None])
