"""A fit as the library gives it: made now, or read from a run directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from homodyne_cli.assessments import StoredRun
from homodyne_cli.core.evaluation import EvaluatedRun, evaluate_run
from homodyne_cli.curves import Curve
from homodyne_cli.dataset import Dataset
from homodyne_cli.errors import UsageError
from homodyne_cli.library.plots import MapKind, plot_correlation, plot_curve, plot_map
from homodyne_cli.library.shown import Shown, html_table
from homodyne_cli.problem import FitProblem
from homodyne_cli.render.numbers import format_number, format_with_uncertainty
from homodyne_cli.render.screens.fit import fit_answer
from homodyne_cli.render.tables import parameter_flag
from homodyne_cli.results import FitRecord, FitResult, FittedParameter, Seconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class Fit(Shown):
    """A fit with its data.

    Attributes
    ----------
    data
        Maps, angles, times, and what is doubtful in them (`findings`).
    problem
        What was asked of the fit.
    result
        Everything that the fit found: parameters, covariance, curves, history.
    record
        What the fit says about itself.
    seconds
        Where the time went; None if that is not known.
    """

    data: Dataset
    problem: FitProblem
    result: FitResult
    record: FitRecord
    seconds: Seconds | None = None

    def __repr__(self) -> str:
        ended = "converged" if self.converged else "not converged"
        values = ", ".join(f"{p.name}={format_number(p.value)}" for p in self.result.parameters)
        return f"<Fit: {ended}, reduced chi2 {self.result.reduced_chi2:.4g}, {values}>"

    def __getitem__(self, name: str) -> FittedParameter:
        """Return a parameter by its name."""
        for parameter in self.result.parameters:
            if parameter.name == name:
                return parameter
        names = ", ".join(p.name for p in self.result.parameters)
        raise KeyError(f"{name}: the parameters are {names}")

    def __iter__(self) -> Iterator[FittedParameter]:
        """Go through the parameters, in table order."""
        return iter(self.result.parameters)

    @property
    def converged(self) -> bool:
        """Whether it ended at a minimum."""
        return self.result.converged

    @property
    def run_directory(self) -> Path | None:
        """Where it was read from; None if it was made in memory."""
        return self.record.directory

    @cached_property
    def evaluated(self) -> EvaluatedRun:
        """One pass over the pairs, from which diagnosis and verification start."""
        data = replace(self.data, sigma=self.result.sigma)
        run = StoredRun(self.problem, data, self.result.solution, self.record)
        return evaluate_run(run)

    def _answer(self) -> dict[str, object]:
        nothing = Seconds(*5 * (float("nan"),))
        seconds = self.seconds or nothing
        return fit_answer(self.run_directory, self.data, self.result, seconds, None)

    def _columns(self) -> Mapping[str, Sequence[object]]:
        rows = self.result.parameters
        return {
            "parameter": [p.name for p in rows],
            "value": [p.value for p in rows],
            "uncertainty": [p.uncertainty for p in rows],
            "unit": [p.unit for p in rows],
            "initial": [p.initial for p in rows],
            "lower": [p.bounds.lower for p in rows],
            "upper": [p.bounds.upper for p in rows],
            "at_bound": [p.at_bound for p in rows],
            "fixed": [p.fixed for p in rows],
        }

    def _repr_html_(self) -> str:
        result = self.result
        rows = [
            (p.name, *format_with_uncertainty(p.value, p.uncertainty), p.unit, parameter_flag(p))
            for p in result.parameters
        ]
        head = ("parameter", "value", "uncertainty", "unit", "remark")
        ended = "converged" if result.converged else "NOT CONVERGED"
        said = (
            f"{ended}: {result.message}; reduced χ² {format_number(result.reduced_chi2)} over "
            f"{result.n_points:,} pairs; EDM {format_number(result.edm, 3)}"
        )
        doubts = "".join(
            f"<p>{finding.severity}: {escape(finding.message)} [{finding.code}]</p>"
            for finding in self.data.findings or ()
        )
        shown = html_table("Parameters", head, rows, ("value", "uncertainty"))
        return f"{shown}<p>{escape(said)}</p>{doubts}"

    def curve(self, name: str) -> Curve:
        """Return a curve by its name.

        Raises
        ------
        UsageError
            If there is none of this name, as of shear in static mode.
        """
        curves = {curve.name: curve for curve in self.result.curves}
        if name not in curves:
            raise UsageError(f"there is no curve {name!r}", hint=f"there are {', '.join(curves)}")
        return curves[name]

    def plot_curve(self, name: str, axes: Axes) -> None:
        """Draw a curve with its band of one sigma: ``transport_coefficient``, for example."""
        plot_curve(axes, self.result.curves.t, self.curve(name))

    def plot_map(self, angle: int, axes: Axes, kind: MapKind = "data") -> None:
        """Draw the map of an angle, by its place in ``data.phi``: data, fit or residual."""
        plot_map(axes, self.data, self.result, angle, kind)

    def plot_correlation(self, axes: Axes) -> None:
        """Draw how the uncertainties of the parameters are correlated."""
        plot_correlation(axes, self.result)
