"""What is only another way of writing an experiment down changes no parameter; extremes are told.

Fits end at the same minimum, found to rounding: parameters and uncertainties agree to a millionth
of a sigma and of themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.inputs.examine import examined
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import HomodyneError
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.parameters import NAMES
from homodyne_cli.problem import Bounds, DataSelection, FitProblem, InitialParameters, SolverOptions
from homodyne_cli.results import FitResult
from tests.support.datasets import RESOLVED, make_dataset

N, PHI = 40, np.array([-20.0, 10.0, 35.0, 80.0])
SIGMA = 0.01
#: Of the minimum: chi2 has nothing left to gain that double precision could tell.
EXACT = SolverOptions(ftol=1e-14, xtol=1e-14, gtol=1e-14, global_search=False)


def data_of(parameters: FloatArray = RESOLVED, *, phi: FloatArray = PHI, n: int = N) -> Dataset:
    data = make_dataset(n, len(phi), seed=1, parameters=parameters, noise=SIGMA, phi=phi)
    return replace(data, sigma=np.full(len(phi), SIGMA))


def problem_at(
    start: FloatArray, *, fixed: Mapping[str, float] | None = None, **bounds: tuple[float, float]
) -> FitProblem:
    """A descent from `start`, within bounds that are far off unless they are given."""
    far = {name: Bounds(-1e12, 1e12) for name in NAMES}
    far |= {"D0": Bounds(1e-12, 1e15), "gamma_dot_t0": Bounds(1e-15, 1e12)}
    far |= {"alpha": Bounds(-2.0, 2.0), "beta": Bounds(-2.0, 2.0), "phi0": Bounds(-90.0, 90.0)}
    far |= {name: Bounds(*ends) for name, ends in bounds.items()}
    initial = InitialParameters(dict(zip(NAMES, start.tolist(), strict=True)), fixed=fixed or {})
    return FitProblem("laminar_flow", initial=initial, bounds=far, weights="equal", solver=EXACT)


def fitted(data: Dataset, start: FloatArray = RESOLVED) -> FitResult:
    result = fit(data, problem_at(start))
    assert result.converged, result.message
    return result


@pytest.fixture(scope="module")
def data() -> Dataset:
    return data_of()


@pytest.fixture(scope="module")
def result(data: Dataset) -> FitResult:
    return fitted(data)


def assert_same(
    result: FitResult, other: FitResult, units: FloatArray | None = None, tolerance: float = 1e-6
) -> None:
    """Compare in sigmas; `units` are those of the other's parameters in terms of the first's."""
    scale = np.ones(7) if units is None else units
    sigma = np.array([p.uncertainty for p in result.parameters])
    others = np.array([p.uncertainty for p in other.parameters]) * scale
    apart = np.abs(other.values * scale - result.values) / sigma
    assert apart.max() < tolerance, dict(zip(NAMES, apart.tolist(), strict=True))
    np.testing.assert_allclose(others, sigma, rtol=max(tolerance, 1e-6))
    assert other.chi2 == pytest.approx(result.chi2, rel=1e-9)


def test_angles_in_another_order(data: Dataset, result: FitResult) -> None:
    order = np.array([2, 0, 3, 1])
    other = fitted(replace(data, c2=data.array[order], phi=data.phi[order]))
    assert_same(result, other)
    np.testing.assert_allclose(other.contrast, result.contrast[order], rtol=1e-9)
    np.testing.assert_allclose(other.offset_uncertainty, result.offset_uncertainty[order])


@pytest.mark.parametrize("unit", [1e-3, 60.0])
def test_other_units_of_time(data: Dataset, result: FitResult, unit: float) -> None:
    """Times in units of `unit` seconds: rates per unit of time, t**exponent to its power."""

    def units(p: FloatArray) -> FloatArray:
        one = 1.0 / unit
        amplitudes = [one * unit ** -p[1], one * unit ** -p[4]]
        return np.array([amplitudes[0], 1.0, one, amplitudes[1], 1.0, one, 1.0])

    other = fitted(replace(data, t=data.t / unit, dt=data.dt / unit), RESOLVED / units(RESOLVED))
    # An amplitude is a rate at the unit of time: it is known as well as what it leads to there.
    np.testing.assert_allclose(other.values[[1, 4, 6]], result.values[[1, 4, 6]], rtol=1e-6)
    np.testing.assert_allclose(
        other.values * units(result.values), result.values, rtol=1e-5, atol=1e-12
    )
    places = [1, 2, 4, 5, 6]
    sigma, others = (np.array([p.uncertainty for p in r.parameters]) for r in (result, other))
    scaled = others * units(result.values)
    np.testing.assert_allclose(scaled[places], sigma[places], rtol=1e-5)
    assert other.chi2 == pytest.approx(result.chi2, rel=1e-9)


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_shear_follows_from_q_times_the_gap(
    data: Dataset, result: FitResult, factor: float
) -> None:
    """A larger q and as much smaller a gap: the same shear, D as 1/q^2."""
    assert data.gap is not None
    units = np.array([factor**2, 1.0, factor**2, 1.0, 1.0, 1.0, 1.0])
    other = replace(data, q=data.q * factor, gap=data.gap / factor)
    assert_same(result, fitted(other, RESOLVED / units), units)


Stored = Callable[[FloatArray], np.ndarray]
#: How a file may hold the same maps.
WAYS: dict[str, tuple[Stored, dict[str, object]]] = {
    "transposed": (lambda c2: c2.swapaxes(1, 2), {}),
    "upper half": (lambda c2: np.triu(c2), {}),
    "lower half": (lambda c2: np.tril(c2), {}),
    "chunks": (lambda c2: c2, {"chunks": (1, 7, 11), "compression": "gzip", "shuffle": True}),
    "big-endian": (lambda c2: c2.astype(">f8"), {}),
    "rows contiguous in memory": (lambda c2: np.asfortranarray(c2), {}),
}


def written(path: Path, data: Dataset, stored: np.ndarray, **options: object) -> DataSelection:
    """Write whole maps, of which the dataset lacks the first frame, as a plain file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("c2", data=stored, **options)
        file["phi"], file["q"], file["dt"] = data.phi, data.q[0], data.dt
    return DataSelection(path=path, gap=data.gap, sigma=SIGMA)


