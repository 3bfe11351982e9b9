"""Units of wave vectors, angles and times as data files spell them."""

from __future__ import annotations

import math
import re
from typing import Final

_ANGSTROM: Final = ("a", "å", "ang", "angs", "angstrom", "angstroms", "ångström", "ångstrom")
_LENGTHS: Final = {
    **dict.fromkeys(_ANGSTROM, 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), 0.1),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"), 1e-4),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e-10),
}
_TIMES: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "µs", "μs", "usec", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nsec", "nanosecond", "nanoseconds"), 1e-9),
}
_UNSTATED: Final = frozenset({"", "au", "any", "none", "arb"})
_RECIPROCAL: Final = re.compile(
    r"(?P<before>1/|/|inverse|inv|per|reciprocal)?(?P<length>[a-zåöµμ]+?)(?P<after>-1)?"
)


def _plain(text: str) -> str:
    lowered = text.strip().replace("\u212b", "å").lower().replace("a\u030a", "å")
    return re.sub(r"[\s()\[\]{}_^*.\\]", "", lowered.replace("⁻¹", "-1"))


def unstated(text: str | None) -> bool:
    """Return whether a file's unit text says nothing."""
    return text is None or _plain(text) in _UNSTATED


def per_angstrom(text: str) -> float | None:
    """Return the factor from a wave vector's unit to 1/Å, None if the unit is not known.

    Examples
    --------
    >>> per_angstrom("nm^-1")
    0.1
    """
    match = _RECIPROCAL.fullmatch(_plain(text))
    if match is None or (match["before"] is None) == (match["after"] is None):
        return None
    return _LENGTHS.get(match["length"])


def to_degrees(text: str | None) -> float:
    """Return the factor from an angle's unit to degrees; anything but radians is degrees."""
    if text is not None and _plain(text) in {"rad", "radian", "radians"}:
        return 180.0 / math.pi
    return 1.0


def to_seconds(text: str) -> float | None:
    """Return the factor from a time's unit to seconds, None if the unit is not known."""
    return _TIMES.get(_plain(text))
