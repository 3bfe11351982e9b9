"""Two-time results in the NeXus application definition NXxpcs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.aps import frame_interval, unit_of_q
from homodyne_cli.io.formats.halves import Half, asymmetry, stored_half, upper_pairs
from homodyne_cli.io.formats.hdf5_access import Hdf5File, float_type
from homodyne_cli.io.formats.raw_source import BlockReader, RawSource, by_number
from homodyne_cli.io.formats.units import to_degrees

_SIGNAL: Final = "twotime/two_time_corr_func"
_HALVES: Final = {"all": "full", "upper_half": "upper", "lower_half": "lower"}
#: Relative difference of the halves of a symmetric map, stored in float32 with some arithmetic, and
#: the frames of a block along the diagonal in which it is looked for.
_SYMMETRIC: Final = 1e-4
_BLOCK: Final = 256

Axis = Literal["first", "last"]


@dataclass(frozen=True)
class _Stack:
    """The maps of a file: one dataset each, or slices of one array."""

    maps: tuple[str, ...]
    numbers: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype[np.generic]
    read: BlockReader
    notes: tuple[str, ...] = ()


def find_entry(file: Hdf5File) -> str | None:
    """Return the first top-level group that holds NXxpcs two-time maps, None if none does."""
    for name in file.members("/"):
        if file.reached(f"/{name}/{_SIGNAL}") is not None:
            return f"/{name}"
    return None


def read_nxxpcs(file: Hdf5File, entry: str) -> RawSource:
    """Describe an NXxpcs file.

    ``storage_mode`` says whether the maps are one array (bins first or last) or one dataset
    per bin, named by its number in the ROI map; the shape decides where the two disagree.
    Which half is populated is seen from the content.

    Raises
    ------
    DataError
        A dataset is missing, or the lists and the maps do not fit together.
    """
    signal = f"{entry}/{_SIGNAL}"
    stack = _keyed(file, signal) if file.is_group(signal) else _array(file, signal)
    q, phi, turn = _lists(file, entry, stack, signal)
    stack = _oriented(file, signal, stack)
    notes = stack.notes
    at_zero = _is_zero(file.attribute(signal, "baseline_reference"))
    if at_zero:
        notes += (f"{signal} has its baseline at 0 (baseline_reference): 1 was added to c2",)
    detectors = [
        f"{entry}/instrument/{name}/frame_time"
        for name in file.members(f"{entry}/instrument")
        if file.is_group(f"{entry}/instrument/{name}")
    ]
    interval, interval_notes = frame_interval(file, detectors)
    return RawSource(
        path=file.path,
        layout="NXxpcs",
        maps=stack.maps,
        shapes=stack.shapes,
        dtype=stack.dtype,
        read=stack.read,
        q=q,
        q_source=f"{entry}/instrument/masks/dynamic_q_list",
        phi=phi,
        phi_source=f"{entry}/instrument/masks/dynamic_phi_list",
        phi_factor=turn,
        interval=interval,
        shift=1.0 if at_zero else 0.0,
        notes=notes + interval_notes,
    )


def _is_zero(text: str | None) -> bool:
    """Return whether an attribute is zero, as whatever kind of number or text it is stored."""
    try:
        return text is not None and float(text) == 0.0
    except ValueError:
        return False


def _keyed(file: Hdf5File, signal: str) -> _Stack:
    members = by_number(file.members(signal), file.path, signal)
    maps = tuple(f"{signal}/{name}" for _, name in members)
    types = [float_type(file.dtype(path), file.path, path) for path in maps]
    dtype = max(types, key=lambda item: item.itemsize)

    def read(index: int, low: int, high: int) -> MapArray:
        rows = slice(low, high)
        return file.block(maps[index], (rows, rows), dtype)

    shapes = tuple(file.shape(path) for path in maps)
    return _Stack(maps, tuple(number for number, _ in members), shapes, dtype, read)


def _array(file: Hdf5File, signal: str) -> _Stack:
    shape = file.shape(signal)
    dtype = float_type(file.dtype(signal), file.path, signal)
    axis: Axis = "first"
    notes: tuple[str, ...] = ()
    if len(shape) == 3:
        axis, notes = _bin_axis(file, signal, shape)
    elif len(shape) != 2:
        raise DataError(
            f"has shape {shape}; (bins, frames, frames) or (frames, frames, bins) is needed",
            path=file.path,
            dataset=signal,
        )
    n_maps = 1 if len(shape) == 2 else shape[0 if axis == "first" else 2]

    def read(index: int, low: int, high: int) -> MapArray:
        rows = slice(low, high)
        if len(shape) == 2:
            return file.block(signal, (rows, rows), dtype)
        place = (index, rows, rows) if axis == "first" else (rows, rows, index)
        return file.block(signal, place, dtype)

    square = shape[-2:] if axis == "first" else shape[:2]
    numbers = tuple(range(1, n_maps + 1))
    names = tuple(f"{signal} bin {number}" for number in numbers)
    return _Stack(names, numbers, (square,) * n_maps, dtype, read, notes)


def _bin_axis(file: Hdf5File, signal: str, shape: tuple[int, ...]) -> tuple[Axis, tuple[str, ...]]:
    stated = file.attribute(signal, "storage_mode")
    fits: list[Axis] = []
    if shape[1] == shape[2]:
        fits.append("first")
    if shape[0] == shape[1]:
        fits.append("last")
    if not fits:
        raise DataError(f"maps are not square: {shape}", path=file.path, dataset=signal)
    wanted: dict[str | None, Axis] = {"one_array_q_first": "first", "one_array_q_last": "last"}
    axis = wanted.get(stated)
    if axis in fits:
        return axis, ()
    if len(fits) == 2:
        raise DataError(
            f"shape {shape} does not tell bins from frames, and storage_mode is {stated!r}",
            path=file.path,
            dataset=signal,
            hint="set its attribute storage_mode to one_array_q_first or one_array_q_last",
        )
    if axis is None:
        return fits[0], ()
    note = f"{signal} has storage_mode {stated!r}, but its shape {shape} has q {fits[0]}"
    return fits[0], (note,)


def _lists(
    file: Hdf5File, entry: str, stack: _Stack, signal: str
) -> tuple[FloatArray, FloatArray | None, float]:
    """Return q and phi of each map, and the factor from the file's angles to degrees."""
    masks = f"{entry}/instrument/masks"
    q_name, phi_name = f"{masks}/dynamic_q_list", f"{masks}/dynamic_phi_list"
    q, phi = file.numbers(q_name), file.numbers(phi_name)
    if q is None:
        raise file.missing(q_name, "NXxpcs has the q of each bin there")
    shape = file.shape(q_name)
    if phi is None and len(shape) == 2 and shape[1] == 2 and shape[0] > 1:
        q, phi = q[::2], q[1::2]
    index = _positions(file, stack.numbers, len(q), signal)
    if phi is not None and len(phi) != len(q):
        raise DataError(
            f"{len(phi)} angles for {len(q)} wave vectors", path=file.path, dataset=phi_name
        )
    factor = unit_of_q(file, file.attribute(q_name, "units"), q_name)
    # The definition gives the angles' unit as one of a wave vector, so only radians count.
    turn = to_degrees(file.attribute(phi_name, "units"))
    return q[index] * factor, None if phi is None else phi[index] * turn, turn


