"""Fits beside each other: parameters in sigmas, quality, and what differs in config and data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homodyne_cli.assessments import SavedFit
from homodyne_cli.render.numbers import (
    MISSING,
    format_count,
    format_number,
    format_with_uncertainty,
)
from homodyne_cli.results import FittedParameter

#: Parameters further apart than this are marked: by chance it happens once in 22.
_APART = 2.0


@dataclass(frozen=True)
class ComparedRow:
    """One quantity of several fits.

    Attributes
    ----------
    cells
        One each per fit, as text.
    differs
        Whether the fits differ in it.
    apart
        For parameters: how far each further fit is from the first one, in sigmas of both together.
    """

    what: str
    cells: tuple[str, ...]
    differs: bool
    apart: tuple[float, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Several fits, the first one being what the others are compared with."""

    names: tuple[str, ...]
    parameters: tuple[ComparedRow, ...]
    quality: tuple[ComparedRow, ...]
    data: tuple[ComparedRow, ...]
    config: tuple[ComparedRow, ...]

    @property
    def same_data(self) -> bool:
        """Whether chi2 can be compared: the same pairs of the same file."""
        return not any(row.differs for row in self.data if row.what in _OF_DATA)


#: Said where chi2 cannot be compared.
NOT_COMPARED = "The runs are not of the same pairs of the same file: chi2 cannot be compared."
_OF_DATA = ("data SHA-256", "q (1/Å)", "dt (s)", "frames", "angles", "pairs")


def compare_fits(fits: Sequence[SavedFit]) -> Comparison:
    """Compare fits."""
    names: list[str] = []
    for fit in fits:
        twice = fit.name in names or sum(fit.name == other.name for other in fits) > 1
        names.append(str(fit.directory) if twice else fit.name)
    return Comparison(
        tuple(names),
        tuple(_parameters(fits)),
        tuple(_quality(fits)),
        tuple(_data(fits)),
        tuple(_config(fits)),
    )


def sigmas_apart(one: FittedParameter | None, other: FittedParameter | None) -> float:
    """Return the difference in sigmas of both together; NaN where there is no telling."""
    if one is None or other is None:
        return math.nan
    error = math.hypot(one.uncertainty, other.uncertainty)
    return (other.value - one.value) / error if error > 0.0 else math.nan


def sigmas_text(apart: float) -> str:
    """Write how far two values are apart."""
    return f"{apart:+.1f} sigma" if math.isfinite(apart) else MISSING


def _parameters(fits: Sequence[SavedFit]) -> Iterator[ComparedRow]:
    columns = [{p.name: p for p in fit.result.parameters} for fit in fits]
    for name in dict.fromkeys(name for column in columns for name in column):
        row = [column.get(name) for column in columns]
        apart = tuple(sigmas_apart(row[0], p) for p in row[1:])
        unit = next(p.unit for p in row if p is not None)
        differs = any(abs(a) > _APART for a in apart) or None in row
        what = f"{name} ({unit})" if unit else name
        yield ComparedRow(what, tuple(map(value_and_error, row)), differs, apart)


def value_and_error(parameter: FittedParameter | None) -> str:
    """Write a parameter rounded by its uncertainty."""
    if parameter is None:
        return MISSING
    value, error = format_with_uncertainty(parameter.value, parameter.uncertainty)
    return f"{value} {error}" if parameter.fixed else f"{value} ± {error}"


def _row(what: str, cells: Iterable[str]) -> ComparedRow:
    texts = tuple(cells)
    return ComparedRow(what, texts, len(set(texts)) > 1)


def _quality(fits: Sequence[SavedFit]) -> Iterator[ComparedRow]:
    results = [fit.result for fit in fits]
    yield _row("converged", ("yes" if r.converged else "NO" for r in results))
    yield _row("chi2", (format_number(r.chi2, 8) for r in results))
    yield _row("reduced chi2", (format_number(r.reduced_chi2, 5) for r in results))
    yield _row("EDM", (format_number(r.edm, 3) for r in results))
    yield _row("iterations", (str(r.iterations) for r in results))


def _data(fits: Sequence[SavedFit]) -> Iterator[ComparedRow]:
    inputs = [list(fit.origin.inputs.items())[-1:] for fit in fits]
    yield _row("data file", (Path(i[0][0]).name if i else MISSING for i in inputs))
    yield _row("data SHA-256", (i[0][1][:12] if i else MISSING for i in inputs))
    yield _row("q (1/Å)", (_rings(fit) for fit in fits))
    yield _row("gap (Å)", (MISSING if f.gap is None else format_number(f.gap, 6) for f in fits))
    yield _row("dt (s)", (format_number(fit.dt, 6) for fit in fits))
    yield _row("frames", (_frames(fit) for fit in fits))
    yield _row("angles", (_angles(fit) for fit in fits))
    yield _row("pairs", (format_count(fit.result.n_points) for fit in fits))
    yield _row("noise (mean)", (format_number(float(f.result.sigma.mean()), 3) for f in fits))
    yield _row("program", (fit.origin.written_by or MISSING for fit in fits))
    yield _row("convention", (fit.result.convention for fit in fits))


def _frames(fit: SavedFit) -> str:
    known = fit.provenance.get("frames")
    return str(fit.n_frames) if known is None else known.value


def _rings(fit: SavedFit) -> str:
    return ", ".join(format_number(float(q), 6) for q in fit.rows.rings)


def _angles(fit: SavedFit) -> str:
    return f"{len(fit.phi)}, {np.min(fit.phi):.2f} to {np.max(fit.phi):.2f} deg"


def _config(fits: Sequence[SavedFit]) -> Iterator[ComparedRow]:
    """Yield the keys that are not the same everywhere."""
    flat = [dict(_leaves(fit.config)) for fit in fits]
    for key in dict.fromkeys(key for keys in flat for key in keys):
        row = _row(key, (keys.get(key, MISSING) for keys in flat))
        if row.differs:
            yield row


def _leaves(tree: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, "null" if tree is None else str(tree)
