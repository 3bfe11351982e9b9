"""Whether parts of a fit agree: its rings, or the repeats of its experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComparedKind = Literal["rings", "repeats"]


@dataclass(frozen=True)
class ComparedQuantity:
    """One quantity of the parts of a fit, all else as in the joint fit.

    Attributes
    ----------
    name, unit
        ``J`` and ``shear rate`` in %, ``phi0`` in deg.
    deviation, uncertainty
        (n_parts,) from the joint fit; NaN where a part does not know it.
    chi2, degrees, p_value
        Of all deviations being zero, and the chance of more where they are.
    """

    name: str
    unit: str
    deviation: FloatArray
    uncertainty: FloatArray
    chi2: float
    degrees: int
    p_value: float

    @property
    def worst(self) -> int:
        """The part that is most standard deviations off."""
        return int(np.argmax(np.nan_to_num(np.abs(self.deviation / self.uncertainty))))


@dataclass(frozen=True)
class Agreement:
    """Whether the rings of a joint fit agree, or its repeats.

    Attributes
    ----------
    parts
        (n_parts,) q in 1/Å, or the number of the repeat.
    quantities
        What is compared; empty where no free parameter is about it.
    chi2, degrees, p_value
        Of all parameters being the same, and the chance of more where they are.
    """

    kind: ComparedKind
    parts: FloatArray
    quantities: tuple[ComparedQuantity, ...]
    chi2: float
    degrees: int
    p_value: float

    @property
    def scatter(self) -> float:
        """Scatter of the parameters in units of the stated uncertainties."""
        return float(np.sqrt(self.chi2 / self.degrees)) if self.degrees else float("nan")

    def label(self, part: int) -> str:
        """Say which part it is."""
        value = self.parts[part]
        return f"q = {value:.4g} 1/Å" if self.kind == "rings" else f"repeat {value:.0f}"
