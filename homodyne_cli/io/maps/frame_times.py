"""When the frames were taken: dt of the config or of the file, or a time for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from homodyne_cli.dataset import FloatArray, IndexArray, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.raw_source import Interval, RawSource
from homodyne_cli.io.maps.select import FrameWindow

TimeOrigin: TypeAlias = Literal["window", "series"] | float

_DT_AGREES: Final = 0.01
#: Share of a step by which steps between time stamps may differ: a tenth of a frame is jitter.
_EVEN: Final = 0.1


@dataclass(frozen=True)
class FrameTimes:
    """The times of the fitted frames.

    Attributes
    ----------
    t
        (n,) seconds since the origin.
    dt
        Their step, the median one where they are uneven.
    resolved
        dt, and where from.
    origin
        When t is 0, and why.
    stated
        dt of the file; None if it states none that dt could be compared with.
    """

    t: FloatArray
    dt: float
    resolved: Provenance
    origin: Provenance
    stated: float | None


def frame_times(
    raw: RawSource,
    window: FrameWindow,
    wanted: float | None,
    time_origin: TimeOrigin = "window",
) -> FrameTimes:
    """Return when the frames of a window were taken.

    Where the file has a time for every frame and they are not evenly spaced, these are the times.

    Parameters
    ----------
    wanted
        dt of the config; None takes the file's.
    time_origin
        As in the config.

    Raises
    ------
    DataError
        Neither config nor file has dt, or times do not ascend.
    """
    interval, times = raw.interval, raw.times
    if interval is None and times is not None and len(times) > 1:
        interval = Interval(float(np.median(np.diff(times))), "spacing of t")
    dt, resolved = resolve_dt(wanted, interval, raw.path)
    start, origin = _start(raw, window, dt, time_origin)
    even = start + np.arange(1, window.size + 1, dtype=np.float64) * dt
    stated = None if interval is None else interval.seconds
    as_even = FrameTimes(even, dt, resolved, origin, stated)
    if times is None or len(times) < window.high:
        return as_even
    stamps = times[window.low - 1 : window.high]
    steps = np.diff(stamps)
    if not (steps > 0.0).all():
        at = window.first + int(np.argmin(steps))
        raise DataError(
            f"the time of frame {at + 1} is not after that of frame {at}",
            path=raw.path,
            dataset="t",
        )
    step = float(np.median(steps))
    if np.abs(steps - step).max() <= _EVEN * step:
        return as_even
    source = Provenance(f"{step:.6g} s (median)", "file: t, not evenly spaced; used as it is")
    return FrameTimes(start + stamps[1:] - stamps[0], step, source, origin, None)


def _start(
    raw: RawSource, window: FrameWindow, dt: float, time_origin: TimeOrigin
) -> tuple[float, Provenance]:
    """Return t at the first frame of the window, which is not fitted, and what is said of it."""
    if time_origin == "window":
        shown = f"frame {window.first}, the first of the window"
        return 0.0, Provenance(shown, "analyzer_parameters.time_origin: window")
    began, source = _began(raw, dt) if time_origin == "series" else (time_origin, "seconds")
    times = raw.times
    since = (window.first - raw.numbered_from) * dt
    if times is not None and len(times) >= window.high:
        since = float(times[window.low - 1] - times[0])
    start = began + since
    shown = f"{start:.6g} s before frame {window.first}"
    words = f"{time_origin}" if time_origin == "series" else f"{time_origin:g}"
    return start, Provenance(shown, f"analyzer_parameters.time_origin: {words} ({source})")


def _began(raw: RawSource, dt: float) -> tuple[float, str]:
    """Return t at the first stored frame of a series that began at t = 0, and where from."""
    if raw.began is not None:
        return raw.began.seconds, f"file: {raw.began.source}"
    if raw.times is not None:
        return float(raw.times[0]), "file: t"
    if raw.numbered_from > 1:
        return (raw.numbered_from - 1) * dt, f"the file begins at frame {raw.numbered_from}"
    return 0.0, "the series begins with the file"


def resolve_dt(
    wanted: float | None, interval: Interval | None, path: Path
) -> tuple[float, Provenance]:
    """Return the frame interval in seconds and where it came from; the config's value wins.

    Raises
    ------
    DataError
        Neither the config nor the file has one.
    """
    if wanted is None:
        if interval is None:
            raise DataError(
                "no frame interval in the file, and none in the config",
                path=path,
                hint="set analyzer_parameters.dt, in seconds",
            )
        resolved = Provenance(f"{interval.seconds:.6g} s", f"file: {interval.source}")
        return interval.seconds, resolved
    if interval is None:
        return wanted, Provenance(f"{wanted:.6g} s", "config (none in the file)")
    stored = f"{interval.seconds:.6g} s ({interval.source})"
    if abs(wanted - interval.seconds) <= _DT_AGREES * interval.seconds:
        return wanted, Provenance(f"{wanted:.6g} s", f"config; the file agrees: {stored}")
    return wanted, Provenance(f"{wanted:.6g} s", f"config, against the file's {stored}")


def frames_stored(raw: RawSource, index: IndexArray) -> int:
    """Return how many frames the chosen maps have, which are square and all alike."""
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