def whole_maps(data: Dataset) -> FloatArray:
    """Symmetric maps with the first frame, whose pairs are not fitted."""
    n = data.n_frames + 1
    c2 = np.full((data.n_phi, n, n), 1.2)
    c2[:, 1:, 1:] = np.triu(data.array, 1) + np.triu(data.array, 1).swapaxes(1, 2)
    c2[:, range(n), range(n)] = 1.4
    return c2


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_store_maps(data: Dataset, tmp_path: Path, way: str) -> None:
    """Values i < j are the same bits, and so is all that follows from them."""
    change, options = WAYS[way]
    selection = written(tmp_path / "a.h5", data, change(whole_maps(data)), **options)
    read = read_dataset(selection, "laminar_flow")
    i, j = np.triu_indices(read.n_frames, 1)
    np.testing.assert_array_equal(read.array[:, i, j], data.array[:, i, j])
    np.testing.assert_allclose(read.t, data.t, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["f2", ">f2", "f4", ">f4", "i4", ">i2", "u1"])
def test_types_of_numbers(data: Dataset, tmp_path: Path, dtype: str) -> None:
    """Whatever the file's type holds is what is fitted: nothing is lost or gained in reading."""
    stored = whole_maps(data).astype(dtype)
    read = read_dataset(written(tmp_path / "a.h5", data, stored), "laminar_flow")
    i, j = np.triu_indices(read.n_frames, 1)
    expected = stored[:, 1:, 1:][:, i, j].astype(float)
    np.testing.assert_array_equal(read.array[:, i, j].astype(float), expected)


def test_half_precision_is_as_good_as_its_rounding(data: Dataset, result: FitResult) -> None:
    """Numbers near 1 have three decimals: a rounding of a twentieth of the noise."""
    rounded = fitted(replace(data, c2=data.array.astype(np.float16).astype(float)))
    sigma = np.array([p.uncertainty for p in result.parameters])
    assert np.abs((rounded.values - result.values) / sigma).max() < 0.5


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_value_that_is_no_number_is_one_pair_less(
    data: Dataset, result: FitResult, tmp_path: Path, value: float
) -> None:
    c2 = whole_maps(data)
    c2[1, 5, 12] = c2[1, 12, 5] = value
    read = read_dataset(written(tmp_path / "a.h5", data, c2), "laminar_flow")
    assert read.n_masked == 1
    other = fitted(read)
    assert other.n_points == result.n_points - 1
    sigma = np.array([p.uncertainty for p in result.parameters])
    assert np.abs((other.values - result.values) / sigma).max() < 0.5


def _one(c2: FloatArray, value: float) -> FloatArray:
    c2[1, 5, 12] = c2[1, 12, 5] = value
    return c2