def _positions(file: Hdf5File, numbers: Sequence[int], n_bins: int, signal: str) -> list[int]:
    if list(numbers) == list(range(n_bins)):
        return list(numbers)
    if (
        numbers[0] < 1
        or numbers[-1] > n_bins
        or (len(numbers) != n_bins and not file.is_group(signal))
    ):
        raise DataError(
            f"holds {len(numbers)} maps, numbered {numbers[0]} to {numbers[-1]}, but the list of "
            f"wave vectors has {n_bins} bins",
            path=file.path,
            dataset=signal,
        )
    return [number - 1 for number in numbers]


def _seen_along_diagonal(stack: _Stack, rows: int) -> tuple[Half, float]:
    """Return which half of the first map is filled and how asymmetric it is.

    Square blocks along the diagonal show both, however large the map.
    """
    halves: set[Half] = set()
    difference = 0.0
    for low in range(0, rows, _BLOCK):
        block = stack.read(0, low, min(low + _BLOCK, rows))
        halves.add(stored_half(block, upper_pairs(len(block))))
        difference = max(difference, asymmetry(block))
    held = halves - {"empty"}
    return (held.pop() if len(held) == 1 else "full" if held else "empty"), difference


def _oriented(file: Hdf5File, signal: str, stack: _Stack) -> _Stack:
    """Return the maps with the time origin in the first row and column.

    ``lower_left`` may mean that rows run backwards, or only how to draw the map: a map that is
    symmetric or half empty as it stands has its origin in the corner already.
    """
    rows, *others = stack.shapes[0] or (0,)
    if others != [rows]:
        return stack
    half, difference = _seen_along_diagonal(stack, rows)
    stands = half != "full" or difference <= _SYMMETRIC
    if file.attribute(signal, "time_origin_location") == "lower_left" and not stands:
        as_stored = stack.read

        def read(index: int, low: int, high: int) -> MapArray:
            n_rows = stack.shapes[index][0]
            whole = as_stored(index, 0, n_rows)
            return whole[::-1][low:high, low:high]

        note = f"{signal} has its rows from last to first: they were turned round"
        return replace(stack, read=read, notes=(*stack.notes, note))
    stated = _HALVES.get(file.attribute(signal, "populated_elements") or "")
    if stated is not None and half not in (stated, "empty"):
        note = (
            f"{signal} says populated_elements = "
            f"{file.attribute(signal, 'populated_elements')!r}, but its {half} half is filled"
            if half != "full"
            else f"{signal} says that one half is populated, but both are"
        )
        return replace(stack, notes=(*stack.notes, note))
    return stack
