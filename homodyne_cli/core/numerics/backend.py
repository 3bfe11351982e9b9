"""The one place that configures JAX: double precision, one CPU device per core.

Import ``jax`` and ``jnp`` from here, so that nothing runs before the settings are made. XLA
runs a small computation on one CPU device almost serially; giving each core a device of its
own and sharding the tiles over them keeps all cores busy. An accelerator is used as it is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cache

import jax
import jax.numpy as jnp
from jax import monitoring

from homodyne_cli.core.numerics.threads import usable_cores
from homodyne_cli.core.numerics.usage import COMPILED
from homodyne_cli.errors import UsageError

jax.config.update("jax_enable_x64", True)
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    jax.config.update("jax_num_cpu_devices", usable_cores())

__all__ = [
    "describe_device",
    "devices",
    "jax",
    "jnp",
    "keep_compiled",
]


def keep_compiled(directory: str) -> None:
    """Keep compiled code in a directory, for later processes to load instead of compiling.

    Whoever can write there decides what later fits execute: the caller makes it private.
    """
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def devices() -> list[jax.Device]:
    """Return the devices to compute on.

    Raises
    ------
    UsageError
        If ``JAX_PLATFORMS`` names none that is there, or ``XLA_FLAGS`` what XLA does not know.
    """
    if os.environ.get("XLA_FLAGS"):
        _try_flags(os.environ["XLA_FLAGS"])
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:
        # JAX asserts where it lists what it tried and none of it answered.
        platforms = os.environ.get("JAX_PLATFORMS", "")
        raise UsageError(
            f"JAX finds no device to compute on (JAX_PLATFORMS is '{platforms}')",
            hint="unset JAX_PLATFORMS, or name what is there: JAX_PLATFORMS=cpu",
        ) from error


@cache
def _try_flags(flags: str) -> None:
    """Refuse flags that XLA does not know: it would end the process where it meets them."""
    trial = (sys.executable, "-c", "import jax; jax.devices()")
    ran = subprocess.run(trial, capture_output=True, text=True, errors="replace", check=False)
    complaint = [line for line in ran.stderr.splitlines() if "XLA_FLAGS" in line]
    if ran.returncode != 0 and complaint:
        reason = complaint[-1].rpartition("] ")[2]
        raise UsageError(
            f"XLA does not take the flags in XLA_FLAGS, {flags!r}: {reason}",
            hint="unset XLA_FLAGS, or correct it",
        )


def describe_device() -> str:
    """Return the devices JAX computes on, for ``--version`` and manifests."""
    every = devices()
    kind = every[0].device_kind
    return f"{every[0].platform} ({kind} x {len(every)})"


def _record(event: str, duration_secs: float, **kwargs: str | int) -> None:
    del kwargs
    if "compile" in event or "trace" in event or "lowering" in event:
        now = time.perf_counter()
        COMPILED.append((now - duration_secs, now))


monitoring.register_event_duration_secs_listener(_record)
