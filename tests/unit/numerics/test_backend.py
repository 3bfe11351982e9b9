"""Where JAX computes, or why it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jax import monitoring
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from homodyne_cli.core.numerics import backend, usage
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


def test_flags_that_xla_does_not_know_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA itself ends the process where it meets them, so another process meets them first."""
    monkeypatch.setenv("XLA_FLAGS", "--xla_of_another_year=1")
    with pytest.raises(UsageError, match="'--xla_of_another_year=1'") as refused:
        backend.devices()
    assert "unset XLA_FLAGS" in (refused.value.hint or "")
    assert int(refused.value.exit_code) == 2
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=1")
    assert backend.devices() == backend.jax.devices()


@pytest.fixture
def other_cache() -> Iterator[None]:
    """Let a test keep compiled code elsewhere."""
    config = backend.jax.config
    names = [
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    ]
    before = {name: getattr(config, name) for name in names}
    reset_cache()
    yield
    for name, value in before.items():
        config.update(name, value)
    reset_cache()


@pytest.mark.usefixtures("other_cache")
def test_whatever_is_compiled_is_kept(tmp_path: Path) -> None:
    """What compiles in milliseconds as well."""
    backend.keep_compiled(str(tmp_path))
    backend.jax.jit(lambda x: 3.0 * x + 1.25)(2.0)
    assert list(tmp_path.iterdir())


def test_compilations_side_by_side_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two moments, and of two that overlap what both cover once."""
    spans = [(5.0, 6.0), (0.0, 1.0), (0.5, 2.0), (0.6, 0.7), (9.0, 11.0), (12.0, 13.0)]
    monkeypatch.setattr(usage, "COMPILED", spans)
    assert usage.compiling_seconds(0.25, 10.0) == pytest.approx(1.75 + 1.0 + 1.0)
    assert usage.compiling_seconds(2.5, 4.5) == 0.0


def test_what_jax_compiles_is_noted() -> None:
    """Each event tells how long something took that has just ended."""
    record = monitoring.record_event_duration_secs
    before = len(usage.COMPILED)
    record("/jax/core/compile/backend_compile_duration", 0.5)
    record("/jax/something/else", 9.0)
    ((first, last),) = usage.COMPILED[before:]
    assert last - first == pytest.approx(0.5)
    usage.COMPILED.pop()


def test_an_assertion_of_jax_is_that_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> list[object]:
        raise AssertionError

    monkeypatch.setattr(backend.jax, "devices", nothing)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UsageError, match="'cuda'"):
        backend.devices()
