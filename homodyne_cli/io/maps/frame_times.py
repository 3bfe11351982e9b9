"""When the frames were taken: dt of the config or of the file, or a time for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from homodyne_cli.dataset import FloatArray, Provenance
from homodyne_cli.errors import DataError
from homodyne_cli.io.formats.raw_source import Interval, RawSource
from homodyne_cli.io.maps.select import FrameWindow

_DT_AGREES: Final = 0.01
#: Share of a step by which steps between time stamps may differ: a tenth of a frame is jitter.
_EVEN: Final = 0.1


@dataclass(frozen=True)
class FrameTimes:
    """The times of the fitted frames.

    Attributes
    ----------
    t
        (n,) seconds since the frame before the first fitted one.
    dt
        Their step, the median one where they are uneven.
    resolved
        dt, and where from.
    stated
        dt of the file; None if it states none that dt could be compared with.
    """

    t: FloatArray
    dt: float
    resolved: Provenance
    stated: float | None


def frame_times(raw: RawSource, window: FrameWindow, wanted: float | None) -> FrameTimes:
    """Return when the frames of a window were taken.

    Where the file has a time for every frame and they are not evenly spaced, these are the times.

    Parameters
    ----------
    wanted
        dt of the config; None takes the file's.

    Raises
    ------
    DataError
        Neither config nor file has dt, or times do not ascend.
    """
    interval, times = raw.interval, raw.times
    if interval is None and times is not None and len(times) > 1:
        interval = Interval(float(np.median(np.diff(times))), "spacing of t")
    dt, resolved = resolve_dt(wanted, interval, raw.path)
    even = np.arange(1, window.size + 1, dtype=np.float64) * dt
    as_even = FrameTimes(even, dt, resolved, None if interval is None else interval.seconds)
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
    return FrameTimes(stamps[1:] - stamps[0], step, source, None)


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
