"""The pass, on the devices and on the host, against autodiff of the plain model, pair by pair."""

from __future__ import annotations

import dataclasses
import math

import jax
import numpy as np
import pytest
from scipy.optimize import least_squares

from homodyne_cli.core.gram_pass.device_tiles import pack
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.gram_pass.host_pass import evaluate_on_host, host_pairs
from homodyne_cli.core.gram_pass.losses import rho
from homodyne_cli.core.gram_pass.pass_spec import AngleGrams, AngleScaling, PairWeight
from homodyne_cli.core.gram_pass.tile_sums import _sinc_and_slope
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import AnalysisMode, Convention, Loss
from tests.support.datasets import PUBLISHED, make_dataset
from tests.support.oracle import autodiff_columns

CONVENTIONS: tuple[Convention, ...] = ("he2024", "homodyne-2")


def changed(**values: float) -> FloatArray:
    names = ["D0", "alpha", "D_offset", "gamma_dot_t0", "beta", "gamma_dot_t_offset", "phi0"]
    out = PUBLISHED.copy()
    for name, value in values.items():
        out[names.index(name)] = value
    return out


def worst_disagreement(dataset: Dataset, parameters: FloatArray, convention: Convention) -> float:
    """Largest |pass - plain| over the Gram matrix, relative to sqrt(G_kk G_ll)."""
    mode: AnalysisMode = "laminar_flow" if len(parameters) == 7 else "static"
    columns = autodiff_columns(dataset, parameters, convention)
    spec = PassSpec(mode, convention)
    pairs = host_pairs(dataset)
    answers = evaluate(pack(dataset), spec, parameters), evaluate_on_host(pairs, spec, parameters)
    return max(disagreement(dataset, result, columns.copy()) for result in answers)


def disagreement(dataset: Dataset, result: AngleGrams, columns: FloatArray) -> float:
    fitted = np.isfinite(np.asarray(dataset.c2, dtype=float))
    upper = np.triu_indices(dataset.n_frames, 1)
    columns[:, -1] -= result.shift[:, None]
    columns *= fitted[:, upper[0], upper[1]][:, None]
    plain = np.einsum("akp,alp->akl", columns, columns)
    norm = np.sqrt(np.einsum("akk->ak", plain))
    scale = norm[:, :, None] * norm[:, None, :]
    difference = np.abs(result.gram - plain)
    assert np.all(difference[scale == 0.0] == 0.0)
    return float(np.max(difference / np.where(scale == 0.0, 1.0, scale)))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("n", [3, 49, 50, 51, 103])
def test_gram_matches_autodiff_at_odd_sizes(convention: Convention, n: int) -> None:
    assert worst_disagreement(make_dataset(n, 3), PUBLISHED, convention) < 1e-9


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gram_matches_autodiff_with_masked_pairs(convention: Convention) -> None:
    data = make_dataset(77, 4, masked=5000, spread=0.1)
    assert worst_disagreement(data, PUBLISHED, convention) < 1e-9


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(
    "values",
    [
        {"alpha": -1.0, "beta": -1.0},
        {"alpha": -1.0 + 1e-9, "beta": -1.0 - 1e-9},
        {"alpha": -0.9, "beta": -1.1},
        {"alpha": 0.0, "beta": 0.0},
        {"alpha": -2.0, "beta": -2.0},
        {"alpha": 2.0, "beta": 2.0, "D0": 1.0, "gamma_dot_t0": 1e-6},
        {"gamma_dot_t0": 1e-6, "gamma_dot_t_offset": 0.0},
        {"gamma_dot_t0": 0.5, "gamma_dot_t_offset": 0.1},
        {"D0": 1.0, "D_offset": 0.0},
        {"D_offset": -4000.0},
        {"phi0": -88.0},
    ],
    ids=str,
)
def test_gram_matches_autodiff_over_parameter_space(
    convention: Convention, values: dict[str, float]
) -> None:
    assert worst_disagreement(make_dataset(64, 3), changed(**values), convention) < 1e-9


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gram_matches_autodiff_without_any_shear_phase(convention: Convention) -> None:
    # phi0 - phi = 90 degrees makes kappa vanish (to rounding); a gap of 0 makes it exactly 0.
    perpendicular = make_dataset(60, 2, phi=np.array([PUBLISHED[-1] - 90.0, 10.0]))
    assert worst_disagreement(perpendicular, PUBLISHED, convention) < 1e-9
    flat = dataclasses.replace(make_dataset(60, 2), gap=0.0)
    assert worst_disagreement(flat, PUBLISHED, convention) < 1e-9


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_static_gram_matches_autodiff(convention: Convention) -> None:
    data = make_dataset(71, 2, masked=300)
    assert worst_disagreement(data, PUBLISHED[:3], convention) < 1e-9


