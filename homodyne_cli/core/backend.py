"""The one place that configures JAX: double precision, one CPU device per core.

Import ``jax`` and ``jnp`` from here, so that nothing runs before the settings are made. XLA
runs a small computation on one CPU device almost serially; giving each core a device of its
own and sharding the tiles over them keeps all cores busy. An accelerator is used as it is.
"""

from __future__ import annotations

import os

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))

__all__ = ["describe_device", "jax", "jnp"]


def describe_device() -> str:
    """Return the devices JAX computes on, for ``--version`` and manifests."""
    devices = jax.devices()
    kind = devices[0].device_kind
    return f"{devices[0].platform} ({kind} x {len(devices)})"
