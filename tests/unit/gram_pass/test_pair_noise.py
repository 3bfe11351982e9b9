"""Noise per pair beside masked pairs: chi2, sums and the fit against the plain model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.gram_pass.losses import rho
from homodyne_cli.core.gram_pass.pass_spec import AngleScaling, PairWeight
from homodyne_cli.core.noise.find_speckles import SpecklesSeen
from homodyne_cli.core.noise.speckle_estimate import SpeckleEstimate
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.core.objective.build import build_objective, dataset_sigma
from homodyne_cli.core.uncertainty.speckle_noise import speckle_noise
from homodyne_cli.dataset import Dataset, FloatArray, IndexArray
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.oracle import autodiff_columns, model_values
from tests.support.problems import make_problem

#: Frames of which some tile has none, some all and some a part.
FRAMES = 103


def noisy(*, frame: int | None = 20, holes: str = "data") -> Dataset:
    """Maps whose noise differs from pair to pair, with a frame and 500 pairs masked.

    `holes` says by what: NaN in the data, or zero or NaN in the noise.
    """
    rng = np.random.default_rng(3)
    data = make_dataset(FRAMES, 3, spread=0.1)
    sigma = rng.uniform(0.03, 0.12, data.c2.shape)
    where = np.zeros(data.c2.shape, dtype=bool)
    where.reshape(-1)[rng.integers(0, where.size, 500)] = True
    if frame is not None:
        where[:, frame], where[:, :, frame] = True, True
    c2 = data.array.copy()
    if holes == "data":
        c2[where] = np.nan
    else:
        sigma[where] = {"zero": 0.0, "nan": np.nan}[holes]
    return replace(data, c2=c2, sigma=sigma)


def fitted_pairs(data: Dataset, frames: IndexArray | None = None) -> tuple[np.ndarray, FloatArray]:
    """Whether each pair counts, and 1/sigma^2 where it does: (n_phi, pairs) each."""
    assert data.sigma is not None
    i, j = np.triu_indices(data.n_frames, 1)
    sigma = data.sigma[:, i, j]
    fitted = np.isfinite(data.array[:, i, j]) & np.isfinite(sigma) & (sigma > 0.0)
    if frames is not None:
        fitted &= np.isin(i, frames) & np.isin(j, frames)
    return fitted, np.where(fitted, 1.0, 0.0) / np.where(fitted, sigma, 1.0) ** 2


def plain_chi2(data: Dataset, parameters: FloatArray, frames: IndexArray | None = None) -> float:
    """Chi2 at the best contrast and offset of each angle, by a least-squares fit pair by pair."""
    i, j = np.triu_indices(data.n_frames, 1)
    f = model_values(parameters, data.t, data.phi, data.q, data.gap or 0.0, "he2024")[:, i, j]
    fitted, inverse = fitted_pairs(data, frames)
    total = 0.0
    for a in range(data.n_phi):
        keep, root = fitted[a], np.sqrt(inverse[a][fitted[a]])
        columns = np.stack([f[a][keep], np.ones(keep.sum())], axis=1) * root[:, None]
        y = data.array[a, i, j][keep] * root
        best = np.linalg.lstsq(columns, y, rcond=None)[0]
        total += float(np.sum((columns @ best - y) ** 2))
    return total


@pytest.mark.parametrize("holes", ["data", "zero", "nan"])
def test_sums_leave_out_what_is_masked(holes: str) -> None:
    data = noisy(holes=holes)
    columns = autodiff_columns(data, PUBLISHED, "he2024")
    tiles = pack(data)
    result = evaluate(tiles, PassSpec("laminar_flow", "he2024"), PUBLISHED)
    fitted, inverse = fitted_pairs(data)
    # Weights are relative to their mean over the fitted pairs of an angle.
    weight = inverse * (fitted.sum(axis=1) / inverse.sum(axis=1))[:, None]
    columns[:, -1] -= result.shift[:, None]
    columns = np.where(fitted[:, None], columns, 0.0)
    plain = np.einsum("ap,akp,alp->akl", weight, columns, columns)
    norm = np.sqrt(np.einsum("akk->ak", plain))
    assert np.max(np.abs(result.gram - plain) / (norm[:, :, None] * norm[:, None, :])) < 1e-9
    assert tiles.n_points == fitted.sum()


@pytest.mark.parametrize("holes", ["data", "zero", "nan"])
@pytest.mark.parametrize("frames", [None, np.arange(0, FRAMES, 4)], ids=["all", "decimated"])
def test_chi2_is_that_of_the_fitted_pairs(holes: str, frames: IndexArray | None) -> None:
    data = noisy(holes=holes)
    objective = build_objective(data, make_problem(), dataset_sigma(data), frames)
    plain = plain_chi2(data, PUBLISHED, frames)
    assert objective.cost(PUBLISHED) == pytest.approx(plain, rel=1e-9)
    assert objective.derivatives(PUBLISHED).chi2 == pytest.approx(plain, rel=1e-9)
    np.testing.assert_allclose(objective.costs(PUBLISHED[None]), plain, rtol=1e-9)


@pytest.mark.parametrize("holes", ["data", "zero"])
def test_robust_losses_leave_out_what_is_masked(holes: str) -> None:
    data = noisy(holes=holes)
    sigma = dataset_sigma(data)
    scaling = AngleScaling(np.full(3, 0.28), np.full(3, 1.1), sigma)
    i, j = np.triu_indices(FRAMES, 1)
    f = model_values(PUBLISHED, data.t, data.phi, data.q, 2e6, "he2024")[:, i, j]
    fitted, inverse = fitted_pairs(data)
    y = np.where(fitted, data.array[:, i, j], 0.0)
    plain = np.asarray(rho("cauchy", jnp.asarray(inverse * (y - 0.28 * f - 1.1) ** 2))[0]) * fitted
    kind = PassSpec("laminar_flow", "he2024", weight=PairWeight("cauchy"))
    result = evaluate(pack(data), kind, PUBLISHED, scaling)
    np.testing.assert_allclose(result.loss, plain.sum(axis=1), rtol=1e-9)


@pytest.mark.parametrize("holes", ["zero", "nan"])
def test_pairs_without_noise_are_as_pairs_without_data(holes: str) -> None:
    """Fit, chi2 and the scores of speckles do not know which of the two masked a pair."""
    by_data, by_noise = noisy(), noisy(holes=holes)
    problem = make_problem(start=tuple(PUBLISHED))
    one, other = fit(by_data, problem), fit(by_noise, problem)
    assert one.n_points == other.n_points
    assert one.chi2 == pytest.approx(other.chi2, rel=1e-9)
    assert one.reduced_chi2 == pytest.approx(1.0, abs=0.1)
    for mine, its in zip(one.parameters, other.parameters, strict=True):
        assert mine.value == pytest.approx(its.value, abs=1e-6 * mine.uncertainty)
    scores, w = [], np.ones(3)
    seen = SpecklesSeen(SpeckleEstimate(500.0, 50.0, w, 0.1 * w, 1.0, 0.0, np.ones(3)), 0.0)
    for data in (by_data, by_noise):
        objective = build_objective(data, problem, dataset_sigma(data))
        at = objective.derivatives(PUBLISHED)
        scores.append(speckle_noise(data, objective, PUBLISHED, at, seen).scores)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-9)


def test_a_masked_frame_is_as_if_its_noise_were_huge() -> None:
    """What the sums leave out must be what a weight of 1e-12 leaves out: to 1e-6 of sigma."""
    masked, weightless = noisy(), noisy(frame=None)
    assert weightless.sigma is not None
    weightless.sigma[:, 20], weightless.sigma[:, :, 20] = 1e5, 1e5
    problem = make_problem(start=tuple(PUBLISHED))
    one, other = fit(masked, problem), fit(weightless, problem)
    for mine, its in zip(one.parameters, other.parameters, strict=True):
        assert mine.value == pytest.approx(its.value, abs=1e-6 * mine.uncertainty)
        assert mine.uncertainty == pytest.approx(its.uncertainty, rel=1e-6)
