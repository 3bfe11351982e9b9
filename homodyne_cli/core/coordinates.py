"""Coordinates that the optimiser moves in: physical ones, or the documented shear transforms.

With ``shear_transforms`` enabled gamma_dot_t0 is optimised as ln(gamma_dot_t0/gamma_dot_t0_ref) and
beta as beta - beta_ref. Parameters, uncertainties and scales are always reported in physical
units; only the path of the optimiser changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homodyne_cli.errors import ConfigError
from homodyne_cli.models import Bounds, FloatArray, ShearTransforms


@dataclass(frozen=True)
class Coordinates:
    """One-to-one map between physical x and optimiser's u, parameter by parameter.

    Attributes
    ----------
    logarithmic
        (p,) whether u = ln(x/reference).
    reference
        (p,) the reference of a logarithm, or what is subtracted.
    """

    logarithmic: np.ndarray
    reference: FloatArray

    def to_u(self, x: FloatArray) -> FloatArray:
        """Return optimiser coordinates."""
        ratio = np.where(self.logarithmic, x / np.where(self.logarithmic, self.reference, 1.0), 1.0)
        return np.where(self.logarithmic, np.log(ratio), x - self.reference)

    def to_x(self, u: FloatArray) -> FloatArray:
        """Return physical parameters."""
        exponent = np.where(self.logarithmic, u, 0.0)
        return np.where(self.logarithmic, self.reference * np.exp(exponent), u + self.reference)

    def slope(self, x: FloatArray) -> FloatArray:
        """Return dx/du."""
        return np.where(self.logarithmic, x, 1.0)


def coordinates(
    names: tuple[str, ...], transforms: ShearTransforms, bounds: dict[str, Bounds]
) -> Coordinates:
    """Make the coordinates of the free parameters.

    Raises
    ------
    ConfigError
        If the logarithm is asked for and gamma_dot_t0 may be zero or negative.
    """
    logarithmic = np.zeros(len(names), dtype=bool)
    reference = np.zeros(len(names))
    if transforms.enabled and "gamma_dot_t0" in names:
        if bounds["gamma_dot_t0"].lower <= 0.0:
            raise ConfigError(
                "shear_transforms take the logarithm of gamma_dot_t0, whose lower bound is "
                f"{bounds['gamma_dot_t0'].lower:g}",
                hint="set a positive lower bound, or shear_transforms.enabled: false",
            )
        logarithmic[names.index("gamma_dot_t0")] = True
        reference[names.index("gamma_dot_t0")] = transforms.gamma_dot_t0_ref
    if transforms.enabled and "beta" in names:
        reference[names.index("beta")] = transforms.beta_ref
    return Coordinates(logarithmic, reference)
