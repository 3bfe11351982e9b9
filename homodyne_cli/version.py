"""The version of this package, in the one place that everything reads it from."""

import platform
from importlib.metadata import version

VERSION = "0.1.0"
_LIBRARIES = ("jax", "jaxlib", "scipy", "numpy", "h5py")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "homodyne": VERSION,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }
