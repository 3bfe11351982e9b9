"""Read two-time correlation maps of one ring from a file of any known layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import Dataset, FloatArray, Provenance, Stated
from homodyne_cli.errors import ConfigError, DataError
from homodyne_cli.io.formats.layouts import open_source
from homodyne_cli.io.formats.raw_source import NamedArray, RawSource
from homodyne_cli.io.formats.units import to_degrees
from homodyne_cli.io.maps.frame_times import frame_times
from homodyne_cli.io.maps.load_maps import Progress, load_maps
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.select import (
    FrameWindow,
    bad_positions,
    choose_angles,
    choose_ring,
    frame_window,
    ring_ids,
    ring_values,
)
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.parameters import AnalysisMode
from homodyne_cli.problem import DataSelection

#: Relative differences of dt and q up to which config and file agree: a percent of dt is a percent
#: of D0, of q two of them, which is as much as the best fits know.
_Q_AGREES: Final = 0.01


@dataclass(frozen=True)
class _Chosen:
    """Maps of one ring of `of_ring`: `index` into the source, q in 1/Å, angles in degrees."""

    index: NDArray[np.intp]
    q: float
    phi: FloatArray
    provenance: dict[str, Provenance]
    of_ring: int
    notes: tuple[str, ...]


def read_dataset(
    selection: DataSelection, mode: AnalysisMode, progress: Progress | None = None
) -> Dataset:
    """Read the maps that a config selects into memory; see `open_dataset`."""
    with open_dataset(selection, mode, progress) as dataset:
        return dataset


@contextmanager
def open_dataset(
    selection: DataSelection,
    mode: AnalysisMode,
    progress: Progress | None = None,
    memory: MemoryBudget | None = None,
) -> Iterator[Dataset]:
    """Yield the maps that a config selects.

    Only the selected block of each selected map is loaded, one map at a time. The maps keep
    the file's precision. Values are valid for i < j whichever half the file has; entries
    i >= j are whatever the file has there. Bad frames, frames without counts and values that
    are not finite become NaN.

    Parameters
    ----------
    selection
        File, frames, q, angles, bad frames.
    mode
        ``laminar_flow`` needs the angles and the gap, ``static`` does not.
    progress
        Called after each map with (maps read, maps to read).
    memory
        Maps that need more than its budget stay on disk, until the block ends. None: no limit.

    Raises
    ------
    DataError
        The file cannot be read, or does not hold what is selected.
    ConfigError
        The mode needs a gap and there is none.
    UsageError
        The budget is too small for a single map.
    OutputError
        There is no room for maps that stay on disk.
    """
    with ExitStack() as held:
        yield _read(selection, mode, progress, memory, held)


def _read(
    selection: DataSelection,
    mode: AnalysisMode,
    progress: Progress | None,
    memory: MemoryBudget | None,
    held: ExitStack,
) -> Dataset:
    if mode == "laminar_flow" and selection.gap is None:
        raise ConfigError(
            "laminar_flow needs the gap between stator and rotor",
            hint="set analyzer_parameters.geometry.stator_rotor_gap, in Å",
        )
    with open_source(selection.path, _named(selection)) as opened:
        raw = _as_told(_renumbered(opened, selection), selection)
        if selection.sigma is not None:
            # What the file says of noise must then mask nothing, and keep nothing in memory.
            raw = replace(raw, sigma=None)
        chosen = _choose(raw, selection, mode)
        n_frames, window, bad = _frames(raw, chosen.index, selection)
        times = frame_times(raw, window, selection.dt)
        shape = (len(chosen.index), window.size, window.size)
        spool = None
        if memory is not None and not memory.holds(shape, raw.dtype):
            per_pair = raw.sigma is not None and raw.sigma.read is not None
            memory.check_streaming(shape, raw.dtype, per_pair=per_pair)
            spool = held.enter_context(open_spool(memory.scratch, shape, raw.dtype))
        loaded = load_maps(raw, chosen.index, window, bad, progress, spool)
        sigma, sigma_resolved = _sigma(raw, selection, chosen.index, loaded.sigma)
    # Pairs of which at least one frame is bad.
    by_config = len(chosen.index) * len(bad) * (2 * window.size - len(bad) - 1) // 2
    unusable = loaded.n_masked - by_config
    halves = " and ".join(loaded.halves)
    provenance = {
        **chosen.provenance,
        "dt": times.resolved,
        "frames": _frames_resolved(window, n_frames, raw.numbered_from),
        "sigma": sigma_resolved,
        "layout": Provenance(f"{raw.layout}, {halves} maps", "content of the file"),
    }
    if selection.gap is not None:
        provenance["gap"] = Provenance(f"{selection.gap:g} Å", "config")
    if loaded.n_masked:
        whose = f"{len(bad)} bad frames in the config, {unusable:,} for their values"
        provenance["masked"] = Provenance(f"{loaded.n_masked:,} pairs", whose)
    return Dataset(
        c2=loaded.c2,
        phi=chosen.phi,
        t=times.t,
        q=np.full(len(chosen.phi), chosen.q),
        gap=selection.gap,
        dt=times.dt,
        sigma=sigma,
        provenance=provenance,
        n_masked=loaded.n_masked,
        notes=raw.notes + chosen.notes + loaded.notes,
        stated=Stated(
            dt=times.stated,
            n_phi=chosen.of_ring,
            units=raw.units if selection.phi_unit is None else raw.units | {"phi"},
            unusable=unusable,
            first_frame=window.first,
        ),
    )


def _frames(
    raw: RawSource, index: NDArray[np.intp], selection: DataSelection
) -> tuple[int, FrameWindow, NDArray[np.intp]]:
    """Return how many frames are stored, which are fitted, and the bad ones among those."""
    n_frames, at = _frames_stored(raw, index), raw.numbered_from
    window = frame_window(
        selection.start_frame, selection.end_frame, n_frames, numbered_from=at, path=raw.path
    )
    bad = bad_positions(selection.bad_frames, window, n_frames, numbered_from=at, path=raw.path)
    return n_frames, window, bad


def _frames_resolved(window: FrameWindow, n_frames: int, numbered_from: int) -> Provenance:
    return Provenance(
        f"{window.first}-{window.last} ({window.size} fitted; frame {window.first} is t = 0)",
        f"config; the file holds {n_frames}, {numbered_from}-{numbered_from + n_frames - 1}",
    )


def _named(selection: DataSelection) -> NamedArray | None:
    name = selection.dataset
    return None if name is None else NamedArray(name, selection.angle_axis)


def _as_told(raw: RawSource, selection: DataSelection) -> RawSource:
    """Return the source with what the config says of it and the file does not."""
    if selection.baseline is not None:
        raw = replace(raw, shift=1.0 - selection.baseline)
    if selection.phi is not None:
        if len(selection.phi) != len(raw.maps):
            raise DataError(
                f"{len(selection.phi)} angles in experimental_data.phi for {len(raw.maps)} maps",
                path=raw.path,
                hint="give one angle per map, in the order of the file",
            )
        phi = np.array(selection.phi)
        raw = replace(raw, phi=phi, phi_source="config: experimental_data.phi", phi_factor=1.0)
    if selection.phi_unit is not None and raw.phi is not None:
        raw = replace(raw, phi=raw.phi * (to_degrees(selection.phi_unit) / raw.phi_factor))
    return raw


def _renumbered(raw: RawSource, selection: DataSelection) -> RawSource:
    """Return the source with the frame numbers of a cache that was cut to just this selection."""
    length = selection.end_frame - selection.start_frame + 1
    if (
        raw.layout != "homodyne 2.x cache"
        or raw.numbered_from != 1
        or selection.start_frame == 1
        or raw.shapes[0][-1] != length
    ):
        return raw
    note = (
        f"the cache holds {length} frames, as many as frames {selection.start_frame} to "
        f"{selection.end_frame}: it was taken to be cut to these"
    )
    return replace(raw, numbered_from=selection.start_frame, notes=(*raw.notes, note))


def _choose(raw: RawSource, selection: DataSelection, mode: AnalysisMode) -> _Chosen:
    ring, q, q_resolved, notes = _ring(raw, selection)
    angles = None if raw.phi is None else raw.phi[ring]
    if angles is None:
        if mode == "laminar_flow" or selection.phi_ranges is not None:
            raise DataError(
                "the file has no angles",
                path=raw.path,
                dataset=raw.phi_source,
                hint="laminar_flow and phi_filtering need phi, in degrees, for each map",
            )
        notes.append("the file has no angles; static mode does not need them, phi = 0 is shown")
        angles = np.zeros(len(ring))
    kept = choose_angles(angles, selection.phi_ranges, path=raw.path)
    phi = np.asarray(angles[kept], dtype=np.float64)
    span = f"{phi[0]:g}" if len(phi) == 1 else f"{len(phi)} angles, {phi.min():g} to {phi.max():g}"
    filtered = f"; phi_filtering kept {len(kept)} of {len(ring)}" if selection.phi_ranges else ""
    source = f"file: {raw.phi_source}" if raw.phi is not None else "none in the file"
    provenance = {"q": q_resolved, "phi": Provenance(f"{span} deg", source + filtered)}
    return _Chosen(ring[kept], q, phi, provenance, len(ring), tuple(notes))


def _ring(
    raw: RawSource, selection: DataSelection
) -> tuple[NDArray[np.intp], float, Provenance, list[str]]:
    if raw.q is None:
        if selection.q is None:
            raise DataError(
                "no wave vector in the file, and none in the config",
                path=raw.path,
                dataset=raw.q_source,
                hint="set analyzer_parameters.scattering.wavevector_q, in 1/Å",
            )
        resolved = Provenance(f"{selection.q:.6g} 1/Å", "config (none in the file)")
        return np.arange(len(raw.maps)), selection.q, resolved, []
    rings = ring_ids(raw.q, raw.phi) if raw.rings is None else raw.rings
    known = np.isfinite(raw.q) & (raw.q > 0)
    if raw.phi is not None:
        known &= np.isfinite(raw.phi)
    rings = np.where(known, rings, -1)
    index, q = choose_ring(raw.q, rings, selection.q, path=raw.path)
    n_rings = len(ring_values(raw.q, rings))
    notes = []
    source = f"file: {raw.q_source}, "
    if selection.q is None:
        source += "its only ring"
    else:
        source += f"the ring nearest to {selection.q:.6g} of {n_rings}"
        if abs(q - selection.q) > _Q_AGREES * selection.q:
            notes.append(
                f"q is {selection.q:.6g} 1/Å in the config; the nearest ring, {q:.6g} 1/Å "
                f"({q / selection.q - 1:+.1%}), was used"
            )
    spread = np.ptp(raw.q[index]) / q
    if spread > _Q_AGREES / 10:
        notes.append(f"the maps of this ring have q within {spread:.2%}: their mean was used")
    return index, q, Provenance(f"{q:.6g} 1/Å", source), notes


def _frames_stored(raw: RawSource, index: NDArray[np.intp]) -> int:
    first = raw.shapes[index[0]]
    for k in index:
        shape = raw.shapes[k]
        if len(shape) != 2 or shape[0] != shape[1]:
            raise DataError(
                f"has shape {shape}; a square map is needed", path=raw.path, dataset=raw.maps[k]
            )
        if shape != first:
            raise DataError(
                f"has {shape[0]} frames where {raw.maps[index[0]]} has {first[0]}",
                path=raw.path,
                dataset=raw.maps[k],
            )
    return int(first[0])


def _sigma(
    raw: RawSource,
    selection: DataSelection,
    index: NDArray[np.intp],
    per_pair: FloatArray | None,
) -> tuple[FloatArray | None, Provenance]:
    if selection.sigma is not None:
        resolved = Provenance(f"{selection.sigma:g}", "config: noise.sigma")
        return np.full(len(index), selection.sigma), resolved
    if raw.sigma is None:
        return None, Provenance("estimated from the data", "neither config nor file has it")
    if raw.sigma.values is None:
        return per_pair, Provenance("one per pair", f"file: {raw.sigma.name}")
    values = raw.sigma.values[index]
    if not np.all(np.isfinite(values) & (values > 0)):
        raise DataError(
            f"holds {values[~(values > 0)][:1]}; noise is positive",
            path=raw.path,
            dataset=raw.sigma.name,
        )
    shown = f"{values.min():g}" if np.ptp(values) == 0 else f"{values.min():g} to {values.max():g}"
    return values, Provenance(shown, f"file: {raw.sigma.name}")
