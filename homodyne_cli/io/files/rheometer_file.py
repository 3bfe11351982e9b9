"""A rheometer's table: time, and shear rate or strain, with their units in the header."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Final

import numpy as np

from homodyne_cli.core.assumptions.rheometer import Flow, RheometerCurve
from homodyne_cli.errors import DataError

_HINT: Final = "the header says units: 'time (s), shear rate (1/s)' or 'time (s), strain (%)'"
_TIME: Final = {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0}
_RATE: Final = {"1/s": 1.0, "s^-1": 1.0, "s-1": 1.0, "1/min": 1.0 / 60.0}
_STRAIN: Final = {"1": 1.0, "": 1.0, "-": 1.0, "%": 0.01}
_KINDS: Final[dict[str, tuple[Flow, dict[str, float]]]] = {
    "shear rate": ("shear rate", _RATE),
    "rate": ("shear rate", _RATE),
    "gamma_dot": ("shear rate", _RATE),
    "strain": ("strain", _STRAIN),
    "gamma": ("strain", _STRAIN),
}
_COLUMN: Final = re.compile(r"\s*([^(\[]*?)\s*(?:[(\[]\s*([^)\]]*?)\s*[)\]])?\s*")


def read_rheometer(path: Path) -> RheometerCurve:
    """Read a table in CSV: time, shear rate or strain, and the uncertainty if it is known.

    Raises
    ------
    DataError
        It cannot be read, or does not say what its columns are.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            head, *rows = [row for row in csv.reader(stream, strict=True) if any(row)]
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    except (csv.Error, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"no CSV table with a header: {error}", path=path, hint=_HINT) from error
    kind, factors = _columns(path, head)
    values = np.empty((len(rows), len(factors)))
    for number, row in enumerate(rows, 2):
        try:
            values[number - 2] = np.array([float(cell) for cell in row]).reshape(len(factors))
        except ValueError as error:
            raise DataError(
                f"row {number} is not {len(factors)} numbers: {', '.join(row)[:60]}", path=path
            ) from error
    values *= factors
    t = values[:, 0]
    if len(t) < 2 or not np.all(np.diff(t) > 0.0):
        raise DataError("its times are not two or more in ascending order", path=path)
    uncertainty = np.abs(values[:, 2]) if len(factors) > 2 else np.zeros(len(t))
    return RheometerCurve(kind, t, values[:, 1], uncertainty)


def _columns(path: Path, head: list[str]) -> tuple[Flow, list[float]]:
    """Return what is measured, and the factors to s and 1/s or 1."""
    named = [match.groups() for cell in head if (match := _COLUMN.fullmatch(cell))]
    names = [name.lower().replace("shear_rate", "shear rate") for name, _ in named]
    units = ["" if unit is None else unit for _, unit in named]
    known = 2 <= len(names) == len(head) <= 3 and names[0] == "time" and names[1] in _KINDS
    if not known or (len(names) == 3 and names[2] != "uncertainty"):
        raise DataError(f"its columns are {', '.join(head)[:80]}", path=path, hint=_HINT)
    kind, scale = _KINDS[names[1]]
    for unit, table in ((units[0], _TIME), (units[1], scale)):
        if unit not in table:
            said = f"the unit {unit!r}" if unit else "no unit"
            accepted = ", ".join(key for key in table if key)
            raise DataError(f"has {said} where one of {accepted} is known", path=path, hint=_HINT)
    factor = scale[units[1]]
    return kind, [_TIME[units[0]], factor, factor][: len(names)]
