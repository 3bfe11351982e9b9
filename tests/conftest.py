"""Settings that every test and every process it starts shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Tests compile the same few computations again and again, in many processes: share them. The
# program itself leaves the cache off unless a user asks for it.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="session")
def own_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run directory, written in this process."""
    from tests.support.commands import Commands

    folder = tmp_path_factory.mktemp("own")
    steps = Commands(shown=False)
    config = str(folder / "config.yaml")
    steps.run("init", "-o", config, "--mode", "static")
    data = str(folder / "data.h5")
    steps.run("simulate", config, "-o", data, "--frames", "30", "--noise", "0.01", "--phi", "0")
    steps.run("fit", config, "-o", str(folder / "run"), "--no-plots", "--quiet")
    return folder / "run"
