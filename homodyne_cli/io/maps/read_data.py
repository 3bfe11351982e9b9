"""Read two-time correlation maps from files of any known layout: rings of one, repeats of several.

Repeats are measurements of one experiment: the same frames at the same times and the same rings.
Their angles may differ, since every map has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homodyne_cli.dataset import Dataset, FloatArray, Provenance, Rows, Stated
from homodyne_cli.errors import ConfigError, DataError
from homodyne_cli.io.formats.layouts import open_source
from homodyne_cli.io.formats.raw_source import RawSource
from homodyne_cli.io.maps.choose_maps import (
    Q_AGREES,
    ChosenMaps,
    choose_maps,
    joined_pixels,
    named_array,
    source_as_told,
)
from homodyne_cli.io.maps.frame_times import FrameTimes, frame_times, frames_stored
from homodyne_cli.io.maps.load_maps import HeldMaps, Loaded, MapSink, load_maps
from homodyne_cli.io.maps.memory import MemoryBudget
from homodyne_cli.io.maps.select import FrameWindow, bad_positions, frame_window
from homodyne_cli.io.maps.spool import open_spool
from homodyne_cli.parameters import AnalysisMode
from homodyne_cli.problem import DataSelection
from homodyne_cli.results import OnCount, unfollowed

#: Relative difference up to which two files have their frames at the same times.
_SAME_TIMES = 1e-6


@dataclass(frozen=True)
class _OpenFile:
    """One file, and what of it is fitted."""

    raw: RawSource
    chosen: ChosenMaps
    n_frames: int
    window: FrameWindow
    bad: NDArray[np.intp]
    times: FrameTimes

    @property
    def name(self) -> str:
        """The file's, for messages."""
        return self.raw.path.name


def read_dataset(
    selection: DataSelection, mode: AnalysisMode, progress: OnCount = unfollowed
) -> Dataset:
    """Read the maps that a config selects into memory; see `open_dataset`."""
    with open_dataset(selection, mode, progress) as dataset:
        return dataset


@contextmanager
def open_dataset(
    selection: DataSelection,
    mode: AnalysisMode,
    progress: OnCount = unfollowed,
    memory: MemoryBudget | None = None,
    on_size: Callable[[int], None] | None = None,
) -> Iterator[Dataset]:
    """Yield the maps that a config selects.

    Only the selected block of each selected map is loaded, one map at a time. The maps keep
    the file's precision. Values are valid for i < j whichever half the file has; entries
    i >= j are whatever the file has there. Bad frames, frames without counts and values that
    are not finite become NaN.

    Parameters
    ----------
    selection
        Files, frames, q, angles, bad frames.
    mode
        ``laminar_flow`` needs the angles and the gap, ``static`` does not.
    progress
        Called after each map with (maps read, maps to read).
    memory
        Maps that need more than its budget stay on disk, until the block ends. None: no limit.
    on_size
        Called before the maps are read with the number of their pairs.

    Raises
    ------
    DataError
        A file cannot be read, or does not hold what is selected; repeats do not fit together.
    ConfigError
        The mode needs a gap and there is none.
    UsageError
        The budget is too small for a single map.
    OutputError
        There is no room for maps that stay on disk.
    """
    with ExitStack() as held:
        yield _read(selection, mode, progress, memory, held, on_size)


