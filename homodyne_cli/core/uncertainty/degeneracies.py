r"""What data determine where they do not determine every parameter, and equally good solutions.

Degeneracies of the model: D0 and D_offset as alpha -> 0, gamma_dot_t0 and gamma_dot_t_offset as
beta -> 0 (a power law with exponent 0 is a constant), the shear rate and phi0 at a single angle
(only rate times cos(phi0 - phi) acts), and shear altogether where no angle sees it. Members of such
a group have huge uncertainties, or none; a sum of them is known well. It is an eigenvector of the
group's Hessian in units in which each member matters as much: rates in units of the rate at
mid-window, exponents and phi0 in units that change the model altogether.

Symmetries: only cos^2(phi0 - phi) acts, so phi0 and phi0 + 180 degrees are the same model, and so
is phi0 mirrored at phi where all angles are equal modulo 90 degrees. In the convention ``he2024``
so is the shear rate with the other sign. Where bounds allow several, the one reported is that with
phi0 nearest zero and a positive rate at mid-window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from homodyne_cli.core.minimise.state import MinimiserState
from homodyne_cli.core.model.reference_time import reference_time
from homodyne_cli.core.objective.free_parameters import FreeParameters
from homodyne_cli.core.objective.projection import Projection
from homodyne_cli.core.uncertainty.speckle_noise import SpeckleNoise
from homodyne_cli.dataset import Dataset, FloatArray
from homodyne_cli.parameters import BY_NAME, RATES, Convention
from homodyne_cli.results import Combination

_DIFFUSION, _SHEAR = RATES
#: An exponent or an angle (degrees) known no better than this is not known.
_EXPONENT, _ANGLE = 0.5, 30.0
#: A combination counts as determined if known to this share of those units.
_DETERMINED = 0.3
_RANK_TOLERANCE = 1e-10
#: Angles closer than this to each other modulo 90 degrees are equal, in degrees.
_SAME_ANGLE = 1e-3
#: Largest |cos(phi0 - phi)| of angles that are as good as blind to shear.
_BLIND = 0.1


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
    noise: SpeckleNoise,
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
    found = []
    for family in (_DIFFUSION, (*_SHEAR, "phi0")):
        group = [k for k, name in enumerate(names) if name in family and unknown[k]]
        if len(group) > 1:
            found += _combine(group, names, parameters, size, at, known)
    return tuple(found)


def _known(at: Projection, noise: SpeckleNoise, p: int) -> _Known:
    norm = np.sqrt(np.maximum(np.diag(at.hessian), 0.0))
    safe = np.where(norm > 0.0, norm, 1.0)
    values, vectors = np.linalg.eigh(at.hessian / np.outer(safe, safe))
    good = values > _RANK_TOLERANCE
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T / np.outer(safe, safe)
    full = noise.white_scale * inverse + inverse @ noise.score @ inverse
    lost = np.any(np.abs(vectors[:p, ~good]) > _DETERMINED, axis=1)
    return _Known(full[:p, :p], lost)


def _sizes(names: Sequence[str], parameters: Mapping[str, float], middle: float) -> FloatArray:
    """Return (p,) the change of each parameter that changes the model altogether."""
    table = {"alpha": _EXPONENT, "beta": _EXPONENT, "phi0": _ANGLE}
    for amplitude, exponent, offset in RATES:
        if amplitude not in parameters:
            continue
        power = middle ** parameters[exponent]
        rate = abs(parameters[amplitude] * power + parameters[offset])
        rate = max(rate, 1e-3 * abs(parameters[amplitude]) * power)
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
    hessian, scale = at.reduced_hessian, size[group]
    rest = [k for k in range(len(names)) if k not in group]
    cross = hessian[np.ix_(group, rest)]
    inner = hessian[np.ix_(group, group)]
    if rest:
        inner = inner - cross @ np.linalg.pinv(hessian[np.ix_(rest, rest)], 1e-12, True) @ cross.T
    values, vectors = np.linalg.eigh(inner * np.outer(scale, scale))
    block = known.covariance[np.ix_(group, group)]
    found = []
    for value, vector in zip(values[::-1], vectors.T[::-1], strict=True):
        weight = vector / scale
        spread = max(1.0 / max(value, 1e-300), float(weight @ block @ weight))
        if spread > _DETERMINED**2:
            continue
        lead = _leading(vector, [names[k] for k in group])
        weight = weight / weight[lead]
        members = tuple(names[k] for k in group)
        found.append(
            Combination(
                names=members,
                coefficients=tuple(weight.tolist()),
                value=float(weight @ [parameters[name] for name in members]),
                uncertainty=float(np.sqrt(weight @ block @ weight)),
                unit=BY_NAME[members[lead]].unit,
            )
        )
    return found


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
    seen = float(np.max(np.abs(np.cos(np.deg2rad(parameters["phi0"] - dataset.phi)))))
    if seen > _BLIND:
        return ()
    return (
        f"shear acts by cos(phi0 - phi), which at phi0 = {parameters['phi0']:.4g} is {seen:.2g} at "
        "most: these angles cannot see it",
    )


def canonical(
    descent: MinimiserState, bracket: FreeParameters, dataset: Dataset, convention: Convention
) -> MinimiserState:
    """Return the same minimum with phi0 nearest zero and a positive shear rate, within bounds."""
    x, at = descent.x.copy(), descent.at
    place = {name: k for k, name in enumerate(bracket.names)}
    if "phi0" in place:
        k = place["phi0"]
        turned = _turned(float(x[k]), bracket.lower[k], bracket.upper[k])
        x[k] = min([float(x[k]), *turned], key=abs)
    flip = _flip(x, bracket, convention)
    if flip is not None:
        rate, beta = place["gamma_dot_t0"], place.get("beta")
        power = 0.0 if beta is None else float(x[beta])
        level = x[rate] * reference_time(dataset.t) ** power + x[place["gamma_dot_t_offset"]]
        if level < 0.0:
            x = flip * x
            sign = np.concatenate([flip, np.ones(len(at.hessian) - len(flip))])
            hessian, gradient = at.hessian * np.outer(sign, sign), flip * at.gradient
            at = replace(at, hessian=hessian, gradient=gradient, grams=None)
    return replace(descent, x=x, at=at)


def equivalents(
    x: FloatArray, bracket: FreeParameters, dataset: Dataset, convention: Convention
) -> tuple[dict[str, float], ...]:
    """Return what else inside the bounds describes the data exactly as well, by parameter."""
    found = []
    if "phi0" in bracket.names:
        k = bracket.names.index("phi0")
        value, low, high = float(x[k]), float(bracket.lower[k]), float(bracket.upper[k])
        others = _turned(value, low, high)
        apart = np.mod(dataset.phi - dataset.phi[0] + 45.0, 90.0) - 45.0
        if np.all(np.abs(apart) < _SAME_ANGLE):
            mirrored = 2.0 * float(dataset.phi[0]) - value
            others += [v for v in [mirrored] if low <= v <= high and abs(v - value) > _SAME_ANGLE]
            others += _turned(mirrored, low, high)
        found += [{"phi0": other} for other in others]
    flip = _flip(x, bracket, convention)
    if flip is not None:
        found.append({n: float(-x[k]) for k, n in enumerate(bracket.names) if flip[k] < 0.0})
    return tuple(found)


def _turned(value: float, low: float, high: float) -> list[float]:
    """Return value + 180 degrees times +-1, +-2 ... within one turn and the bounds."""
    turns = [value + 180.0 * k for k in (-2, -1, 1, 2)]
    return [v for v in turns if max(low, -360.0) <= v <= min(high, 360.0)]


def _flip(x: FloatArray, bracket: FreeParameters, convention: Convention) -> FloatArray | None:
    """Return the signs (p,) that turn the shear rate round, None where bounds or model forbid."""
    if convention != "he2024" or not {"gamma_dot_t0", "gamma_dot_t_offset"} <= set(bracket.names):
        return None
    signs = np.array([-1.0 if n.startswith("gamma_dot") else 1.0 for n in bracket.names])
    inside = np.all((signs * x >= bracket.lower) & (signs * x <= bracket.upper))
    return signs if inside else None
