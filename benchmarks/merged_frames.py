"""What blocks of frames, and eigenvectors left out, lose of what best weights can tell.

Five angles of drawn speckles; for each number of frames the uncertainties stated at the truth, with
frames merged into blocks, or with fewer or more eigenvectors of F, over those of the program's
choice for every frame by itself. D0 alpha gamma_dot_t0 beta phi0.

    python -m benchmarks.merged_frames [--frames 300,600,1000]
"""

from __future__ import annotations

import argparse
from typing import Final
from unittest.mock import patch

import numpy as np

from benchmarks.best_weights import experiment_of, problem_of
from benchmarks.speckle_verdicts import TRUTH, Setting
from homodyne_cli.core.noise import pair_precision
from homodyne_cli.core.noise.angle_data import angle_data
from homodyne_cli.core.noise.best_objective import best_objective
from homodyne_cli.core.numerics.arrow import invert
from homodyne_cli.core.objective.build import build_objective
from homodyne_cli.core.objective.pair_objective import PairObjective
from homodyne_cli.core.simulation import Noise, simulate
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.noise_report import SpeckleWeights

SETTING: Final = Setting(300, 5, 0.3, 1500, 2.0)
#: Frames of a block, and the least eigenvalue of c F that is kept over w.
CHOICES: Final = ((1, 0.1), (1, 0.003), (1, 0.3), (2, 0.1), (3, 0.1), (5, 0.1), (9, 0.1))


def stated(
    dataset: Dataset, pairs: PairObjective, size: int, strong: float
) -> tuple[FloatArray, int]:
    """Return uncertainties (p,) and the eigenvectors of the first angle."""
    n, angles = dataset.n_frames, range(dataset.n_phi)
    weights = SpeckleWeights(
        parameters=tuple(TRUTH.tolist()),
        contrast=(SETTING.contrast,) * len(angles),
        photon_noise=(1.0 / SETTING.counts,) * len(angles),
        n_speckles=(float(SETTING.speckles),) * len(angles),
        modes=1.0 / SETTING.contrast,
        excess=0.0,
    )
    read = [data for a in angles if (data := angle_data(dataset, a, -(-n // size))) is not None]
    with patch.object(pair_precision, "_STRONG", strong):
        objective = best_objective(dataset, pairs, weights, read)
    scores = objective.scores(TRUTH[pairs.places])
    spread = invert(scores.at.hessian).sandwich(scores.variance).head
    rank = objective.angles[0].metric().precision.vectors.shape[1]
    return np.sqrt(np.diag(spread))[: len(pairs.places)], rank


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--frames", default="300,600,1000")
    for frames in map(int, parser.parse_args().frames.split(",")):
        setting = SETTING._replace(frames=frames)
        noise = Noise(0.0, setting.speckles, setting.counts)
        data = simulate(experiment_of(setting), noise, 0).dataset
        pairs = build_objective(data, problem_of("best"), np.full(setting.angles, 0.02))
        whole, _ = stated(data, pairs, *CHOICES[0])
        for size, strong in CHOICES:
            uncertainty, rank = stated(data, pairs, size, strong)
            ratios = " ".join(f"{r:.3f}" for r in uncertainty / whole)
            print(f"{frames} frames, blocks of {size}, above {strong} w: {rank} vectors, {ratios}")


if __name__ == "__main__":
    main()
