"""What a fit says about the sample over time: rates and what they accumulate, with bands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from homodyne_cli.dataset import FloatArray


@dataclass(frozen=True)
class Curve:
    """One quantity at the frames of a fit.

    Attributes
    ----------
    name, unit
        ``transport_coefficient`` and ``A^2/s``, say; the unit is empty where there is none.
    value, uncertainty
        (n,) and its standard deviation.
    """

    name: str
    unit: str
    value: FloatArray
    uncertainty: FloatArray


@dataclass(frozen=True)
class Curves:
    """The curves of a fit.

    With f = |g1|^2 = exp(-q^2 A) S and A the integral of J, g1 falls as exp(-q^2 A / 2): a particle
    whose displacement along q is Gaussian has the mean-square displacement A. That is along one
    direction; an isotropic motion has 3 A in space. (He et al., PNAS 2024,
    doi:10.1073/pnas.2401162121, define J as the rate at which this variance grows.)

    Attributes
    ----------
    t
        (n,) seconds of the fitted frames.
    transport_coefficient
        J(t) = D(t), Å^2/s; for Brownian motion twice the Stokes-Einstein diffusion coefficient.
    mean_square_displacement
        Integral of J from the first fitted frame, Å^2, along q.
    shear_rate, strain
        1/s, and its integral from the first fitted frame; None in static mode.
    """

    t: FloatArray
    transport_coefficient: Curve
    mean_square_displacement: Curve
    shear_rate: Curve | None = None
    strain: Curve | None = None

    def __iter__(self) -> Iterator[Curve]:
        """Go through the curves that there are."""
        every = (
            self.transport_coefficient,
            self.mean_square_displacement,
            self.shear_rate,
            self.strain,
        )
        return (curve for curve in every if curve is not None)


def is_power_law(curve: Curve) -> bool:
    """Whether a curve is drawn over logarithmic axes: a rate, where it is positive throughout."""
    rates = ("transport_coefficient", "shear_rate")
    return curve.name in rates and bool((curve.value > 0.0).all())
