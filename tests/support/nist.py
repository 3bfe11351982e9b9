"""The NIST StRD nonlinear-regression problems: data files, models, certified values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import jax
import numpy as np

from homodyne_cli.core.numerics.backend import jnp
from homodyne_cli.dataset import FloatArray

FOLDER: Final = Path(__file__).parents[1] / "data/nist"
_PARAMETER = re.compile(r"^\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", re.MULTILINE)

Model = Callable[[jax.Array, jax.Array], jax.Array]
Compiled = Callable[[FloatArray, FloatArray], jax.Array]


def _cubic_ratio(b: jax.Array, x: jax.Array) -> jax.Array:
    top = b[0] + x * (b[1] + x * (b[2] + x * b[3]))
    return top / (1.0 + x * (b[4] + x * (b[5] + x * b[6])))


def _two_gauss(b: jax.Array, x: jax.Array) -> jax.Array:
    peaks = b[2] * jnp.exp(-(((x - b[3]) / b[4]) ** 2)) + b[5] * jnp.exp(
        -(((x - b[6]) / b[7]) ** 2)
    )
    return b[0] * jnp.exp(-b[1] * x) + peaks


def _three_exponentials(b: jax.Array, x: jax.Array) -> jax.Array:
    terms = [b[2 * k] * jnp.exp(-b[2 * k + 1] * x) for k in range(3)]
    return terms[0] + terms[1] + terms[2]


def _enso(b: jax.Array, x: jax.Array) -> jax.Array:
    angle = 2.0 * jnp.pi * x
    year = b[1] * jnp.cos(angle / 12.0) + b[2] * jnp.sin(angle / 12.0)
    one = b[4] * jnp.cos(angle / b[3]) + b[5] * jnp.sin(angle / b[3])
    other = b[7] * jnp.cos(angle / b[6]) + b[8] * jnp.sin(angle / b[6])
    return b[0] + year + one + other


def _chwirut(b: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


MODELS: Final[dict[str, Model]] = {
    "Misra1a": lambda b, x: b[0] * (1.0 - jnp.exp(-b[1] * x)),
    "Misra1b": lambda b, x: b[0] * (1.0 - (1.0 + b[1] * x / 2.0) ** -2),
    "Misra1c": lambda b, x: b[0] * (1.0 - (1.0 + 2.0 * b[1] * x) ** -0.5),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1.0 + b[1] * x),
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "Lanczos1": _three_exponentials,
    "Lanczos2": _three_exponentials,
    "Lanczos3": _three_exponentials,
    "Gauss1": _two_gauss,
    "Gauss2": _two_gauss,
    "Gauss3": _two_gauss,
    "Kirby2": lambda b, x: (b[0] + x * (b[1] + x * b[2])) / (1.0 + x * (b[3] + x * b[4])),
    "Hahn1": _cubic_ratio,
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * jnp.exp(-b[2] * x[1]),
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * jnp.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * jnp.exp(-x * b[3]) + b[2] * jnp.exp(-x * b[4]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi,
    "ENSO": _enso,
    "Thurber": _cubic_ratio,
    "BoxBOD": lambda b, x: b[0] * (1.0 - jnp.exp(-b[1] * x)),
    "Rat42": lambda b, x: b[0] / (1.0 + jnp.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1.0 + jnp.exp(b[1] - b[2] * x)) ** (1.0 / b[3]),
    "Eckerle4": lambda b, x: b[0] / b[1] * jnp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1.0 / b[2]),
}


@cache
def _compiled(model: Model) -> tuple[Compiled, Compiled]:
    """Return a model and its derivative: some problems take thousands of evaluations."""
    return jax.jit(model), jax.jit(jax.jacfwd(model))


@dataclass(frozen=True)
class Problem:
    """One problem: `x` is (n,) or (2, n); `starts` two (p,) points; `certified` (p,)."""

    model: Model
    x: FloatArray
    y: FloatArray
    starts: tuple[FloatArray, FloatArray]
    certified: FloatArray

    def residual(self, b: FloatArray) -> FloatArray:
        """Return model minus data."""
        return np.asarray(_compiled(self.model)[0](b, self.x)) - self.y

    def jacobian(self, b: FloatArray) -> FloatArray:
        """Return the (n, p) derivative of the residual."""
        return np.asarray(_compiled(self.model)[1](b, self.x))

    def digits(self, b: FloatArray) -> float:
        """Return to how many digits every parameter agrees with the certified value."""
        error = np.abs(b / self.certified - 1.0).max()
        return float(-np.log10(max(float(error), 1e-16))) if np.isfinite(error) else 0.0


def load(name: str) -> Problem:
    """Read a problem's file."""
    text = (FOLDER / f"{name}.dat").read_text(encoding="ascii")
    rows = np.array([[float(v) for v in row] for row in _PARAMETER.findall(text)])
    data = np.array([[float(v) for v in line.split()] for line in text.splitlines()[60:] if line])
    y, x = data[:, 0], data[:, 1] if data.shape[1] == 2 else data[:, 1:].T
    if name == "Nelson":
        y = np.log(y)
    return Problem(MODELS[name], x, y, (rows[:, 0], rows[:, 1]), rows[:, 2])