HOSTILE: dict[str, Callable[[FloatArray], FloatArray]] = {
    "all 1e30": lambda c2: c2 * 1e30,
    "all 1e-30": lambda c2: c2 * 1e-30,
    "one 1e30": lambda c2: _one(c2, 1e30),
    "one 1e300": lambda c2: _one(c2, 1e300),
    "one negative": lambda c2: _one(c2, -3.0),
    "negative": lambda c2: -c2,
    "zero": lambda c2: 0.0 * c2,
    "constant": lambda c2: 0.0 * c2 + 1.1,
    "counts": lambda c2: np.rint(1e4 * c2),
    "one frame alike": lambda c2: np.where(np.arange(c2.shape[1])[:, None] == 9, 1.3, c2),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_values_are_fitted_or_refused(data: Dataset, tmp_path: Path, kind: str) -> None:
    """A result whose figures are numbers or said to be unknown, or an error with a hint."""
    selection = written(tmp_path / "a.h5", data, HOSTILE[kind](whole_maps(data)))
    selection = replace(selection, sigma=None)
    asked = replace(problem_at(RESOLVED), weights="auto")
    refusal: HomodyneError | None = None
    try:
        read = examined(read_dataset(selection, "laminar_flow"), asked)
        told = fit(read, asked)
    except HomodyneError as error:
        refusal = error
    if refusal is not None:
        assert refusal.exit_code in (2, 3)
        assert refusal.hint
        return
    assert np.isfinite(told.values).all()
    assert np.isfinite(told.contrast).all()
    assert np.isfinite(told.offset).all()
    assert not told.converged or np.isfinite(told.chi2)


@pytest.mark.parametrize("exponent", ["alpha", "beta"])
@pytest.mark.parametrize("value", [-1.0, -2.0, 2.0])
def test_exponents_at_minus_one_and_at_bounds(exponent: str, value: float) -> None:
    """The closed form has no gap at -1; a truth at a bound is found there or within the noise."""
    place = NAMES.index(exponent)
    truth = RESOLVED.copy()
    # The same rate in the middle of the window.
    truth[place - 1] *= (N * 0.1 / 2.0) ** (RESOLVED[place] - value)
    truth[place] = value
    solver = SolverOptions(global_search=False)
    found = fit(data_of(truth), replace(problem_at(truth), solver=solver))
    assert found.converged, found.message
    row = found.parameters[place]
    if row.at_bound:
        assert row.value == pytest.approx(value, rel=1e-12)
    else:
        assert abs(row.value - value) < 4.0 * row.uncertainty
    assert np.isfinite([p.value for p in found.parameters]).all()


def test_a_start_at_minus_one_is_no_trap(data: Dataset, result: FitResult) -> None:
    start = RESOLVED.copy()
    start[[1, 4]] = -1.0
    found = fit(data, replace(problem_at(start), solver=replace(EXACT, global_search=True)))
    assert_same(result, found, tolerance=1e-4)


@pytest.mark.parametrize("phi", [[0.0], [20.0, 200.0]], ids=["one angle", "two, opposite"])
def test_angles_that_do_not_tell_the_direction_of_the_flow(phi: list[float]) -> None:
    """|cos(phi0 - phi)| is all that acts: alone, or against the shear, phi0 is said to be open."""
    asked = problem_at(RESOLVED, fixed={"D_offset": RESOLVED[2]})
    found = fit(data_of(phi=np.array(phi)), asked)
    assert found.converged, found.message
    row = {p.name: p for p in found.parameters}
    (line,) = found.undetermined
    assert "phi0" in line
    assert np.isnan(row["phi0"].uncertainty)
    assert np.isnan(row["gamma_dot_t0"].uncertainty) == ("gamma_dot_t0" in line)
    for name, truth in (("D0", RESOLVED[0]), ("alpha", RESOLVED[1])):
        assert abs(row[name].value - truth) < 4.0 * row[name].uncertainty


def test_opposite_angles_are_one_angle_measured_twice() -> None:
    """sinc^2 is even, so that the same map belongs to phi and phi + 180."""
    one = data_of(phi=np.array([10.0, 60.0]))
    turned = replace(one, phi=one.phi + np.array([0.0, 180.0]))
    assert_same(fitted(one), fitted(turned))


def test_a_thousand_angles_of_ten_frames() -> None:
    phi = np.linspace(-90.0, 90.0, 1000)
    solver = SolverOptions(global_search=False)
    found = fit(data_of(phi=phi, n=10), replace(problem_at(RESOLVED), solver=solver))
    assert found.n_points == 1000 * 10 * 9 // 2
    sigma = np.array([p.uncertainty for p in found.parameters])
    determined = [NAMES.index(p.name) for p in found.parameters if p.name not in found.undetermined]
    assert np.abs((found.values - RESOLVED) / sigma)[determined].max() < 4.0
