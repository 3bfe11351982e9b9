"""The time at which rates of power laws are compared."""

from __future__ import annotations

import numpy as np

from homodyne_cli.dataset import FloatArray


def reference_time(t: FloatArray) -> float:
    """Return the time in seconds at which rates of power laws serve as coordinates.

    The geometric mean of the frame times: a change of the exponent turns the power law about its
    value at t_ref, and over the frames the change, in proportion to ln(t/t_ref), averages to zero.
    """
    return float(np.exp(np.mean(np.log(t))))
