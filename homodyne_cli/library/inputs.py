"""What goes into a fit: config and data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from homodyne_cli.core.inputs.examine import examined
from homodyne_cli.dataset import Dataset
from homodyne_cli.io.config import load
from homodyne_cli.io.maps.read_data import read_dataset
from homodyne_cli.problem import Config

#: A path as Python's own functions take it.
PathLike = str | os.PathLike[str]


def load_config(path: PathLike, settings: Sequence[str] = ()) -> Config:
    """Read and check a YAML config.

    Parameters
    ----------
    path
        The file; relative paths in it are relative to its folder.
    settings
        ``key.path=value``, as ``--set`` takes them.

    Raises
    ------
    ConfigError
        With file:line:column of everything that is wrong.
    """
    return load.load_config(Path(path), settings)


def load_data(config: Config) -> Dataset:
    """Read the maps that a config selects, and look at what is doubtful in them (`findings`).

    Raises
    ------
    DataError
        The file cannot be read, or has not what is asked for.
    """
    return examined(read_dataset(config.selection, config.problem.mode), config.problem)
