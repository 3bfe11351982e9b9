"""Strict JSON: what Python and NumPy hold, with null for what JSON cannot say."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from homodyne_cli.errors import DataError


def plain(value: object) -> object:
    """Turn dataclasses, mappings, arrays and paths into plain JSON data; NaN becomes None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: object) -> str:
    """Return indented strict JSON."""
    return json.dumps(plain(value), indent=2, allow_nan=False, ensure_ascii=False)


def read_json_object(path: Path) -> Mapping[str, object]:
    """Read one JSON object from a run directory.

    Raises
    ------
    DataError
        If the file is missing, damaged, or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("missing from the run directory", path=path) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not JSON: {error}", path=path) from error
    if not isinstance(data, dict):
        raise DataError("holds no JSON object", path=path)
    return data
