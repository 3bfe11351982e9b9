"""Stable codes: what is said in many words is known by one.

H1: command line, config, output. H2: files. H3: what goes into a fit. H4: what comes out of it.
H5: the checks of ``verify``. H6: the findings of ``diagnose``. H9: defects of the program.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What may be said; a code keeps its meaning and is never used again for another."""

    USAGE = "H101"
    CONFIG = "H102"
    OUTPUT = "H103"
    STREAMED = "H104"
    WRONG_KIND = "H105"
    DATA = "H201"
    NO_FILE = "H202"
    LAYOUT = "H203"
    DAMAGED = "H204"
    RING = "H205"
    FRAMES = "H206"
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
    UNFIT = "H401"
    NOT_CONVERGED = "H402"
    AT_BOUND = "H403"
    UNDETERMINED = "H404"
    INTERRUPTED = "H405"
    BLUR = "H411"
    ALIASED = "H412"
    Q_WIDTH = "H413"
    TRANSIT = "H414"
    UNEQUAL_SHEAR = "H415"
    SECOND_COMPONENT = "H416"
    FLOW_AXIS = "H417"
    TOO_MANY_SPECKLES = "H418"
    OSCILLATIONS = "H501"
    CHI_SQUARED = "H502"
    UNCERTAINTIES = "H503"
    RESIDUALS = "H504"
    GRADIENT_BALANCE = "H505"
    CONVERGENCE = "H506"
    PHYSICAL = "H507"
    RINGS = "H508"
    REPEATS = "H509"
    PREMATURE = "H601"
    IMBALANCE = "H602"
    DERIVATIVE = "H901"
    INTERNAL = "H902"
