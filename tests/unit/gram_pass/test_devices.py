"""The pass over several devices gives the sums of one."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from homodyne_cli.core.gram_pass.device_tiles import CHUNK_STEPS, pack
from homodyne_cli.core.maps.tiling import TILE
from tests.support.datasets import make_dataset

CODE = """
import json
import numpy as np
from homodyne_cli.core.numerics.backend import jax
from homodyne_cli.core.gram_pass.gram_pass import PassSpec, evaluate
from homodyne_cli.core.gram_pass.device_tiles import pack
from tests.support.datasets import PUBLISHED, make_dataset
data = make_dataset(230, 3, seed=2)
grams = evaluate(pack(data), PassSpec("laminar_flow", "he2024"), np.array(PUBLISHED)).gram
print(json.dumps([len(jax.devices()), grams.tolist()]))
"""


def grams_on(devices: int) -> np.ndarray:
    flags = f"--xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    count, grams = json.loads(done.stdout)
    assert count == devices
    return np.array(grams)


@pytest.mark.parametrize("devices", [3, 4])
def test_several_devices_give_the_sums_of_one(devices: int) -> None:
    """230 frames make 15 tiles: some devices get fewer than others."""
    one, several = grams_on(1), grams_on(devices)
    scale = np.sqrt(np.einsum("akk->ak", one))
    error = np.abs(several - one) / (scale[:, :, None] * scale[:, None, :])
    assert error.max() < 1e-12


@pytest.mark.parametrize("frames", [50, 100, 150, 250])
def test_less_than_half_of_a_chunk_is_empty(frames: int) -> None:
    """Data of similar length share compiled code, at less than twice the memory of their tiles."""
    layout = pack(make_dataset(frames, 1)).layout
    a_side = math.ceil(frames / TILE)
    needed = math.ceil(a_side * (a_side + 1) / 2 / layout.step_tiles / layout.n_devices)
    assert min(needed, CHUNK_STEPS) <= layout.chunk_steps < 2 * needed
