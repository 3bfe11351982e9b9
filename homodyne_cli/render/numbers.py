"""Numbers as a scientist writes them."""

from __future__ import annotations

import math

MISSING = "—"
FIXED = "fixed"
_DIGITS = 2
#: Magnitudes written without an exponent; larger ones too if all their digits are known.
_PLAIN_RANGE = (1e-3, 1e6)
#: Beyond so many digits of the value, value and uncertainty are rounded on their own.
_MOST_DIGITS = 9


def format_with_uncertainty(value: float, uncertainty: float) -> tuple[str, str]:
    """Round the uncertainty to two digits and the value to the same place.

    Both share an exponent where one is needed: ``-6.07e-04`` and ``0.23e-04``. An uncertainty
    of 0 is "fixed", one that is not finite a dash.

    Returns
    -------
    value, uncertainty
        As text.
    """
    if uncertainty == 0.0:
        return format_number(value, 6), FIXED
    if not (math.isfinite(uncertainty) and math.isfinite(value)):
        return format_number(value, 6), MISSING
    uncertainty = abs(uncertainty)
    place = _exponent(uncertainty) - _DIGITS + 1
    largest = max(_exponent(abs(value)) if value else place, _exponent(uncertainty))
    if largest - place >= _MOST_DIGITS:
        return format_number(value, _MOST_DIGITS), f"{uncertainty:.{_DIGITS - 1}e}"
    low, high = _PLAIN_RANGE
    if low <= max(abs(value), uncertainty) and (largest < math.log10(high) or place <= 1):
        return _rounded(value, place, 0), _rounded(uncertainty, place, 0)
    return _rounded(value, place, largest), _rounded(uncertainty, place, largest)


def _rounded(value: float, place: int, exponent: int) -> str:
    """Round to the decimal `place` and write in units of 10**exponent (0: plainly)."""
    scaled = _shifted(value, -exponent)
    text = f"{round(scaled, exponent - place):.{max(0, exponent - place)}f}"
    if float(text) == 0.0:
        text = text.removeprefix("-")
    return text if exponent == 0 else f"{text}e{exponent:+03d}"


def _shifted(value: float, exponent: int) -> float:
    # Through text, because 10.0**exponent under- and overflows before the product does.
    mantissa, _, power = f"{value:.17e}".partition("e")
    return float(f"{mantissa}e{int(power) + exponent}")


def _exponent(magnitude: float) -> int:
    """Return the power of ten of the first digit after rounding to two digits."""
    return int(f"{magnitude:.{_DIGITS - 1}e}".partition("e")[2])


def format_number(value: float, digits: int = 4) -> str:
    """Return `value` to some significant digits, with an exponent only where it helps."""
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else f"{value:+}"
    return f"{value:.{digits}g}"


def format_digits(value: float, digits: int = 3) -> str:
    """Return `value` to so many significant digits, zeros at the end kept."""
    if not math.isfinite(value):
        return format_number(value)
    mantissa, e, power = f"{value:#.{digits}g}".partition("e")
    return mantissa.removesuffix(".") + e + power


def format_count(value: int) -> str:
    """Return an integer with thousands separated."""
    return f"{value:,}"


def format_seconds(value: float) -> str:
    """Return a duration."""
    if value < 10.0:
        return f"{value:.2f} s"
    if value < 120.0:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 7200:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
