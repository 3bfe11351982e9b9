"""What files are by their names, for who must not open them yet."""

from __future__ import annotations

from typing import Final

CONFIG_SUFFIXES: Final = (".yaml", ".yml")
DATA_SUFFIXES: Final = (".h5", ".hdf5", ".hdf", ".nxs", ".npz", ".npy")
