"""Strict JSON: what Python and NumPy hold, with null for what JSON cannot say."""

from __future__ import annotations

import json

import numpy as np
from pydantic_core import PydanticSerializationError, to_jsonable_python
from pydantic_core import to_json as _to_json


def to_json(value: object) -> str:
    """Return indented strict JSON; what is not finite becomes null."""
    try:
        return _to_json(value, indent=2, inf_nan_mode="null", fallback=_plain).decode("utf-8")
    except PydanticSerializationError:
        # Bytes of file names that are no UTF-8 become escapes, from which Python gets them back.
        plain = to_jsonable_python(value, inf_nan_mode="null", fallback=_plain)
        return json.dumps(plain, indent=2, allow_nan=False)


def _plain(value: object) -> object:
    """Return what NumPy holds as Python data."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON")
