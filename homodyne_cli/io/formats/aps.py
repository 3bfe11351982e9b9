"""Two-time results of APS 8-ID-I: the legacy layout and the one since the APS upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import FloatArray, MapArray
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.hdf5_access import Hdf5File, first_scalar, float_type
from homodyne_cli.io.formats.raw_source import BlockReader, Interval, RawSource, by_number
from homodyne_cli.io.formats.units import per_angstrom, to_degrees, to_seconds, unstated

_QMAP: Final = "/xpcs/qmap"
_TWOTIME: Final = "/xpcs/twotime"
_FRAME_TIMES: Final = (
    "/entry/instrument/detector_1/frame_time",
    "/entry/instrument/detector/frame_time",
    "/measurement/instrument/detector/exposure_period",
)
_STRIDES: Final = (
    f"{_TWOTIME}/config/stride_frame",
    f"{_TWOTIME}/config/stride_frames",
    "/xpcs/stride_frames",
    "/xpcs/stride_frame",
)
_BEGIN: Final = f"{_TWOTIME}/config/begin_frame"
_AVERAGES: Final = (
    f"{_TWOTIME}/config/avg_frame",
    f"{_TWOTIME}/config/avg_frames",
    "/xpcs/avg_frames",
    "/xpcs/avg_frame",
)


@dataclass(frozen=True)
class _Bins:
    """(n_maps,) wave vector in 1/Å, angle in degrees and ring of each map; the list that is q.

    `turn` is the factor from the file's angles to degrees.
    """

    q: FloatArray
    phi: FloatArray
    rings: NDArray[np.intp]
    q_axis: int
    turn: float
    notes: tuple[str, ...]


def read_aps_u(file: Hdf5File) -> RawSource:
    """Describe an APS-U file: maps in ``/xpcs/twotime/correlation_map``.

    The n-th map (by number) belongs to the n-th entry of ``processed_bins``. Those count the
    bins that have pixels, from 1; ``dynamic_index_mapping`` leads from there to the place on
    the grid of the two value lists, the second of which runs fastest.

    Raises
    ------
    DataError
        A dataset is missing, or bins and maps do not fit together.
    """
    group = f"{_TWOTIME}/correlation_map"
    maps = by_number(file.members(group), file.path, group)
    listed = _processed_bins(file, len(maps))
    bins = _bins_of_maps(file, [number for number, _ in maps], listed, group)
    placed = _on_grid(file, bins)
    interval, notes = frame_interval(file)
    paths = tuple(f"{group}/{name}" for _, name in maps)
    return RawSource(
        path=file.path,
        layout="APS-U",
        began=_began(file),
        maps=paths,
        shapes=tuple(file.shape(p) for p in paths),
        dtype=_common_type(file, paths),
        read=_reader(file, paths),
        q=placed.q,
        q_source=f"{_QMAP}/dynamic_v_list_dim{placed.q_axis}",
        phi=placed.phi,
        phi_source=f"{_QMAP}/dynamic_v_list_dim{1 - placed.q_axis}",
        phi_factor=placed.turn,
        rings=placed.rings,
        interval=interval,
        notes=placed.notes + notes,
        pixels=file.label_counts(f"{_QMAP}/dynamic_roi_map", bins),
    )


def read_aps_legacy(file: Hdf5File, group: str) -> RawSource:
    """Describe a legacy file: maps in `group`, one q and one phi per bin in ``/xpcs``.

    Map names either count the maps (``g2_00001``) or carry the bin (``C2T_00017``);
    ``qphi_bin_to_process`` lists the bins where it has an entry per map. (An acquisition that
    was set up for one bin leaves a list of length one behind: it says nothing then.)

    Raises
    ------
    DataError
        A dataset is missing, or bins and maps do not fit together.
    """
    q = file.numbers("/xpcs/dqlist")
    phi = file.numbers("/xpcs/dphilist")
    if q is None or phi is None:
        name = "/xpcs/dqlist" if q is None else "/xpcs/dphilist"
        raise file.missing(name, "the legacy layout has one q and one phi per bin in /xpcs")
    if len(q) != len(phi):
        raise DataError(
            f"{len(phi)} angles for {len(q)} wave vectors",
            path=file.path,
            dataset="/xpcs/dphilist",
        )
    maps = by_number(file.members(group), file.path, group)
    bins = _legacy_bins(file, [number for number, _ in maps], q, group)
    if bins.min() < 1 or bins.max() > len(q):
        raise DataError(
            f"maps belong to bins {bins.min()} to {bins.max()}, but /xpcs/dqlist has {len(q)}",
            path=file.path,
            dataset=group,
        )
    index = bins - 1
    paths = tuple(f"{group}/{name}" for _, name in maps)
    interval, notes = frame_interval(file)
    turn = to_degrees(file.attribute("/xpcs/dphilist", "units"))
    return RawSource(
        path=file.path,
        layout="APS 8-ID-I legacy",
        maps=paths,
        shapes=tuple(file.shape(p) for p in paths),
        dtype=_common_type(file, paths),
        read=_reader(file, paths),
        q=q[index] * unit_of_q(file, file.attribute("/xpcs/dqlist", "units"), "/xpcs/dqlist"),
        q_source="/xpcs/dqlist",
        phi=phi[index] * turn,
        phi_source="/xpcs/dphilist",
        phi_factor=turn,
        rings=_legacy_rings(file, q, index),
        interval=interval,
        notes=notes,
    )


def _began(file: Hdf5File) -> Interval | None:
    """Return the time before the first correlated frame; ``begin_frame`` counts from 0."""
    first, period = file.scalar(_BEGIN), first_scalar(file, _FRAME_TIMES)
    if first is None or not first > 0 or period is None:
        return None
    unit = file.attribute(period[1], "units")
    seconds = first * period[0] * ((unit and to_seconds(unit)) or 1.0)
    return Interval(seconds, f"{_BEGIN} {first:g} x {period[1]}")


def _reader(file: Hdf5File, paths: Sequence[str]) -> BlockReader:
    dtype = _common_type(file, paths)

    def read(index: int, low: int, high: int) -> MapArray:
        rows = slice(low, high)
        return file.block(paths[index], (rows, rows), dtype)

    return read


def _common_type(file: Hdf5File, paths: Sequence[str]) -> np.dtype[np.generic]:
    for path in paths:
        if not file.is_dataset(path):
            raise DataError("a group where a map is expected", path=file.path, dataset=path)
    types = [float_type(file.dtype(path), file.path, path) for path in paths]
    return max(types, key=lambda dtype: dtype.itemsize)


def _processed_bins(file: Hdf5File, n_maps: int) -> NDArray[np.intp] | None:
    name = f"{_TWOTIME}/processed_bins"
    values = file.indices(name)
    if values is not None:
        return values
    mapping = file.numbers(f"{_QMAP}/dynamic_index_mapping")
    if mapping is not None and len(mapping) == n_maps:
        return np.arange(1, n_maps + 1)
    raise file.missing(name, "it tells which bin each map belongs to")


def _bins_of_maps(
    file: Hdf5File, numbers: Sequence[int], bins: NDArray[np.intp] | None, group: str
) -> NDArray[np.intp]:
    """Return the bin, counted from 1, of each map; `bins` is the file's list if it has one."""
    counted = list(range(1, len(numbers) + 1))
    if bins is None:
        return np.asarray(numbers, dtype=np.intp)
    named_by_bin = set(numbers) <= set(bins.tolist())
    if len(bins) == len(numbers):
        if numbers != counted and named_by_bin:
            return np.asarray(numbers, dtype=np.intp)
        return bins
    if numbers[0] >= 1 and numbers[-1] <= len(bins):
        by_place: NDArray[np.intp] = bins[np.asarray(numbers, dtype=np.intp) - 1]
        return by_place
    if named_by_bin:
        return np.asarray(numbers, dtype=np.intp)
    raise DataError(
        f"{len(numbers)} maps, numbered {numbers[0]} to {numbers[-1]}, do not fit the "
        f"{len(bins)} processed bins",
        path=file.path,
        dataset=group,
        hint="the file was merged or cut: correlate again",
    )


