"""``curves.csv``: the curves of a fit, one row per frame, units in the header."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from homodyne_cli.curves import Curves


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
