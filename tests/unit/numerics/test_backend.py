"""Where JAX computes, or why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from homodyne_cli.core.numerics import backend
from homodyne_cli.errors import UsageError

ASK = """
from homodyne_cli.core.numerics.backend import devices
from homodyne_cli.errors import UsageError
try:
    devices()
except UsageError as error:
    print(error, error.hint, int(error.exit_code))
"""


def test_a_platform_that_is_not_there_is_named() -> None:
    """JAX settles its platforms once a process."""
    environment = {**os.environ, "JAX_PLATFORMS": "tpu"}
    ran = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    assert "no device to compute on (JAX_PLATFORMS is 'tpu')" in ran.stdout
    assert "JAX_PLATFORMS=cpu" in ran.stdout
    assert ran.stdout.strip().endswith("2")


def test_flags_that_xla_does_not_know_are_named() -> None:
    """XLA itself ends the process where it meets them."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_of_another_year=1", "JAX_PLATFORMS": "cpu"}
    ran = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    assert "--xla_of_another_year=1" in ran.stdout
    assert "unset XLA_FLAGS" in ran.stdout
    assert ran.stdout.strip().endswith("2")


def test_an_assertion_of_jax_is_that_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> list[object]:
        raise AssertionError

    monkeypatch.setattr(backend.jax, "devices", nothing)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UsageError, match="'cuda'"):
        backend.devices()
