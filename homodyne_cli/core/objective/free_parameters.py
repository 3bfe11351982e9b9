"""The parameters that a fit may move."""

from __future__ import annotations

from dataclasses import dataclass

from homodyne_cli.dataset import FloatArray


@dataclass(frozen=True)
class FreeParameters:
    """Names, start and bounds of the free parameters, in physical units."""

    names: tuple[str, ...]
    start: FloatArray
    lower: FloatArray
    upper: FloatArray