def test_pass_is_the_same_with_float32_storage_of_the_same_values() -> None:
    single = make_dataset(60, 2, single=True)
    double = dataclasses.replace(single, c2=np.asarray(single.c2, dtype=np.float64))
    kind = PassSpec("laminar_flow", "he2024")
    a = evaluate(pack(single), kind, PUBLISHED).gram
    b = evaluate(pack(double), kind, PUBLISHED).gram
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def test_noise_map_weights_pairs() -> None:
    rng = np.random.default_rng(3)
    data = make_dataset(40, 2)
    sigma = rng.uniform(0.03, 0.12, data.c2.shape)
    columns = autodiff_columns(data, PUBLISHED, "he2024")
    upper = np.triu_indices(40, 1)
    weight = sigma[:, upper[0], upper[1]] ** -2.0
    weight /= weight.mean(axis=1, keepdims=True)
    result = evaluate(
        pack(dataclasses.replace(data, sigma=sigma)), PassSpec("laminar_flow", "he2024"), PUBLISHED
    )
    columns[:, -1] -= result.shift[:, None]
    plain = np.einsum("ap,akp,alp->akl", weight, columns, columns)
    norm = np.sqrt(np.einsum("akk->ak", plain))
    assert np.max(np.abs(result.gram - plain) / (norm[:, :, None] * norm[:, None, :])) < 1e-9


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
@pytest.mark.parametrize("role", ["irls", "curvature", "score"])
def test_robust_pass_matches_plain_weights(loss: str, role: str) -> None:
    data = make_dataset(40, 2, masked=100)
    scaling = AngleScaling(np.full(2, 0.28), np.full(2, 1.1), np.full(2, 0.05))
    columns = autodiff_columns(data, PUBLISHED, "he2024")
    upper = np.triu_indices(40, 1)
    fitted = np.isfinite(data.array[:, upper[0], upper[1]])
    z = ((columns[:, -1] - 0.28 * columns[:, -3] - 1.1) / 0.05) ** 2
    value, first, second = (np.asarray(v) for v in rho(loss, z))  # type: ignore[arg-type]
    weight = {"irls": first, "curvature": first + 2 * z * second, "score": first**2}[role]
    kind = PassSpec("laminar_flow", "he2024", weight=PairWeight(loss, role))  # type: ignore[arg-type]
    result = evaluate(pack(data), kind, PUBLISHED, scaling)
    np.testing.assert_allclose(result.loss, (value * fitted).sum(axis=1), rtol=1e-12)
    columns[:, -1] -= result.shift[:, None]
    columns *= fitted[:, None]
    plain = np.einsum("ap,akp,alp->akl", weight, columns, columns)
    absolute = np.einsum("ap,akp,akp->ak", np.abs(weight), columns, columns) ** 0.5
    assert np.max(np.abs(result.gram - plain) / (absolute[:, :, None] * absolute[:, None])) < 1e-9


def test_cost_pass_agrees_with_full_pass() -> None:
    data = make_dataset(90, 3, masked=200)
    tiles = pack(data)
    full = evaluate(tiles, PassSpec("laminar_flow", "he2024"), PUBLISHED)
    cost = evaluate(tiles, PassSpec("laminar_flow", "he2024", derivatives=False), PUBLISHED)
    np.testing.assert_allclose(cost.gram, full.gram[:, -3:, -3:], rtol=1e-12)


def test_decimated_frames_give_the_gram_of_those_pairs() -> None:
    data = make_dataset(90, 2)
    frames = np.array([0, 3, 4, 11, 30, 55, 56, 89])
    columns = autodiff_columns(data, PUBLISHED, "homodyne-2")
    upper = np.triu_indices(90, 1)
    chosen = np.isin(upper[0], frames) & np.isin(upper[1], frames)
    result = evaluate(pack(data, frames=frames), PassSpec("laminar_flow", "homodyne-2"), PUBLISHED)
    columns = columns[..., chosen]
    columns[:, -1] -= result.shift[:, None]
    plain = np.einsum("akp,alp->akl", columns, columns)
    norm = np.sqrt(np.einsum("akk->ak", plain))
    assert np.max(np.abs(result.gram - plain) / (norm[:, :, None] * norm[:, None, :])) < 1e-9


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy", "arctan"])
def test_losses_are_those_of_scipy_and_their_derivatives_those_of_autodiff(loss: Loss) -> None:
    """Of one residual least_squares has the cost rho(z) / 2; on either side of Huber's edge."""
    z = np.array([0.0, 0.01, 0.7, 1.3, 20.0, 4e4])
    value, first, second = rho(loss, jnp.asarray(z))

    def cost(one: float) -> float:
        def residual(x: FloatArray) -> FloatArray:
            return np.asarray(np.sqrt(one) + 0.0 * x)

        return float(least_squares(residual, [0.0], loss=loss, max_nfev=1).cost)

    def value_at(x: jax.Array) -> jax.Array:
        return rho(loss, x)[0]

    def first_at(x: jax.Array) -> jax.Array:
        return rho(loss, x)[1]

    np.testing.assert_allclose(value, [2.0 * cost(one) for one in z.tolist()], rtol=1e-12)
    for derivative, of in ((first, value_at), (second, first_at)):
        slopes = jax.vmap(jax.grad(of))(jnp.asarray(z))
        np.testing.assert_allclose(derivative, slopes, rtol=1e-12)


def test_sinc_and_its_slope_are_their_series() -> None:
    """Term by term up to h^40, on both sides of where the pass takes over from its own series."""
    h = np.concatenate([[0.0, 1e-9, 1e-4], np.linspace(-2.0, 2.0, 401)])
    value, slope = _sinc_and_slope(jnp.asarray(h), jnp.sin(h), jnp.cos(h))
    powers = [((-1) ** k, 2 * k, math.factorial(2 * k + 1)) for k in range(21)]
    plain = [math.fsum(s * x**n / f for s, n, f in powers) for x in h.tolist()]
    turned = [math.fsum(s * n * x ** (n - 1) / f for s, n, f in powers[1:]) for x in h.tolist()]
    np.testing.assert_allclose(value, plain, rtol=1e-15 * 4)
    # cos(h) - sin(h) / h loses a digit or two at h = 1/4.
    np.testing.assert_allclose(slope, turned, rtol=1e-13, atol=1e-15)
