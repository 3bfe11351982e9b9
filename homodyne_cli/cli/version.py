"""``homodyne --version``."""

from __future__ import annotations

import platform
from importlib.metadata import version

from homodyne_cli.version import VERSION

LIBRARIES = ("jax", "jaxlib", "scipy", "numpy", "h5py")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "homodyne": VERSION,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def version_text() -> str:
    """Return versions and the device that a fit would use."""
    from homodyne_cli.core.numerics.backend import describe_device

    listed = ", ".join(f"{k} {v}" for k, v in versions().items() if k != "homodyne")
    return f"homodyne {VERSION} ({listed}; device {describe_device()})"
