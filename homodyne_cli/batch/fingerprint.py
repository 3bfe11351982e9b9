"""What tells fits apart: the resolved config, the data and the version of the program."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from homodyne_cli.errors import DataError
from homodyne_cli.io.config.dump import dump_yaml
from homodyne_cli.io.run.write_run import MANIFEST
from homodyne_cli.problem import Config
from homodyne_cli.version import VERSION


def config_fingerprint(config: Config, hash_of: Callable[[Path], str]) -> str:
    """Return the fingerprint of the fit that a config asks for.

    Parameters
    ----------
    hash_of
        Returns the hash of a file's content.

    Raises
    ------
    DataError
        If the data file cannot be read.
    """
    data = ""
    for path in config.selection.paths:
        try:
            data += hash_of(path)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", path=path) from error
    return _fingerprint(dump_yaml(config.resolved), data, VERSION)


def run_fingerprint(target: Path) -> str | None:
    """Return the fingerprint of a run directory; None if there is no complete one."""
    try:
        manifest = json.loads((target / MANIFEST).read_bytes())
        config = (target / "config.yaml").read_text(encoding="utf-8")
        # The config comes first: its text is in the run.
        data = "".join(entry["sha256"] for entry in manifest["inputs"][1:])
        return _fingerprint(config, data, manifest["versions"]["homodyne"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _fingerprint(config: str, data: str, version: str) -> str:
    text = json.dumps([config, data, version])
    return hashlib.sha256(text.encode()).hexdigest()
