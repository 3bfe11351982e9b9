"""Killed commands leave nothing half done; benchmarks/attacks/kills.py is the long version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.kills import attack


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_few_kills(tmp_path: Path) -> None:
    names = {"fit --force", "simulate --force", "apply-scale", "diagnose"}
    tally = attack(tmp_path, 12, seed=5, names=names)
    assert tally.findings == []
    assert tally.kills == 12
