"""What makes an input doubtful, from the data, their selection and the problem.

Each question is asked by a function of its own and answered by findings: a warning where the input
is probably not what the user meant, an error where there is nothing that a fit could find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from homodyne_cli.core.maps.levels import MapLevels, map_levels
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.errors import FitError
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Finding
from homodyne_cli.problem import FitProblem

#: Relative difference up to which two frame intervals agree: a percent of dt is a percent of D0.
_DT_AGREES: Final = 0.01
#: 1/Å; the length that belongs to it is about two atoms wide.
_HIGHEST_Q: Final = 0.5
#: Å: a gap is between 10 µm and 10 cm.
_NARROWEST, _WIDEST = 1e5, 1e9
#: Å in units that a gap may have been typed in.
_LENGTHS: Final = {"mm": 1e7, "µm": 1e4, "m": 1e10, "cm": 1e8, "nm": 10.0}
#: Gaps of shear cells, in Å.
_USUAL: Final = (5e5, 5e7)
_FEWEST_ANGLES: Final = 3
_FEW_OF_RING: Final = 0.25
#: Probability by chance above which a map counts as a level with noise, and frames that it takes.
_FLAT, _FLAT_FRAMES = 0.01, 20
#: An outlier lies so many times the range of the other values outside of them.
_OUTSIDE: Final = 20.0
#: A pair that alone has as much of chi2 as a hundred times all others leaves nothing to fit.
_RUINOUS: Final = 100.0
#: Steps that are no more than this many sigma add less than 4% to sigma.
_COARSE: Final = 1.0
_NAMED: Final = 8


def examined(dataset: Dataset, problem: FitProblem) -> Dataset:
    """Return a dataset with what was found in it, errors first."""
    ordered = sorted(examine(dataset, problem), key=lambda finding: finding.severity != "error")
    return replace(dataset, findings=tuple(ordered))


def refuse(findings: Sequence[Finding]) -> None:
    """Refuse a fit for the first error among findings.

    Raises
    ------
    FitError
        There is one.
    """
    for finding in findings:
        if finding.severity == "error":
            raise FitError(finding.message, hint=finding.advice or None, code=finding.code)


def examine(dataset: Dataset, problem: FitProblem) -> Iterator[Finding]:
    """Yield everything doubtful in an input."""
    levels = map_levels(dataset)
    yield from _values(dataset, problem, levels)
    yield from _interval(dataset)
    yield from _times(dataset)
    yield from _masked(dataset)
    yield from _wave_vector(dataset)
    if problem.mode == "laminar_flow":
        yield from _gap(dataset)
        yield from _angles(dataset)


def _warning(code: Code, message: str, remedy: str = "", option: str = "") -> Finding:
    return Finding(code, "warning", message, remedy, option)


def _error(code: Code, message: str, remedy: str = "", option: str = "") -> Finding:
    return Finding(code, "error", message, remedy, option)


def _interval(dataset: Dataset) -> Iterator[Finding]:
    stored, dt = dataset.stated.dt, dataset.dt
    if stored is None or abs(dt - stored) <= _DT_AGREES * stored:
        return
    yield _warning(
        Code.DT_DISAGREES,
        f"dt is {dt:.6g} s in the config but {stored:.6g} s in the file; the config's is used",
        "to take the file's",
        "--set analyzer_parameters.dt=null",
    )


def _times(dataset: Dataset) -> Iterator[Finding]:
    steps = np.diff(dataset.t)
    gaps = int(np.count_nonzero(np.abs(steps - dataset.dt) > _DT_AGREES * dataset.dt))
    if gaps:
        yield _warning(
            Code.UNEVEN_TIMES,
            f"frames are not evenly spaced: {gaps} of {len(steps)} steps differ from "
            f"{dataset.dt:g} s, the longest is {steps.max():.4g} s; the file's times are used",
            "nothing to do where frames were dropped",
        )


def _masked(dataset: Dataset) -> Iterator[Finding]:
    unusable = dataset.stated.unusable
    if unusable:
        n = dataset.n_frames
        yield _warning(
            Code.MASKED,
            f"{unusable:,} of {dataset.n_phi * n * (n - 1) // 2:,} pairs are left out: value or "
            "noise is not a number, or the frame has no counts",
            "homodyne inspect shows where",
        )


def _wave_vector(dataset: Dataset) -> Iterator[Finding]:
    q = float(dataset.q.max())
    if q > _HIGHEST_Q and "q" not in dataset.stated.units:
        yield _warning(
            Code.Q_UNIT,
            f"q = {q:.6g} 1/Å looks at lengths of {2 * np.pi / q:.3g} Å: is it in 1/nm?",
            f"give the file's q the attribute units = '1/nm', or write it in 1/Å ({q / 10:.6g})",
        )


def _gap(dataset: Dataset) -> Iterator[Finding]:
    gap = dataset.gap
    if gap is None or _NARROWEST <= gap <= _WIDEST:
        return
    meant = [(u, gap * f) for u, f in _LENGTHS.items() if _USUAL[0] <= gap * f <= _USUAL[1]]
    question = f": is it in {meant[0][0]}?" if meant else ": shear cells have 10 µm to some cm"
    key = "analyzer_parameters.geometry.stator_rotor_gap"
    yield _warning(
        Code.GAP_UNIT,
        f"the gap is {gap:g} Å, which is {gap * 1e-4:g} µm{question}",
        f"if it is {gap:g} {meant[0][0]}" if meant else f"give {key} in Å",
        f"--set {key}={meant[0][1]:g}" if meant else "",
    )


def _angles(dataset: Dataset) -> Iterator[Finding]:
    phi, total = dataset.phi, dataset.stated.n_phi
    small = np.abs(phi).max() <= 2.0 * np.pi + 1e-3 and np.any(phi != np.round(phi))
    if "phi" not in dataset.stated.units and len(phi) >= _FEWEST_ANGLES and small:
        yield _warning(
            Code.PHI_UNIT,
            f"all {len(phi)} angles are within 2π ({phi.min():.4g} to {phi.max():.4g}): radians?",
            "if they are",
            "--set experimental_data.phi_unit=radians",
        )
    if len(phi) < total and (len(phi) < _FEWEST_ANGLES or len(phi) < _FEW_OF_RING * total):
        yield _warning(
            Code.FEW_ANGLES,
            f"phi_filtering leaves {len(phi)} of the ring's {total} angles; what tells flow from "
            "diffusion is how c2 changes with the angle",
            "to fit all",
            "--set phi_filtering.enabled=false",
        )


def _values(
    dataset: Dataset, problem: FitProblem, levels: Sequence[MapLevels]
) -> Iterator[Finding]:
    """Yield what is wrong with the values; what is said first explains the rest."""
    constant = np.array([level.constant for level in levels])
    if constant.any():
        yield _constant(dataset.phi, constant, levels)
        return
    baseline = float(np.median([level.far for level in levels]))
    if baseline < problem.offset_bounds.lower / 2.0 and problem.offset_bounds.lower > 0.0:
        yield _error(
            Code.BASELINE_ZERO,
            f"c2 at long lags is {baseline:.3g}, where g2 is 1: is this g2 - 1?",
            "if it is",
            "--set experimental_data.baseline=0",
        )
        return
    yield from _outliers(dataset, problem, levels)
    yield from _rounded(dataset, levels)
    yield from _flat(dataset, levels)


def _constant(phi: FloatArray, constant: np.ndarray, levels: Sequence[MapLevels]) -> Finding:
    values = {level.lowest for level in levels if level.constant}
    value = f"the same, {values.pop():g}" if len(values) == 1 else "the same"
    if constant.all():
        return _error(
            Code.CONSTANT,
            f"all pairs are {value}: there is nothing to fit",
            "were the values rounded, or the maps never written? correlate again",
        )
    return _error(
        Code.CONSTANT,
        f"all pairs are {value} at phi = {_listed(phi[constant])} deg",
        "to leave that out",
        f'--set phi_filtering.enabled=true --set "phi_filtering.target_ranges='
        f'{_ranges(phi, ~constant)}"',
    )


def _ranges(phi: FloatArray, kept: np.ndarray) -> str:
    """Return ranges that hold some of the angles and none of the others."""
    order = np.argsort(phi)
    runs: list[list[float]] = []
    running = False
    for value, keep in zip(phi[order].tolist(), kept[order].tolist(), strict=True):
        if keep and running:
            runs[-1].append(value)
        elif keep:
            runs.append([value])
        running = keep
    return "[" + ", ".join(f"[{run[0]:.7g}, {run[-1]:.7g}]" for run in runs) + "]"


def _outliers(
    dataset: Dataset, problem: FitProblem, levels: Sequence[MapLevels]
) -> Iterator[Finding]:
    n_pairs = dataset.n_frames * (dataset.n_frames - 1) / 2.0
    shares = np.array([(level.excess / level.sigma) ** 2 / n_pairs for level in levels])
    far = [level.excess > _OUTSIDE * (level.high - level.low) for level in levels]
    worst = np.flatnonzero(np.array(far) & (shares > 1.0))
    if len(worst) == 0:
        return
    at = int(worst[np.argmax(shares[worst])])
    level, one = levels[at], dataset.c2[at]
    above = level.highest - level.high >= level.low - level.lowest
    extreme = level.highest if above else level.lowest
    first = dataset.stated.first_frame + 1
    i, j = (first + int(k[0]) for k in np.nonzero(np.triu(one == extreme, 1)))
    linear = problem.solver.loss == "linear"
    yield Finding(
        Code.OUTLIERS,
        "error" if linear and shares[at] > _RUINOUS else "warning",
        f"a pair of {extreme:.4g} among values of {level.low:.4g} to {level.high:.4g}, at "
        f"{dataset.place(at)}, frames {i} and {j}; such pairs at {len(worst)} of "
        f"{dataset.n_phi} angles",
        "to withstand them" if linear else "",
        "--set optimization.nlsq.loss=cauchy" if linear else "",
    )


def _rounded(dataset: Dataset, levels: Sequence[MapLevels]) -> Iterator[Finding]:
    steps = np.array([level.step for level in levels])
    if np.any(steps > _COARSE * np.array([level.sigma for level in levels])):
        yield _warning(
            Code.ROUNDED,
            f"the values are rounded to steps of {steps.max():.3g}: their noise counts as no less "
            f"than {steps.max() / np.sqrt(12.0):.3g}",
            "export c2 with all its digits",
        )


def _flat(dataset: Dataset, levels: Sequence[MapLevels]) -> Iterator[Finding]:
    flat = np.array([level.flat > _FLAT for level in levels])
    if dataset.n_frames < _FLAT_FRAMES or not flat.any():
        return
    if flat.all():
        means = np.array([level.far for level in levels])
        yield _error(
            Code.NO_DECAY,
            f"no contrast: c2 is {means.mean():.4g} at every lag, within its noise",
            "look at the maps (homodyne inspect); a decay faster than a frame or slower than the "
            "window cannot be seen",
        )
    else:
        yield _warning(
            Code.FLAT_ANGLES,
            f"no contrast at phi = {_listed(dataset.phi[flat])} deg: c2 is the same at every lag, "
            "within its noise",
            "to leave that out",
            f'--set phi_filtering.enabled=true --set "phi_filtering.target_ranges='
            f'{_ranges(dataset.phi, ~flat)}"',
        )


def _listed(phi: FloatArray) -> str:
    more = f", ... ({len(phi)} in all)" if len(phi) > _NAMED else ""
    return ", ".join(f"{value:.4g}" for value in phi[:_NAMED]) + more
