"""Gradients against autodiff, the design's oracle numbers, verdicts in words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from homodyne_cli.cli.runs.diagnose import DiagnoseRequest, run_diagnose
from homodyne_cli.core.diagnosis import diagnose, verdict
from homodyne_cli.core.evaluation import evaluate_run
from homodyne_cli.core.minimise.x_scale import gradient_x_scale
from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.gradient_diagnostics import (
    compute_gradient_norms,
    compute_optimal_x_scale,
    diagnose_gradient_imbalance,
    print_gradient_report,
)
from homodyne_cli.io.run.read_run import read_run
from homodyne_cli.io.scale_fix.scale_fix import read_fix
from homodyne_cli.parameters import NAMES, AnalysisMode, Convention
from tests.support.datasets import PUBLISHED, RESOLVED, make_dataset
from tests.support.legacy_run import write_legacy_run
from tests.support.oracle import autodiff_columns, model_values, plain_f
from tests.support.problems import make_problem

#: DESIGN section 4: gradients at the reference document's point, and the scales they give.
ORACLE_GRADIENTS = dict(
    zip(
        NAMES,
        (26.98292, 42365.33, 28.50510, 8684888.0, 102815.3, 346934800.0, 43.63216),
        strict=True,
    )
)
ORACLE_SCALES = (1.195, 7.61e-4, 1.132, 3.71e-6, 3.14e-4, 9.30e-8, 0.739)
ORACLE_D0_SCALES = (1.0, 6.37e-4, 9.47e-1, 3.11e-6, 2.62e-4, 7.78e-8, 6.18e-1)
SLOW = np.array([2000.0, -0.4, 300.0, 2e-4, -0.25, 1e-4, 2.0])
OFF = PUBLISHED * np.array([1.2, 0.9, 1.1, 0.8, 1.2, 0.9, 0.7])
SCALING = (np.full(3, 0.28), np.full(3, 1.1))


def autodiff_gradients(dataset: Dataset, values: FloatArray, convention: Convention) -> FloatArray:
    """d SSE / d p by reverse-mode autodiff of the plain sum of squares."""
    i, j = np.triu_indices(dataset.n_frames, 1)
    y = jnp.asarray(dataset.c2)[:, i, j]

    def sse(p: jax.Array) -> jax.Array:
        f = plain_f(
            p, jnp.asarray(dataset.t), jnp.asarray(dataset.phi), dataset.q,
            dataset.gap or 0.0, convention,
        )  # fmt: skip
        return jnp.sum((y - 0.28 * f[:, i, j] - 1.1) ** 2)

    return np.asarray(jax.grad(sse)(jnp.asarray(values)))


@pytest.mark.parametrize("convention", ["he2024", "homodyne-2"])
@pytest.mark.parametrize("mode", ["laminar_flow", "static"])
def test_library_gradients_are_those_of_autodiff(
    mode: AnalysisMode, convention: Convention
) -> None:
    values = OFF if mode == "laminar_flow" else OFF[:3]
    dataset = make_dataset(50, 3, convention=convention)

    @dataclasses.dataclass
    class Scripted:
        phi: FloatArray
        t1: FloatArray
        g2: FloatArray
        q: float
        L: float
        per_angle_scaling_solver: FloatArray

    data = Scripted(
        dataset.phi, dataset.t, np.asarray(dataset.c2, dtype=float), float(dataset.q[0]), 2e6,
        np.stack(SCALING, axis=1),
    )  # fmt: skip
    problem = make_problem(mode, convention)
    found = diagnose_gradient_imbalance(values, data, problem, mode)
    expected = autodiff_gradients(dataset, values, convention)
    np.testing.assert_allclose(found.gradients, expected, rtol=1e-8)
    norms = compute_gradient_norms(values, data, problem, mode)
    np.testing.assert_allclose(list(norms.values()), np.abs(expected), rtol=1e-8)


def test_oracle_scales_through_the_library() -> None:
    data = make_dataset(10, 1)
    scale = compute_optimal_x_scale(
        PUBLISHED, data, None, "laminar_flow", gradients=ORACLE_GRADIENTS
    )
    np.testing.assert_allclose(list(scale.values()), ORACLE_SCALES, rtol=2e-3)
    scale = gradient_x_scale(ORACLE_GRADIENTS, ["D0"])
    np.testing.assert_allclose(list(scale.values()), ORACLE_D0_SCALES, rtol=2e-3)


def data_with_gradients(target: FloatArray) -> tuple[Dataset, FloatArray]:
    """Make data whose gradients at SLOW are exactly the given ones.

    With y = model - J (J^T J)^-1 g / 2 the residual's gradient 2 J^T (model - y) is g. The dynamics
    are slow, so that this shift is smooth and not taken for noise.
    """
    dataset = make_dataset(120, 3, parameters=SLOW, convention="homodyne-2", noise=0.0)
    columns = autodiff_columns(dataset, SLOW, "homodyne-2")[:, :7]
    jacobian = 0.28 * np.moveaxis(columns, 1, 2).reshape(-1, 7)
    norm = np.linalg.norm(jacobian, axis=0)
    unit = jacobian / norm
    shift = (unit @ np.linalg.solve(unit.T @ unit, target / norm / 2)).reshape(3, -1)
    f = model_values(SLOW, dataset.t, dataset.phi, float(dataset.q[0]), 2e6, "homodyne-2")
    c2 = 0.28 * f + 1.1
    i, j = np.triu_indices(120, 1)
    c2[:, i, j] -= shift
    return dataclasses.replace(dataset, c2=c2), SLOW


@pytest.mark.parametrize(
    ("baseline", "expected"), [(None, ORACLE_SCALES), ("D0", ORACLE_D0_SCALES)]
)
def test_oracle_scales_through_the_command(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    baseline: str | None,
    expected: tuple[float, ...],
) -> None:
    target = np.array(list(ORACLE_GRADIENTS.values()))
    dataset, values = data_with_gradients(target)
    run = write_legacy_run(tmp_path / "old", dataset, values, *SCALING)
    fix = tmp_path / "fix.yaml"
    request = DiagnoseRequest(run, fix, baseline=baseline, as_json=True)
    assert run_diagnose(request) == 1
    answer = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(list(answer["gradients"].values()), target, rtol=1e-5)
    assert answer["measure"] == "gradient"
    np.testing.assert_allclose(list(answer["x_scale_map"].values()), expected, rtol=2e-3)
    np.testing.assert_allclose(list(read_fix(fix).values()), expected, rtol=2e-3)


def test_legacy_run_gives_the_gradients_of_its_own_model(tmp_path: Path) -> None:
    dataset = make_dataset(50, 3, convention="homodyne-2")
    run = read_run(write_legacy_run(tmp_path / "old", dataset, OFF, *SCALING))
    assert run.problem.convention == "homodyne-2"
    assert any("homodyne 2.x" in note for note in run.record.notes)
    assert any("2e+06" in note for note in run.record.notes)
    found = diagnose(evaluate_run(run))
    np.testing.assert_allclose(
        found.gradients, autodiff_gradients(dataset, OFF, "homodyne-2"), rtol=1e-8
    )


def test_legacy_static_run_is_read(tmp_path: Path) -> None:
    dataset = make_dataset(50, 3, convention="homodyne-2", parameters=PUBLISHED[:3])
    run = read_run(write_legacy_run(tmp_path / "old", dataset, OFF[:3], *SCALING))
    assert run.problem.mode == "static"
    assert len(diagnose(evaluate_run(run)).gradients) == 3


def test_gradients_below_noise_fall_back_to_sensitivity() -> None:
    data = make_dataset(60, 3, parameters=RESOLVED, noise=0.02, seed=3)
    found = diagnose_gradient_imbalance(RESOLVED, data, make_problem(), "laminar_flow")
    # At the truth gradients are noise: two thirds of them lie within one standard deviation.
    assert found.below_noise
    assert found.measure == "sensitivity"
    scaled = found.sensitivities * np.array(list(found.x_scale_map.values()))
    np.testing.assert_allclose(scaled, scaled[0], rtol=1e-9)


def test_noise_floor_is_the_scatter_of_gradients() -> None:
    gradients, floors = [], []
    for seed in range(60):
        data = make_dataset(30, 2, parameters=RESOLVED, noise=0.02, seed=seed)
        data = dataclasses.replace(data, sigma=np.full(2, 0.02))

        @dataclasses.dataclass
        class Scripted:
            phi: FloatArray
            t1: FloatArray
            g2: FloatArray
            q: float
            L: float
            per_angle_scaling_solver: FloatArray

        scripted = Scripted(
            data.phi, data.t, np.asarray(data.c2, dtype=float), float(data.q[0]), 2e6,
            np.array([[0.3017, 1.106]] * 2),
        )  # fmt: skip
        found = diagnose_gradient_imbalance(RESOLVED, scripted, None, "laminar_flow")
        gradients.append(found.gradients)
        floors.append(found.gradient_noise)
    ratio = np.std(gradients, axis=0) / np.mean(floors, axis=0)
    # 60 draws fix a standard deviation to 9%.
    assert np.all((ratio > 0.7) & (ratio < 1.35)), ratio


def test_verdicts_name_what_to_do() -> None:
    data = make_dataset(60, 3, parameters=RESOLVED, noise=0.02)
    far = diagnose_gradient_imbalance(OFF, data, make_problem(), "laminar_flow")
    assert far.premature
    assert far.imbalance
    assert "apply-scale" in verdict(far)[1]
    calm = dataclasses.replace(far, premature=False, imbalance=False)
    assert "verify" in verdict(calm)[1]
    assert len({verdict(dataclasses.replace(far, premature=p, imbalance=i))[0][:12]
                for p in (True, False) for i in (True, False)}) >= 3  # fmt: skip


def test_report_prints_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    print_gradient_report(OFF, make_dataset(30, 2), None, "laminar_flow")
    shown = capsys.readouterr().out
    assert all(name in shown for name in NAMES)
