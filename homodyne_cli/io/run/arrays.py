"""What the arrays of a run directory hold: shape, unit and values, for writing and for reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.run.fields import LARGEST


@dataclass(frozen=True)
class ArrayEntry:
    """One array: the lengths of its axes, by name, and what may be in it."""

    axes: tuple[str, ...]
    meaning: str
    unit: str = ""
    values: Literal["finite", "positive", "any"] = "finite"
    required: bool = True

    def schema(self) -> dict[str, object]:
        """Return what is said about it in ``docs/schema``."""
        return {"shape": list(self.axes), "unit": self.unit, "values": self.values,
                "description": self.meaning}  # fmt: skip


_MAP: Final = ("n_phi", "n", "n")
_PER_ANGLE: Final = ("n_phi",)

#: The datasets of ``fitted_data.h5``. Maps hold pairs i < j and zero elsewhere.
FITTED_DATA: Final[Mapping[str, ArrayEntry]] = {
    "phi": ArrayEntry(_PER_ANGLE, "detector angles", "deg"),
    "t": ArrayEntry(("n",), "frame times, ascending", "s", "positive"),
    "c2": ArrayEntry(_MAP, "maps as fitted, NaN where a pair was not", "", "any"),
    "c2_fitted": ArrayEntry(_MAP, "contrast * f + offset", "", "any"),
    "contrast": ArrayEntry(_PER_ANGLE, "fitted contrast"),
    "offset": ArrayEntry(_PER_ANGLE, "fitted offset"),
    "contrast_uncertainty": ArrayEntry(_PER_ANGLE, "NaN where not determined", "", "any"),
    "offset_uncertainty": ArrayEntry(_PER_ANGLE, "NaN where not determined", "", "any"),
    "sigma": ArrayEntry(_PER_ANGLE, "noise of one value of c2", "", "positive"),
    "q": ArrayEntry(
        (), "wave vector, where all maps have the same", "1/Å", "positive", required=False
    ),
    "q_of_map": ArrayEntry(
        _PER_ANGLE, "wave vector of each map, where they differ", "1/Å", "positive", required=False
    ),
    "repeat": ArrayEntry(
        _PER_ANGLE, "which repeat a map is of, from 1, where there are several", required=False
    ),
    "pixels": ArrayEntry(
        _PER_ANGLE, "detector pixels of each map, where known", "", "positive", required=False
    ),
    "dt": ArrayEntry((), "frame interval", "s", "positive"),
    "stator_rotor_gap": ArrayEntry((), "left out where unknown", "Å", "positive", required=False),
    "sigma_map": ArrayEntry(
        _MAP,
        "noise per pair, where given; NaN where a pair was not fitted",
        "",
        "any",
        required=False,
    ),
}

#: What is read of ``fitted_data.npz`` of homodyne 2.x.
LEGACY_DATA: Final[Mapping[str, ArrayEntry]] = {
    "phi_angles": ArrayEntry(_PER_ANGLE, "detector angles", "deg"),
    "t1": ArrayEntry(("n",), "frame times", "s", "positive"),
    "c2_exp": ArrayEntry(_MAP, "maps as fitted", "", "any"),
    "per_angle_scaling": ArrayEntry(("n_phi", "2"), "contrast and offset"),
    "per_angle_scaling_solver": ArrayEntry(("n_phi", "2"), "contrast and offset"),
    "q": ArrayEntry((), "wave vector", "1/Å", "positive"),
}


@dataclass
class ArrayChecker:
    """Checks the arrays of one file, in the order in which they are read.

    Attributes
    ----------
    path
        The file.
    sizes
        Lengths of the axes, by name, as the first array that has them says.
    """

    path: Path
    sizes: dict[str, int] = field(default_factory=dict)

    def check_layout(
        self, name: str, entry: ArrayEntry, shape: tuple[int, ...], dtype: np.dtype[np.generic]
    ) -> None:
        """Refuse what has another shape or holds no real numbers, before it is read.

        Raises
        ------
        DataError
            With the file and the array.
        """
        if dtype.kind not in "fiu":
            raise self.error(name, f"holds {dtype}, not real numbers")
        axes = f"({', '.join(entry.axes)})" if entry.axes else "a single number"
        if len(shape) != len(entry.axes) or 0 in shape:
            raise self.error(name, f"has shape {shape}, not {axes}")
        wanted = tuple(
            self._length(axis, size) for axis, size in zip(entry.axes, shape, strict=True)
        )
        if shape != wanted:
            together = "the arrays do not fit together"
            raise self.error(name, f"has shape {shape}, not {axes} = {wanted}: {together}")

    def _length(self, axis: str, size: int) -> int:
        return int(axis) if axis.isdigit() else self.sizes.setdefault(axis, size)

    def check_values(self, name: str, entry: ArrayEntry, values: FloatArray) -> FloatArray:
        """Return values, or refuse what no measurement has where a number has to be."""
        good = np.abs(values) <= LARGEST
        if entry.values == "positive":
            good &= values >= 1.0 / LARGEST
        if entry.values != "any" and not good.all():
            wanted = "a positive number" if entry.values == "positive" else "a finite number"
            raise self.error(name, f"holds {values[~good].ravel()[0]:g}, not {wanted}")
        return values

    def check_map(self, name: str, angle: int, one: MapArray) -> MapArray:
        """Return the map of an angle, or refuse one without pairs or of absurd size."""
        sizes = np.abs(one[np.triu(np.isfinite(one), 1)])
        if not len(sizes):
            raise self.error(name, f"has no pair of map {angle + 1} that is a number")
        if not 1.0 / LARGEST <= sizes.max() <= LARGEST:
            raise self.error(name, f"holds {sizes.max():g}, not values of c2")
        return one

    def check_times(self, name: str, t: FloatArray) -> None:
        """Refuse fewer than two frames, and times that do not ascend."""
        if len(t) < 2 or not (np.diff(t) > 0.0).all():
            raise self.error(name, "is not two or more times in ascending order")

    def error(self, name: str, message: str) -> DataError:
        """Return the error for one array."""
        return DataError(message, path=self.path, dataset=name)


def fitted_data_schema() -> dict[str, object]:
    """Return the table of ``fitted_data.h5`` in the manner of JSON Schema."""
    return {
        "description": "fitted_data.h5: HDF5 datasets at the root, with their shapes and units.",
        "properties": {name: entry.schema() for name, entry in FITTED_DATA.items()},
        "required": [name for name, entry in FITTED_DATA.items() if entry.required],
        "title": "FittedData",
        "type": "object",
    }
