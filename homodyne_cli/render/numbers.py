"""Numbers as a scientist writes them."""

from __future__ import annotations

import math

MISSING = "—"
FIXED = "fixed"
_DIGITS = 2
#: Magnitudes written without an exponent.
_PLAIN_RANGE = (1e-3, 1e6)


def format_with_uncertainty(value: float, uncertainty: float) -> tuple[str, str]:
    """Round the uncertainty to two digits and the value to the same place.

    Both share an exponent where the value needs one: ``1.991e-03`` and ``0.023e-03``. An
    uncertainty of NaN is a dash, of 0 "fixed".

    Returns
    -------
    value, uncertainty
        As text.
    """
    if uncertainty == 0.0:
        return format_number(value, 6), FIXED
    if not (math.isfinite(uncertainty) and math.isfinite(value)):
        return format_number(value, 6), MISSING
    # A value that drowns in its uncertainty still shows two digits of its own.
    place = min(_place(uncertainty), _place(abs(value))) if value else _place(uncertainty)
    size = max(abs(value), abs(uncertainty))
    if _PLAIN_RANGE[0] <= size < _PLAIN_RANGE[1]:
        digits = max(0, -place)
        return f"{round(value, -place):.{digits}f}", f"{round(uncertainty, -place):.{digits}f}"
    exponent = math.floor(math.log10(size))
    digits = max(0, exponent - place)
    factor = 10.0**-exponent
    tail = f"e{exponent:+03d}"
    return f"{value * factor:.{digits}f}{tail}", f"{uncertainty * factor:.{digits}f}{tail}"


def _place(magnitude: float) -> int:
    """Return the power of ten of the second significant digit, after rounding."""
    exponent = math.floor(math.log10(magnitude))
    if round(magnitude / 10.0 ** (exponent - _DIGITS + 1)) >= 10**_DIGITS:
        exponent += 1
    return exponent - _DIGITS + 1


def format_number(value: float, digits: int = 4) -> str:
    """Return `value` to some significant digits, with an exponent only where it helps."""
    if not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def format_count(value: int) -> str:
    """Return an integer with thousands separated."""
    return f"{value:,}"


def format_seconds(value: float) -> str:
    """Return a duration."""
    if value < 10.0:
        return f"{value:.2f} s"
    if value < 120.0:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"
