"""A fit, a diagnosis and checks with fixed numbers, to be shown."""

from __future__ import annotations

import io
import math

import numpy as np

from homodyne_cli.assessments import CheckResult, Diagnosis
from homodyne_cli.core.uncertainty.curve_bands import curves_with_bands
from homodyne_cli.dataset import Provenance
from homodyne_cli.parameters import BY_NAME, NAMES
from homodyne_cli.problem import Bounds
from homodyne_cli.results import Combination, FitResult, FittedParameter, IterationRecord, Seconds
from tests.support.datasets import PUBLISHED

NAN = math.nan
TRUTH = dict(zip(NAMES, (68480.5, -1.32694, 1707.7, 1.99104e-3, -0.21, -6.1e-4, 2.0), strict=True))
SECONDS = Seconds(load=1.234, compile=2.5, fit=12.25, save=4.0, total=19.984)
PROVENANCE = {
    "layout": Provenance("APS-U (upper half stored)", "data.h5: /xpcs/twotime/correlation_map"),
    "q": Provenance("0.0054 1/Å", "nearest ring to wavevector_q 0.00532 [config.yaml]"),
    "phi": Provenance("23 angles, -25.5 to 205.5 deg", "/xpcs/qmap/dynamic_v_list_dim1"),
    "dt": Provenance("0.1 s", "frame_time 0.1 s × stride 1 × average 1"),
    "frames": Provenance("1000 to 2000 (1000 fitted)", "analyzer_parameters"),
    "sigma": Provenance("0.0597 to 0.0611", "estimated from neighbouring pairs at equal lag"),
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal of a given encoding."""

    def __init__(self, encoding: str = "utf-8", tty: bool = True) -> None:
        super().__init__()
        self._encoding = encoding
        self._tty = tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


def parameter(
    name: str,
    value: float,
    uncertainty: float,
    *,
    at_bound: bool = False,
    fixed: bool = False,
    unmoved: bool = False,
) -> FittedParameter:
    p = BY_NAME[name]
    bounds = Bounds(p.lower, p.upper)
    return FittedParameter(
        name, value, uncertainty, p.unit, p.start, bounds, at_bound, fixed, unmoved
    )


def fit_result(n_phi: int = 3, *, converged: bool = True) -> FitResult:
    ramp = np.linspace(0.0, 1.0, n_phi)
    return FitResult(
        mode="laminar_flow",
        convention="he2024",
        per_angle_mode="individual",
        parameters=(
            parameter("D0", 68512.34, 312.7),
            parameter("alpha", -1.326871, 0.00417),
            parameter("D_offset", 1699.213, 23.4, at_bound=True),
            parameter("gamma_dot_t0", 1.98711e-3, 2.31e-5),
            parameter("beta", -0.2105, NAN),
            parameter("gamma_dot_t_offset", -6.07376e-4, 2.3e-5, unmoved=True),
            parameter("phi0", 2.0, 0.0, fixed=True),
        ),
        contrast=0.3 + 0.01 * ramp,
        offset=1.1 + 0.02 * ramp,
        contrast_uncertainty=np.full(n_phi, 2.345e-4),
        offset_uncertainty=np.full(n_phi, 1.9e-5),
        sigma=0.06 + 0.001 * ramp,
        chi2=11491234.567,
        reduced_chi2=1.00023,
        n_points=11488500,
        degrees_of_freedom=11488447,
        edm=3.2e-7 if converged else 5123.4,
        status=2 if converged else 0,
        message="ftol reached" if converged else "iteration limit reached",
        converged=converged,
        iterations=9,
        evaluations=11,
        covariance=np.eye(5),
        covariance_names=NAMES[:5],
        curves=curves_with_bands(
            np.array([0.1, 0.2]), PUBLISHED, "he2024", np.zeros((5, 5)), NAMES[:5]
        ),
        undetermined=(),
        x_scale=dict.fromkeys(NAMES, 1.0),
        x_scale_mode="auto",
        history=(
            IterationRecord(0, 2.5e7, 1e6, 0.0, 0.0, condition=52.1, condition_raw=3.21e9),
            IterationRecord(9, 11491234.567, 3.2e-7, 1e-3, 12.0, condition=34.5, condition_raw=1e9),
        ),
        combinations=(
            Combination(("D0", "D_offset"), (1.0, 1.0), 1234.1, 5.2, "Å²/s"),
            Combination(
                ("gamma_dot_t0", "gamma_dot_t_offset"), (1.04713, 1.0), 2.013e-3, 1.2e-5, "1/s"
            ),
        ),
    )


def diagnosis() -> Diagnosis:
    """The numbers of the reference document."""
    gradients = np.array([26.98292, 42365.33, 28.50510, 8684888, 102815.3, 346934800, 43.63216])
    baseline = float(np.exp(np.log(gradients[[0, 2, 6]]).mean()))
    return Diagnosis(
        names=NAMES,
        values=np.array([400.758, -0.014, -0.674271, 0.003, -0.909, 0.0, -0.0452923]),
        gradients=gradients,
        gradient_noise=gradients / 4.0,
        sensitivities=gradients / 3.0,
        z=np.array([0.5, -3.2, 12.0, 1e7, -45.0, 812.0, 0.0]),
        x_scale_map={n: baseline / float(g) for n, g in zip(NAMES, gradients, strict=True)},
        measure="gradient",
        asked_measure="gradient",
        threshold=10.0,
        chi2=11491234.5,
        baseline=baseline,
        max_ratio=float(gradients.max()) / baseline,
        imbalance=True,
        effective_ratio=1.3e7,
        edm=512.0,
        premature=True,
        condition_raw=1e9,
        condition_scaled=34.0,
        correlated=(("D0", "alpha", 0.99),),
        undetermined=(),
        below_noise=("D0",),
    )


def checks() -> tuple[CheckResult, ...]:
    return (
        CheckResult(
            "oscillations", "n/a", 0.83, 3.14159, "the shear is too weak to show a side lobe"
        ),
        CheckResult("chi_squared", "pass", 1.0002, 1.1, "reduced χ² is in its range"),
        CheckResult(
            "uncertainties",
            "warn",
            0.41,
            0.2,
            "beta is consistent with zero: -0.0021 ± 0.0037",
            "state the interval instead of a value",
        ),
        CheckResult(
            "convergence",
            "fail",
            5123.4,
            1.0,
            "stopped at the iteration limit; χ² would still fall by 5123 [EDM]",
            "run homodyne diagnose on this directory, apply its x_scale_map with "
            "homodyne apply-scale and fit again with a larger max_iterations",
        ),
        CheckResult("physical", "pass", None, None, "inside bounds, D(t) > 0"),
    )
