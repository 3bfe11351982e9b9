"""Stable codes: what is said in many words is known by one."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What may be said; a code keeps its meaning and is never used again for another."""

    DT_DISAGREES = "H301"
    Q_UNIT = "H302"
    GAP_UNIT = "H303"
    PHI_UNIT = "H304"
    FEW_ANGLES = "H305"
    MASKED = "H306"
    ROUNDED = "H307"
    FLAT_ANGLES = "H308"
    UNEVEN_TIMES = "H309"
    CONSTANT = "H321"
    BASELINE_ZERO = "H322"
    NO_DECAY = "H323"
    OUTLIERS = "H324"
