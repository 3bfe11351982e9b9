"""``curves.csv``: the curves of a fit, one row per frame, units in the header."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from homodyne_cli.curves import Curves
from homodyne_cli.errors import DataError

CURVES = "curves.csv"


def write_curves(path: Path, curves: Curves) -> None:
    """Write time, then every curve and its standard deviation.

    The columns are called ``time [s]``, ``transport_coefficient [A^2/s]``,
    ``transport_coefficient_sigma [A^2/s]`` and so on; `Curves` says what they mean.
    """
    names, columns = ["time [s]"], [curves.t]
    for curve in curves:
        unit = f" [{curve.unit}]" if curve.unit else ""
        names += [curve.name + unit, f"{curve.name}_sigma{unit}"]
        columns += [curve.value, curve.uncertainty]
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(names)
        table.writerows([f"{v:.10g}" for v in row] for row in np.stack(columns, axis=1))


def read_curves(path: Path, curves: Curves) -> Curves:
    """Read the curves of a run, in place of those that follow from its parameters.

    The file knows more of the bands: a parameter that the data do not determine has no variance in
    ``parameters.json``, and is as likely anywhere between its bounds here.

    Raises
    ------
    DataError
        If the file is damaged, or of other frames or quantities than `curves`.
    """
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
    wanted = (len(curves.t), 1 + 2 * len(list(curves)))
    if table.shape != wanted:
        raise DataError(f"holds {table.shape} numbers, where {wanted} are needed", path=path)
    pairs = zip(curves, table.T[1::2], table.T[2::2], strict=True)
    return Curves(table[:, 0], *(replace(c, value=v, uncertainty=error) for c, v, error in pairs))
