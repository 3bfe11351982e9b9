"""The pass over several devices gives the sums of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

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