def _read(
    selection: DataSelection,
    mode: AnalysisMode,
    progress: OnCount,
    memory: MemoryBudget | None,
    held: ExitStack,
    on_size: Callable[[int], None] | None,
) -> Dataset:
    if mode == "laminar_flow" and selection.gap is None:
        raise ConfigError(
            "laminar_flow needs the gap between stator and rotor",
            hint="set analyzer_parameters.geometry.stator_rotor_gap, in Å",
        )
    with ExitStack() as opened:
        files = [_open(path, selection, mode, opened) for path in selection.paths]
        _refuse_unlike(files)
        if on_size is not None:
            n = files[0].window.size
            on_size(sum(len(f.chosen.index) for f in files) * n * (n - 1) // 2)
        sink = _sink(files, memory, held)
        loaded = [load_maps(f.raw, f.chosen.index, f.window, f.bad, sink, progress) for f in files]
        each = zip(files, loaded, strict=True)
        noise = [_sigma(f.raw, selection, f.chosen.index, one.sigma) for f, one in each]
    sigma = _joined_sigma(files, [values for values, _ in noise])
    rows, n_masked = _rows(files), sum(one.n_masked for one in loaded)
    # Pairs of which at least one frame is bad.
    by_config = sum(_pairs_of_bad(f) for f in files)
    first = files[0]
    named = {
        **_together(files, [f.chosen.provenance for f in files]),
        **_together(files, [{"dt": f.times.resolved} for f in files]),
        **_together(files, [{"frames": _frames_resolved(f)} for f in files]),
        **_together(files, [{"origin": f.times.origin} for f in files]),
        **_together(files, [{"sigma": resolved} for _, resolved in noise]),
        **_together(files, [_layout(*both) for both in zip(files, loaded, strict=True)]),
    }
    if selection.gap is not None:
        named["gap"] = Provenance(f"{selection.gap:g} Å", "config")
    if n_masked:
        whose = f"{by_config:,} by bad frames of the config, {n_masked - by_config:,} by the file"
        named["masked"] = Provenance(f"{n_masked:,} of the pairs", whose)
    return Dataset(
        c2=sink.maps(),
        phi=rows.phi,
        t=first.times.t,
        q=rows.q,
        gap=selection.gap,
        dt=first.times.dt,
        sigma=sigma,
        provenance=named,
        n_masked=n_masked,
        notes=_notes(files, loaded),
        stated=Stated(
            dt=first.times.stated,
            n_phi=sum(f.chosen.of_rings for f in files),
            units=frozenset.intersection(*(_units(f.raw, selection) for f in files)),
            unusable=n_masked - by_config,
            first_frame=first.window.first,
        ),
        repeat=rows.repeat,
        pixels=joined_pixels([f.chosen for f in files]),
        linked=tuple(dict.fromkeys(path for f in files for path in f.raw.files[1:])),
    )


def _open(path: Path, selection: DataSelection, mode: AnalysisMode, opened: ExitStack) -> _OpenFile:
    source = opened.enter_context(open_source(path, named_array(selection)))
    raw = source_as_told(source, selection)
    chosen = choose_maps(raw, selection, mode)
    n_frames, window, bad = _frames(raw, chosen.index, selection)
    times = frame_times(raw, window, selection.dt, selection.time_origin)
    return _OpenFile(raw, chosen, n_frames, window, bad, times)


def _refuse_unlike(files: list[_OpenFile]) -> None:
    """Refuse repeats that are not of one experiment."""
    first = files[0]
    for other in files[1:]:
        if other.window.size != first.window.size:
            fewest = min(f.window.last for f in files)
            raise _unlike(
                first, other, f"{other.window.size} frames", f"{first.window.size}",
                f"set analyzer_parameters.end_frame to {fewest}, which all have",
            )  # fmt: skip
        if not np.allclose(other.times.t, first.times.t, rtol=_SAME_TIMES, atol=0.0):
            raise _unlike(
                first, other, f"frames every {other.times.dt:.6g} s", f"{first.times.dt:.6g} s",
                "fit files of another frame interval apart (homodyne batch)",
            )  # fmt: skip
        rings = [np.unique(f.chosen.q) for f in (first, other)]
        if rings[0].shape != rings[1].shape or np.any(
            np.abs(rings[1] - rings[0]) > Q_AGREES * rings[0]
        ):
            raise _unlike(
                first, other, f"rings at {_listed(rings[1])} 1/Å", _listed(rings[0]),
                "name rings that all files have in analyzer_parameters.scattering.wavevector_q",
            )  # fmt: skip


def _unlike(first: _OpenFile, other: _OpenFile, has: str, against: str, hint: str) -> DataError:
    return DataError(
        f"no repeat of {first.name}: it has {has}, {first.name} has {against}",
        path=other.raw.path,
        hint=hint,
    )


def _listed(values: FloatArray) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _sink(files: list[_OpenFile], memory: MemoryBudget | None, held: ExitStack) -> MapSink:
    """Return the place for all maps: in memory, or on disk where they exceed the budget."""
    n_maps, n = sum(len(f.chosen.index) for f in files), files[0].window.size
    shape, dtype = (n_maps, n, n), np.result_type(*(f.raw.dtype for f in files))
    if memory is None or memory.holds(shape, dtype):
        return HeldMaps(np.empty(shape, dtype=dtype))
    per_pair = any(f.raw.sigma is not None and f.raw.sigma.read is not None for f in files)
    memory.check_streaming(shape, dtype, per_pair=per_pair)
    return held.enter_context(open_spool(memory.scratch, shape, dtype))


def _rows(files: list[_OpenFile]) -> Rows:
    """Return which maps there are; rings of repeats have the q of the first file."""
    rings = np.unique(files[0].chosen.q)
    q = [rings[np.unique(f.chosen.q, return_inverse=True)[1]] for f in files]
    phi = np.concatenate([f.chosen.phi for f in files])
    counts = [len(f.chosen.index) for f in files]
    repeat = np.repeat(np.arange(len(files)), counts) if len(files) > 1 else None
    return Rows(phi, np.concatenate(q), repeat)


def _together(files: list[_OpenFile], each: list[dict[str, Provenance]]) -> dict[str, Provenance]:
    """Return what all files resolve alike as one, and what they do not file by file."""
    joined = {}
    for name, first in each[0].items():
        all_of_them = [resolved[name] for resolved in each]
        if all(one == first for one in all_of_them):
            joined[name] = first
            continue
        values, sources = (
            dict.fromkeys(getattr(one, part) for one in all_of_them) for part in ("value", "source")
        )
        joined[name] = Provenance("; ".join(values), "; ".join(sources))
    if len(files) > 1:
        joined["repeats"] = Provenance(str(len(files)), ", ".join(f.name for f in files))
    return joined


def _layout(file: _OpenFile, loaded: Loaded) -> dict[str, Provenance]:
    halves = " and ".join(loaded.halves)
    return {"layout": Provenance(f"{file.raw.layout}, {halves} maps", "content of the file")}


def _notes(files: list[_OpenFile], loaded: list[Loaded]) -> tuple[str, ...]:
    """Return the notes of all files, each once, with its file where there are several."""
    notes = {}
    for file, one in zip(files, loaded, strict=True):
        begin = f"{file.name}: " if len(files) > 1 else ""
        of_file = (*file.raw.notes, *file.chosen.notes, *one.notes)
        notes.update(dict.fromkeys(f"{begin}{note}" for note in of_file))
    return tuple(notes)


def _units(raw: RawSource, selection: DataSelection) -> frozenset[str]:
    return raw.units if selection.phi_unit is None else raw.units | {"phi"}


def _pairs_of_bad(file: _OpenFile) -> int:
    return len(file.chosen.index) * len(file.bad) * (2 * file.window.size - len(file.bad) - 1) // 2


def _joined_sigma(files: list[_OpenFile], each: list[FloatArray | None]) -> FloatArray | None:
    """Return the noise of all maps; None where it is to be estimated."""
    known = [values for values in each if values is not None]
    if not known:
        return None
    if len(known) < len(each) or len({values.ndim for values in known}) > 1:
        lacking = next(
            (f for f, v in zip(files, each, strict=True) if v is None or v.ndim != known[0].ndim),
            files[0],
        )
        raise DataError(
            "does not say its noise as the other files do",
            path=lacking.raw.path,
            hint="give noise.sigma in the config, or files that all have it in the same form",
        )
    return np.concatenate(known)


def _frames(
    raw: RawSource, index: NDArray[np.intp], selection: DataSelection
) -> tuple[int, FrameWindow, NDArray[np.intp]]:
    """Return how many frames are stored, which are fitted, and the bad ones among those."""
    n_frames, at = frames_stored(raw, index), raw.numbered_from
    window = frame_window(
        selection.start_frame, selection.end_frame, n_frames, numbered_from=at, path=raw.path
    )
    bad = bad_positions(selection.bad_frames, window, n_frames, numbered_from=at, path=raw.path)
    return n_frames, window, bad


def _frames_resolved(file: _OpenFile) -> Provenance:
    window, n_frames, numbered_from = file.window, file.n_frames, file.raw.numbered_from
    return Provenance(
        f"{window.first}-{window.last} ({window.size} fitted, all but the first)",
        f"config; the file holds {n_frames}, {numbered_from}-{numbered_from + n_frames - 1}",
    )


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
