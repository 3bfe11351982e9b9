"""What is doubtful in an input is said, with the words that mend it, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from homodyne_cli.core.fit import fit
from homodyne_cli.core.inputs.examine import examine
from homodyne_cli.dataset import Dataset, FloatArray, Stated
from homodyne_cli.errors import FitError
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.parameters import Loss
from homodyne_cli.problem import FitProblem, SolverOptions
from tests.support.datasets import RESOLVED, make_dataset

GOOD = make_dataset(60, 4, parameters=RESOLVED, noise=0.02)
PROBLEM = FitProblem("laminar_flow")
KNOWN = Stated(dt=0.1, n_phi=4, units=frozenset({"q", "phi"}))


def found(dataset: Dataset, problem: FitProblem = PROBLEM) -> dict[Code, Finding]:
    return {finding.code: finding for finding in examine(dataset, problem)}


def with_maps(change: Callable[[FloatArray], object]) -> Dataset:
    """Return the good dataset with its maps changed in place."""
    maps = np.array(GOOD.array, dtype=float)
    change(maps)
    return replace(GOOD, c2=maps)


@pytest.mark.parametrize("n", [60, 450])
def test_good_data_are_not_doubted(n: int) -> None:
    data = make_dataset(n, 4, parameters=RESOLVED, noise=0.06, seed=n)
    assert found(replace(data, stated=KNOWN)) == {}


@pytest.mark.parametrize(
    ("change", "stated", "code", "words"),
    [
        ({}, {"dt": 0.05}, Code.DT_DISAGREES, ("0.1 s", "0.05 s", "dt=null")),
        ({"q": np.full(4, 0.54)}, {"units": frozenset({"phi"})}, Code.Q_UNIT, ("1/nm?", "0.054")),
        ({"gap": 200.0}, {}, Code.GAP_UNIT, ("in µm?", "stator_rotor_gap=2e+06")),
        ({"gap": 0.2}, {}, Code.GAP_UNIT, ("in mm?", "stator_rotor_gap=2e+06")),
        ({"gap": 2e-4}, {}, Code.GAP_UNIT, ("in m?", "stator_rotor_gap=2e+06")),
        ({"gap": 8e-3}, {}, Code.GAP_UNIT, ("in cm?", "stator_rotor_gap=800000")),
        ({"gap": 9e4}, {}, Code.GAP_UNIT, ("in nm?", "stator_rotor_gap=900000")),
        ({"gap": 1.0}, {}, Code.GAP_UNIT, ("stator_rotor_gap=1e+07",)),
        # 50 µm is the narrowest cell.
        ({"gap": 0.05}, {}, Code.GAP_UNIT, ("in mm?", "stator_rotor_gap=500000")),
        (
            {"phi": np.deg2rad(GOOD.phi)},
            {"units": frozenset({"q"})},
            Code.PHI_UNIT,
            ("radians?", "phi_unit=radians"),
        ),
        ({}, {"n_phi": 40}, Code.FEW_ANGLES, ("4 of the ring's 40", "enabled=false")),
        ({}, {"unusable": 12}, Code.MASKED, ("12 of 7,080",)),
    ],
)
def test_what_is_stated_and_what_is_taken(
    change: dict[str, object], stated: dict[str, object], code: Code, words: Sequence[str]
) -> None:
    data = replace(GOOD, **change, stated=replace(KNOWN, **stated))  # type: ignore[arg-type]
    (finding,) = examine(data, PROBLEM)
    assert (finding.code, finding.severity) == (code, "warning")
    for word in words:
        assert word in f"{finding.message} {finding.advice}"


@pytest.mark.parametrize(
    "stated", [{"dt": 0.1004}, {"dt": None}, {"n_phi": 8}, {"n_phi": 0}], ids=str
)
def test_agreement_is_not_told(stated: dict[str, object]) -> None:
    data = replace(GOOD, stated=replace(KNOWN, **stated))  # type: ignore[arg-type]
    assert list(examine(data, PROBLEM)) == []


def test_at_rest_neither_angles_nor_gap_matter() -> None:
    data = replace(GOOD, gap=200.0, phi=np.deg2rad(GOOD.phi), stated=Stated(n_phi=40))
    assert Code.GAP_UNIT in found(data)
    assert found(data, FitProblem("static")) == {}


def fill(maps: FloatArray) -> None:
    maps[2] = -1.0


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda maps: np.subtract(maps, 1.0, out=maps), Code.BASELINE_ZERO, ("baseline=0",)),
        (lambda maps: maps.fill(1.0), Code.CONSTANT, ("all pairs are the same, 1:",)),
        (fill, Code.CONSTANT, ("-1 at phi = 128.5", "[[-25.5, 51.5], [205.5, 205.5]]")),
        (lambda maps: maps.__setitem__((1, 9, 39), 1e6), Code.OUTLIERS, ("11 and 41", "51.5")),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    change: Callable[[FloatArray], object], code: Code, words: Sequence[str]
) -> None:
    with pytest.raises(FitError) as refused:
        fit(with_maps(change), PROBLEM)
    assert refused.value.code == code
    for word in words:
        assert word in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("seed", range(5))
def test_noise_alone_is_no_fit(seed: int) -> None:
    data = make_dataset(60, 3, seed=seed, contrast=0.0)
    assert found(data)[Code.NO_DECAY].severity == "error"


def test_an_angle_without_contrast_is_named() -> None:
    noise = np.random.default_rng(5).normal(1.1, 0.02, GOOD.array.shape[1:])
    finding = found(with_maps(lambda maps: maps.__setitem__(3, noise)))[Code.FLAT_ANGLES]
    assert "205.5" in finding.message
    assert "[[-25.5, 128.5]]" in finding.option


@pytest.mark.parametrize("loss", ["cauchy", "soft_l1"])
def test_a_loss_that_withstands_outliers_is_let_have_them(loss: Loss) -> None:
    data = with_maps(lambda maps: maps.__setitem__((1, 9, 39), 1e6))
    problem = replace(PROBLEM, solver=SolverOptions(loss=loss))
    assert found(data, problem)[Code.OUTLIERS].severity == "warning"


def test_rounded_values_are_said() -> None:
    data = with_maps(lambda maps: np.round(maps, 1, out=maps))
    finding = found(data)[Code.ROUNDED]
    assert "0.1" in finding.message
    assert "0.0289" in finding.message


def test_bounds_of_the_offset_say_what_plateau_is_meant() -> None:
    data = with_maps(lambda maps: np.subtract(maps, 1.0, out=maps))
    bounds = replace(PROBLEM.offset_bounds, lower=-0.5)
    assert Code.BASELINE_ZERO not in found(data, replace(PROBLEM, offset_bounds=bounds))
