"""What every layout of correlation data is turned into.

A layout reader looks only at names, shapes and the small lists; the maps themselves are read
later, one by one, through `RawSource.read`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError

STATED: Final = frozenset({"q", "phi"})
#: Reads rows and columns low:high of one map, as stored.
BlockReader: TypeAlias = Callable[[int, int, int], MapArray]


@dataclass(frozen=True)
class Interval:
    """Frame interval in seconds and the datasets it was computed from."""

    seconds: float
    source: str


@dataclass(frozen=True)
class NamedArray:
    """An array that the user names as the maps, and where its axis of the angles is."""

    name: str
    angle_axis: Literal["first", "last"] = "first"


@dataclass(frozen=True)
class SigmaSource:
    """Noise stored beside the maps: one value, one per map, or one per pair (`read`)."""

    name: str
    values: FloatArray | None = None
    read: BlockReader | None = None


@dataclass(frozen=True)
class RawSource:
    """A file's maps and what is known of each, before anything is selected.

    Attributes
    ----------
    layout
        Its name, for display.
    maps
        Dataset path of every map, in the order that `q`, `phi` and `read` use.
    shapes
        Shape of every map.
    dtype
        float32 or float64: what `read` returns.
    read
        Returns one square block of one map as stored, whichever half it has.
    q, q_source
        (n_maps,) in 1/Å, and where from; None if the file does not say.
    phi, phi_source
        (n_maps,) in degrees, likewise.
    phi_factor
        What the file's angles were multiplied by to be degrees.
    rings
        (n_maps,) ring numbers where the file tells them; None to derive them from `q`.
    interval
        Frame interval, None if the file does not say.
    times
        (n,) time of every frame in seconds, None if the file does not say.
    sigma
        Noise, None if the file has none.
    numbered_from
        Number of the first stored frame.
    began
        How long before it the measurement began, and where from; None if the file does not say.
    shift
        To be added to the maps.
    units
        ``q`` and ``phi``, where the file or the definition of its layout states their unit.
    notes
        Sentences the user should read.
    pixels
        (n_maps,) detector pixels of each map; None if the file does not say.
    files
        The file, and those that links and virtual datasets in it lead to.
    """

    path: Path
    layout: str
    maps: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[np.generic]
    read: BlockReader
    q: FloatArray | None
    q_source: str
    phi: FloatArray | None
    phi_source: str
    phi_factor: float = 1.0
    rings: NDArray[np.intp] | None = None
    interval: Interval | None = None
    times: FloatArray | None = None
    sigma: SigmaSource | None = None
    numbered_from: int = 1
    began: Interval | None = None
    shift: float = 0.0
    units: frozenset[str] = STATED
    notes: tuple[str, ...] = ()
    pixels: FloatArray | None = None
    files: tuple[Path, ...] = ()


_NUMBER: Final = re.compile(r"(\d+)$")


def by_number(names: Sequence[str], path: Path, group: str) -> list[tuple[int, str]]:
    """Return (number, name) of the names that end in a number, in numeric order.

    Writers do not all pad the numbers, and as text ``c2_10`` comes before ``c2_2``.

    Raises
    ------
    DataError
        Two names have the same number, or none has any.
    """
    numbered = [(int(m.group(1)), name) for name in names if (m := _NUMBER.search(name))]
    numbered.sort()
    for (number, name), (following, other) in pairwise(numbered):
        if number == following:
            raise DataError(
                f"holds both {name} and {other}: two maps with number {number}",
                path=path,
                dataset=group,
            )
    if not numbered:
        raise DataError("holds no maps", path=path, dataset=group, hint="see the writer's log")
    return numbered
