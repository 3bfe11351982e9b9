"""What a pass is asked, and what it answers, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from homodyne_cli.dataset import FloatArray
from homodyne_cli.parameters import N_DIFFUSION, AnalysisMode, Convention, Loss

#: Where vectors are held, or what shape they have.
Leaf = TypeVar("Leaf")


class AngleScaling(NamedTuple, Generic[Leaf]):
    """From the normalised model to residuals in units of sigma, (n_phi,) each, on host or device.

    A robust weight depends on it.
    """

    contrast: Leaf
    offset: Leaf
    sigma: Leaf


@dataclass(frozen=True)
class PairWeight:
    """How a pass weights pairs.

    Attributes
    ----------
    loss
        SciPy's name.
    role
        ``irls``: rho'. ``curvature``: rho' + 2 z rho'' (the Hessian of the cost).
        ``score``: rho'^2 (the variance of the gradient).
    """

    loss: Loss
    role: Literal["irls", "curvature", "score"] = "irls"


LINEAR = PairWeight("linear")


@dataclass(frozen=True)
class PassSpec:
    """What a pass computes; each kind is compiled once.

    Attributes
    ----------
    mode, convention
        The model.
    derivatives
        False for the columns f, 1 and y alone (enough for the cost).
    weight
        How pairs are weighted: equally, or by a robust loss of the current residual.
    """

    mode: AnalysisMode
    convention: Convention
    derivatives: bool = True
    weight: PairWeight = LINEAR

    @property
    def patterns(self) -> tuple[int, int]:
        """Number of u and of v patterns."""
        if not self.derivatives:
            return 1, 0
        return N_DIFFUSION + 1, 0 if self.mode == "static" else 4


@dataclass(frozen=True)
class AngleGrams:
    """What one pass gives, per angle.

    Attributes
    ----------
    gram
        (n_phi, m, m) sums of w a b over pairs, for the columns [df/dp (p), f, 1, y] (without the
        derivatives if the pass left them out); y is counted from `shift`.
    loss
        (n_phi,) sum of the robust loss rho(r^2/sigma^2); zero for the linear loss.
    shift
        (n_phi,) what y is counted from.
    """

    gram: FloatArray
    loss: FloatArray
    shift: FloatArray