def _on_grid(file: Hdf5File, bins: NDArray[np.intp]) -> _Bins:
    lists = [file.numbers(f"{_QMAP}/dynamic_v_list_dim{axis}") for axis in (0, 1)]
    first, second = lists
    if first is None or second is None:
        name = f"{_QMAP}/dynamic_v_list_dim{0 if first is None else 1}"
        raise file.missing(name, "the APS-U layout has the q and phi of the bins there")
    notes: tuple[str, ...] = ()
    mapping = file.indices(f"{_QMAP}/dynamic_index_mapping")
    if mapping is None:
        notes = (
            f"{_QMAP}/dynamic_index_mapping is missing: bins were taken to lie on the q-phi "
            "grid without gaps",
        )
        mapping = np.arange(len(first) * len(second))
    if bins.min() < 1 or bins.max() > len(mapping):
        raise DataError(
            f"holds bins {bins.min()} to {bins.max()}; the qmap has 1 to {len(mapping)}",
            path=file.path,
            dataset=f"{_TWOTIME}/processed_bins",
        )
    natural = mapping[bins - 1]
    if natural.min() < 0 or natural.max() >= len(first) * len(second):
        raise DataError(
            f"leads to place {natural.max()} of a grid of {len(first)} x {len(second)}",
            path=file.path,
            dataset=f"{_QMAP}/dynamic_index_mapping",
        )
    places = (natural // len(second), natural % len(second))
    q_axis, axis_notes = _q_axis(file)
    phi_axis = 1 - q_axis
    units = file.texts(f"{_QMAP}/map_units") or ("", "")
    if len(units) != 2:
        units = ("", "")
    factor = unit_of_q(file, units[q_axis], f"{_QMAP}/map_units")
    values, turn = (first, second), to_degrees(units[phi_axis])
    return _Bins(
        q=values[q_axis][places[q_axis]] * factor,
        phi=values[phi_axis][places[phi_axis]] * turn,
        rings=places[q_axis],
        q_axis=q_axis,
        turn=turn,
        notes=notes + axis_notes,
    )


def _q_axis(file: Hdf5File) -> tuple[int, tuple[str, ...]]:
    name = f"{_QMAP}/map_names"
    texts = file.texts(name)
    if texts is None:
        return 0, (f"{name} is missing: the first list was taken as q, the second as phi",)
    names = [text.strip().lower() for text in texts]
    if sorted(names) != ["phi", "q"]:
        raise DataError(
            f"bins are in {' and '.join(names)}, not in q and phi",
            path=file.path,
            dataset=name,
            hint="correlate with a q-phi partition",
        )
    return names.index("q"), ()


def _legacy_bins(
    file: Hdf5File, numbers: Sequence[int], q: FloatArray, group: str
) -> NDArray[np.intp]:
    listed = file.indices("/xpcs/qphi_bin_to_process")
    if listed is not None and len(listed) >= len(numbers):
        return _bins_of_maps(file, numbers, listed, group)
    n_maps = len(numbers)
    if list(numbers) != list(range(1, n_maps + 1)) or n_maps == len(q):
        return np.asarray(numbers, dtype=np.intp)
    with_pixels = np.flatnonzero(np.isfinite(q)) + 1
    if n_maps == len(with_pixels):
        return with_pixels
    raise DataError(
        f"{n_maps} maps for {len(q)} bins, and no list of which",
        path=file.path,
        dataset="/xpcs/qphi_bin_to_process",
        hint="the list of processed bins is needed when only some were correlated",
    )


def _legacy_rings(
    file: Hdf5File, q: FloatArray, index: NDArray[np.intp]
) -> NDArray[np.intp] | None:
    """Return ring numbers from the partition's size, None if it does not fit the list of q."""
    n_q, n_phi = file.scalar("/xpcs/dnoq"), file.scalar("/xpcs/dnophi")
    if n_q is None or n_phi is None or n_phi < 1 or n_phi % 1 or n_q * n_phi != len(q):
        return None
    rings: NDArray[np.intp] = index // round(n_phi)
    for ring in np.unique(rings):
        values = q[index[rings == ring]]
        values = values[np.isfinite(values)]
        if len(values) and values.max() > 1.05 * values.min():
            return None
    return rings


def unit_of_q(file: Hdf5File, unit: str | None, name: str) -> float:
    """Return the factor from the file's unit of q to 1/Å, which is assumed if none is given.

    Raises
    ------
    DataError
        The unit is not one of a wave vector.
    """
    if unit is None or unstated(unit):
        return 1.0
    factor = per_angstrom(unit)
    if factor is None:
        raise DataError(
            f"{unit!r} is not a known unit of q", path=file.path, dataset=name, hint="1/Å or 1/nm"
        )
    return factor


def frame_interval(
    file: Hdf5File, times: Sequence[str] = _FRAME_TIMES
) -> tuple[Interval | None, tuple[str, ...]]:
    """Return frame time x stride x average, None without a usable frame time, and notes."""
    period = first_scalar(file, times)
    if period is None:
        return None, ()
    seconds, name = period
    notes: tuple[str, ...] = ()
    unit = file.attribute(name, "units")
    if unit is not None and not unstated(unit):
        factor = to_seconds(unit)
        if factor is None:
            notes = (f"{name} is in {unit!r}, which is not a known unit: taken as seconds",)
        seconds *= 1.0 if factor is None else factor
    source = name
    for word, names in (("stride", _STRIDES), ("average", _AVERAGES)):
        count = first_scalar(file, names)
        if count is not None and count[0] > 0:
            seconds *= count[0]
            source += f" x {word} {count[0]:g}"
    if not (np.isfinite(seconds) and seconds > 0):
        return None, (*notes, f"{name} is {period[0]:g} s and was not used")
    return Interval(seconds, source), notes
