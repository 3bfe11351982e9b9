"""Verdicts on rings and repeats, from chances that are given."""

from __future__ import annotations

import numpy as np
import pytest

from homodyne_cli.core.agreement_verdicts import agreement_findings, check_agreement
from homodyne_cli.findings.agreement import Agreement, ComparedQuantity


def quantity(name: str, chance: float, off: float, degrees: int = 1) -> ComparedQuantity:
    """The second of two parts is off, by ten standard deviations."""
    deviation, error = np.array([0.1, off]), np.array([1.0, abs(off) / 10.0])
    return ComparedQuantity(name, "%", deviation, error, 1.0, degrees, chance)


def rings(chance: float, *quantities: ComparedQuantity, degrees: int = 5) -> Agreement:
    return Agreement("rings", np.array([0.004, 0.005]), quantities, 20.0, degrees, chance)


J, RATE = quantity("J", 0.6, 1.0), quantity("shear rate", 0.7, 1.0)


@pytest.mark.parametrize(
    ("agreement", "status", "chance"),
    [
        # Chances count as many times as there are tests: those of quantities and that of all.
        (rings(0.5, J, RATE), "pass", 1.0),
        (rings(0.004, J, RATE), "pass", 0.012),
        (rings(0.003, J, RATE), "warn", 0.009),
        (rings(0.5, quantity("J", 0.003, 9.0), RATE), "warn", 0.009),
        (rings(0.5, quantity("J", 0.0003, 9.0), RATE), "fail", 0.0009),
        (rings(0.5, quantity("J", 0.0004, 9.0), RATE), "warn", 0.0012),
        # Significant, but less than 2% off.
        (rings(0.5, quantity("J", 1e-6, -1.9), RATE), "warn", 3e-6),
        (rings(0.5, quantity("J", 1e-6, -2.1), RATE), "fail", 3e-6),
        (rings(0.5, quantity("shear rate", 1e-6, 2.1)), "fail", 2e-6),
        (rings(0.5, quantity("phi0", 1e-6, 0.6), RATE), "fail", 3e-6),
        # What no two rings know is no test.
        (rings(0.003, J, quantity("shear rate", 1e-9, 9.0, degrees=0)), "warn", 0.006),
        (rings(1e-9, J, RATE, degrees=0), "pass", 1.0),
        (rings(1.0, degrees=0), "pass", 1.0),
    ],
)
def test_rings(agreement: Agreement, status: str, chance: float) -> None:
    check = check_agreement(agreement)
    assert (check.id, check.status) == ("rings", status)
    assert check.value == pytest.approx(chance)
    assert bool(check.advice) == (status != "pass")
    assert len(list(agreement_findings([agreement]))) == (status == "fail")


def test_the_ring_and_the_quantity_that_are_most_off_are_named() -> None:
    slow, fast = quantity("J", 2e-4, 30.0), quantity("shear rate", 1e-6, -25.0)
    message = check_agreement(rings(0.5, slow, fast)).message
    assert "the rings disagree on shear rate: q = 0.005 1/Å is -25 ± 2 % off" in message


@pytest.mark.parametrize(
    ("chance", "status"), [(0.02, "pass"), (0.01, "pass"), (0.009, "warn"), (0.0009, "fail")]
)
def test_repeats(chance: float, status: str) -> None:
    slow, fast = quantity("J", 0.3, 30.0), quantity("shear rate", 0.01, -25.0)
    repeats = Agreement("repeats", np.array([1.0, 2.0]), (slow, fast), 20.0, 5, chance)
    check = check_agreement(repeats)
    assert (check.id, check.status, check.value) == ("repeats", status, chance)
    assert "2 repeats scatter by 2.00 of" in check.message
    assert ("most of all shear rate, repeat 2 is -25" in check.message) == (status != "pass")
    assert ("times 2, they would cover" in check.advice) == (status != "pass")


def test_repeats_that_tell_nothing_are_no_check() -> None:
    check = check_agreement(Agreement("repeats", np.array([1.0, 2.0]), (), 0.0, 0, 1.0))
    assert (check.status, check.value) == ("n/a", None)
