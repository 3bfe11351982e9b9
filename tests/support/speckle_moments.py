"""Moments of speckle intensities by brute force: cumulants, set partitions, one term at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

import numpy as np

from homodyne_cli.dataset import FloatArray

Frames = tuple[int, ...]


@dataclass(frozen=True)
class BrightSpeckle:
    """One intensity over the frames, y = I / mean - 1: equal modes over a background, photons.

    Attributes
    ----------
    g1
        (n, n) field correlation.
    contrast, photon_noise
        Variance of y without photons, and what Poisson noise adds to it.
    modes
        Equal modes, each |E|^2 of a complex Gaussian field.
    """

    g1: FloatArray
    contrast: float
    photon_noise: float
    modes: float

    def cumulant(self, frames: Frames) -> float:
        """Return the joint cumulant without photons: a sum over cyclic orders of the fields.

        With N modes of mean m each above a background, N m^2 is the contrast.
        """
        first, *rest = frames
        order = len(frames)
        if order == 1:
            return 0.0
        mean = np.sqrt(self.contrast / self.modes)
        total = 0.0
        for way in permutations(rest):
            ring = (first, *way, first)
            total += float(np.prod([self.g1[a, b] for a, b in pairwise(ring)]))
        return float(self.modes * mean**order * total)

    def _smooth_moment(self, frames: Frames) -> float:
        return sum(
            float(np.prod([self.cumulant(part) for part in parts]))
            for parts in set_partitions(frames)
        )

    def moment(self, frames: Frames) -> float:
        """Return the mean product of y over frames, none of them more than twice.

        Of a frame that stands twice Poisson gives <y^2 | I> = z^2 + w (1 + z), z without photons.
        """
        terms: list[tuple[float, Frames]] = [(1.0, ())]
        for frame, times in Counter(frames).items():
            w = self.photon_noise
            choices: list[tuple[float, Frames]] = [(1.0, (frame,) * times)]
            if times == 2:
                choices += [(w, ()), (w, (frame,))]
            terms = [(a * b, x + y) for a, x in terms for b, y in choices]
        return sum(factor * self._smooth_moment(at) for factor, at in terms)

    def covariance(self, first: Frames, second: Frames) -> float:
        """Return the covariance of y_i y_j - b_ij (y_i + y_j) at two pairs."""
        parts = []
        for i, j in (first, second):
            b = self.contrast * self.g1[i, j] ** 2
            parts.append([(1.0, (i, j)), (-b, (i,)), (-b, (j,))])
        means = [sum(c * self.moment(at) for c, at in part) for part in parts]
        both = sum(c * d * self.moment(a + b) for c, a in parts[0] for d, b in parts[1])
        return float(both - means[0] * means[1])

    def four_cycle(self, first: Frames, second: Frames) -> float:
        """Return the part of it in which the two frames of a pair are never neighbours."""
        (i, j), (k, m) = first, second
        g = self.g1
        ring = g[i, k] * g[k, j] * g[j, m] * g[m, i]
        return float(2.0 * self.contrast**2 / self.modes * ring)


def set_partitions(items: Sequence[int]) -> Iterator[list[Frames]]:
    """Yield all ways to part a list into groups."""
    if not items:
        yield []
        return
    first, *rest = items
    for parts in set_partitions(rest):
        yield [(first,), *parts]
        for k, part in enumerate(parts):
            yield [*parts[:k], (first, *part), *parts[k + 1 :]]
