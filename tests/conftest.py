"""Settings that every test and every process it starts shares."""

from __future__ import annotations

import os
from pathlib import Path

# Tests compile the same few computations again and again, in many processes: share them. The
# program itself leaves the cache off unless a user asks for it.
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
