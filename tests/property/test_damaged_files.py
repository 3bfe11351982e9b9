"""Damaged data files of every layout: the maps, or one error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.attacked_reader import GOOD, AttackedReader
from tests.support.data_mutations import LAYOUTS, mutate

COUNT = 200


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    reader = AttackedReader(tmp_path)
    try:
        originals = [write(tmp_path / f"{n}{end}") for n, (end, write) in LAYOUTS.items()]
        for original in originals:
            assert reader.read(original).kind == "read", original.name
        refused = 0
        for k in range(COUNT):
            original = originals[k % len(originals)]
            target = tmp_path / f"mutant{original.suffix}"
            done = mutate(original, target, np.random.default_rng([0, k]))
            outcome = reader.read(target)
            assert outcome.kind in GOOD, f"{k}, {original.stem}, {done}: {outcome}"
            refused += outcome.kind == "refused"
    finally:
        reader.close()
    # Most changes leave something wrong, and some change nothing that is read.
    assert COUNT / 3 < refused < COUNT
