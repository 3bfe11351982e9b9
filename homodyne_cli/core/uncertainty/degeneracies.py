r"""What data determine where they do not determine every parameter.

Degeneracies of the model: D0 and D_offset as alpha -> 0, gamma_dot_t0 and gamma_dot_t_offset as
beta -> 0 (a power law with exponent 0 is a constant), the shear rate and phi0 at a single angle
(only rate times cos(phi0 - phi) acts), and shear altogether where no angle sees it. Members of such
a group have huge uncertainties, or none; a sum of them is known well. It is an eigenvector of the
group's Hessian in units in which each member matters as much: rates in units of the rate at
mid-window, exponents and phi0 in units that change the model altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.numerics.arrow import invert
from homodyne_cli.core.numerics.gram import project_out
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.covariance import ScoreNoise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import BY_NAME, RATES
from homodyne_cli.results import Combination

_DIFFUSION, _SHEAR = RATES
#: An exponent or an angle (degrees) known no better than this is not known: the exponent could as
#: well belong to another law of transport, the angle to another quadrant within three deviations.
_EXPONENT, _ANGLE = 0.5, 30.0
#: A combination counts as determined if known to this share of those units: three deviations from
#: not being there.
_DETERMINED = 0.3
#: Largest |cos(phi0 - phi)| of angles that are as good as blind to shear: within 6 degrees of the
#: normal of the flow, where shear acts a tenth as strongly as along it.
_BLIND = 0.1
#: Least rate, as a share of its power law, where amplitude and offset cancel.
_CANCELLED = 1e-3


@dataclass(frozen=True)
class _Known:
    """(p, p) covariance with null directions left out, and which parameters are in one (p,)."""

    covariance: FloatArray
    lost: np.ndarray


def find_combinations(
    dataset: Dataset,
    names: Sequence[str],
    parameters: Mapping[str, float],
    at: Projection,
    noise: ScoreNoise,
) -> tuple[Combination, ...]:
    """Return what is determined of parameters that are not known apart, best known first.

    Parameters at a bound are let go for this: a bound that stops the fit in a valley hides it.

    Parameters
    ----------
    names
        (p,) of the free parameters.
    parameters
        Value of every parameter.
    at, noise
        Derivatives and noise at the solution, bounds not taken into account.
    """
    known = _known(at, noise, len(names))
    size = _sizes(names, parameters, reference_time(dataset.t))
    sigma = np.sqrt(np.maximum(np.diag(known.covariance), 0.0))
    unknown = known.lost | (sigma > size)
    combinations: list[Combination] = []
    for family in (_DIFFUSION, (*_SHEAR, "phi0")):
        group = [k for k, name in enumerate(names) if name in family and unknown[k]]
        if len(group) > 1:
            combinations += _combine(group, names, parameters, size, at, known)
    return tuple(combinations)


def _known(at: Projection, noise: ScoreNoise, p: int) -> _Known:
    inverse = invert(at.hessian)
    spread = inverse.sandwich(noise.variance)
    lost = np.any(np.abs(inverse.null[:p]) > _DETERMINED, axis=1)
    return _Known(spread.head[:p, :p], lost)


def _sizes(names: Sequence[str], parameters: Mapping[str, float], middle: float) -> FloatArray:
    """Return (p,) the change of each parameter that changes the model altogether."""
    table = {"alpha": _EXPONENT, "beta": _EXPONENT, "phi0": _ANGLE}
    for amplitude, exponent, offset in RATES:
        if amplitude not in parameters:
            continue
        power = middle ** parameters[exponent]
        rate = abs(parameters[amplitude] * power + parameters[offset])
        rate = max(rate, _CANCELLED * abs(parameters[amplitude]) * power)
        table[amplitude], table[offset] = rate / power, rate
    return np.array([table[name] for name in names])


def _combine(
    group: list[int],
    names: Sequence[str],
    parameters: Mapping[str, float],
    size: FloatArray,
    at: Projection,
    known: _Known,
) -> list[Combination]:
    scale = size[group]
    hessian = project_out(at.reduced_hessian, group)
    values, vectors = np.linalg.eigh(hessian * np.outer(scale, scale))
    block = known.covariance[np.ix_(group, group)]
    combinations = []
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        weight = vector / scale
        spread = max(1.0 / max(value, 1e-300), float(weight @ block @ weight))
        if spread > _DETERMINED**2:
            continue
        lead = _leading(vector, [names[k] for k in group])
        weight = weight / weight[lead]
        members = tuple(names[k] for k in group)
        combinations.append(
            Combination(
                names=members,
                coefficients=tuple(weight.tolist()),
                value=float(weight @ [parameters[name] for name in members]),
                uncertainty=float(np.sqrt(weight @ block @ weight)),
                unit=BY_NAME[members[lead]].unit,
            )
        )
    return combinations


def _leading(vector: FloatArray, members: Sequence[str]) -> int:
    """Return the member whose coefficient becomes 1: an offset, which is a rate, if it matters."""
    for k, name in enumerate(members):
        if name in ("D_offset", "gamma_dot_t_offset") and abs(vector[k]) > _DETERMINED:
            return k
    return int(np.argmax(np.abs(vector)))


def shear_unseen(
    dataset: Dataset, parameters: Mapping[str, float], unknown: Sequence[str]
) -> tuple[str, ...]:
    """Say why shear is not determined where every angle is about normal to the flow."""
    if "gamma_dot_t0" not in unknown or "phi0" not in parameters:
        return ()
    strongest = float(np.max(np.abs(np.cos(np.deg2rad(parameters["phi0"] - dataset.phi)))))
    if strongest > _BLIND:
        return ()
    return (
        f"shear acts by cos(phi0 - phi), which at phi0 = {parameters['phi0']:.4g} is "
        f"{strongest:.2g} at most: these angles cannot see it",
    )
