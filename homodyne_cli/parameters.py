"""The table of model parameters: names, symbols, units, bounds, starts and aliases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

AnalysisMode = Literal["static", "laminar_flow"]
Convention = Literal["he2024", "homodyne-2"]
PerAngleMode = Literal["individual", "shared", "fixed", "fourier"]
PerRepeatMode = Literal["individual", "shared"]
Loss = Literal["linear", "soft_l1", "huber", "cauchy", "arctan"]
XScaleMode = Literal["auto", "config", "jac", "unit"]
NoiseWeights = Literal["auto", "equal", "best"]


@dataclass(frozen=True)
class Parameter:
    """One model parameter.

    Attributes
    ----------
    name
        The name in configs, JSON and tables.
    symbol
        Short form for narrow tables.
    unit
        Unit of the value; ``""`` where it has none.
    lower, upper
        Default bounds.
    start
        Default start value.
    may_be_zero
        Whether zero is a physically meaningful value, so that a relative uncertainty is not.
    aliases
        Other names accepted on reading.
    """

    name: str
    symbol: str
    unit: str
    lower: float
    upper: float
    start: float
    may_be_zero: bool
    aliases: tuple[str, ...] = ()


PARAMETERS: Final = (
    Parameter("D0", "D₀", "Å²/s^(1+α)", 1.0, 1e6, 1e4, False),
    Parameter("alpha", "α", "", -2.0, 2.0, -0.5, True),
    Parameter("D_offset", "D_off", "Å²/s", -1e5, 1e5, 0.0, True),
    Parameter(
        "gamma_dot_t0", "γ̇₀", "1/s^(1+β)", 1e-6, 0.5, 1e-3, False,
        ("gamma_dot_0", "gamma_dot_t_0", "gamma0"),
    ),
    Parameter("beta", "β", "", -2.0, 2.0, 0.0, True),
    Parameter(
        "gamma_dot_t_offset", "γ̇_off", "1/s", -0.1, 0.1, 0.0, True,
        ("gamma_dot_offset", "gamma_offset"),
    ),
    Parameter("phi0", "φ₀", "deg", -10.0, 10.0, 0.0, True, ("phi_0",)),
)  # fmt: skip

NAMES: Final = tuple(p.name for p in PARAMETERS)
BY_NAME: Final = {p.name: p for p in PARAMETERS}
ALIASES: Final = {alias: p.name for p in PARAMETERS for alias in p.aliases}
N_DIFFUSION: Final = 3

#: Amplitude, exponent and offset of the transport coefficient and of the shear rate.
RATES: Final = (
    ("D0", "alpha", "D_offset"),
    ("gamma_dot_t0", "beta", "gamma_dot_t_offset"),
)

#: Default bounds of the per-angle scaling factors.
CONTRAST_BOUNDS: Final = (0.0, 1.0)
OFFSET_BOUNDS: Final = (0.5, 1.5)

#: Gap in ångström assumed for a homodyne 2.x run directory that does not record it.
DEFAULT_GAP: Final = 2.0e6


def names_of(mode: AnalysisMode) -> tuple[str, ...]:
    """Return the parameter names of an analysis mode, in their fixed order."""
    return NAMES if mode == "laminar_flow" else NAMES[:N_DIFFUSION]


def canonical_name(name: str) -> str | None:
    """Return the table's name for `name` or one of its aliases, None if it is unknown."""
    if name in BY_NAME:
        return name
    return ALIASES.get(name)
