"""The version of this package, in the one place that everything reads it from."""

import platform
from importlib.metadata import entry_points, version

VERSION = "0.1.0"
_LIBRARIES = ("jax", "jaxlib", "scipy", "numpy", "h5py")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "homodyne": VERSION,
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def clash_note() -> str | None:
    """Say how to run this program if another one installed here has a command of its name."""
    for script in entry_points(group="console_scripts", name="homodyne"):
        if script.dist is not None and not script.module.startswith("homodyne_cli."):
            return (
                f"{script.dist.name} {script.dist.version}, installed here too, has a command "
                "'homodyne' as well, and the one installed last answers; this program is always "
                "'homodyne-cli' or 'python -m homodyne_cli'"
            )
    return None
