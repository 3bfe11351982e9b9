"""Strict JSON: what Python and NumPy hold, with null for what JSON cannot say."""

from __future__ import annotations

import numpy as np
from pydantic_core import to_json as _to_json


def to_json(value: object) -> str:
    """Return indented strict JSON; what is not finite becomes null."""
    text = _to_json(value, indent=2, inf_nan_mode="null", fallback=_plain)
    return text.decode("utf-8")


def _plain(value: object) -> object:
    """Return what NumPy holds as Python data."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")
