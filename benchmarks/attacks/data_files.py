"""Read thousands of damaged data files, and count what came of each.

    python -m benchmarks.attacks.data_files [--count 3000] [--seed 0] [--keep FOLDER]

Small files of every layout are damaged (`tests.support.data_mutations`) and read in a process of
their own (`tests.support.attacked_reader`), as a fit would read them within a memory budget.
"""

from __future__ import annotations

import argparse
import collections
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.support.attacked_reader import GOOD, AttackedReader
from tests.support.data_mutations import LAYOUTS, mutate


def attack(count: int, seed: int, keep: Path | None) -> collections.Counter[str]:
    """Damage and read `count` files; print what went wrong, return how often each came."""
    counts: collections.Counter[str] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        originals = [
            (layout, write(folder / f"{layout}{suffix}"))
            for layout, (suffix, write) in LAYOUTS.items()
        ]
        reader = AttackedReader(folder)
        for layout, original in originals:
            outcome = reader.read(original)
            if outcome.kind != "read":
                print(f"{layout}, not damaged: {outcome}")
        for k in range(count):
            layout, original = originals[k % len(originals)]
            target = folder / f"mutant{original.suffix}"
            done = mutate(original, target, np.random.default_rng([seed, k]))
            outcome = reader.read(target)
            counts[outcome.kind] += 1
            if outcome.kind in GOOD:
                continue
            kinds[f"{outcome.kind}: {outcome.detail}"[:110]] += 1
            print(f"{k} {layout} ({done}): {outcome.kind} {outcome.detail}", flush=True)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(target, keep / f"{seed}-{k}-{layout}{target.suffix}")
        reader.close()
    for kind, times in kinds.most_common(40):
        print(f"{times:5d}  {kind}")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep files that went wrong in this folder")
    arguments = parser.parse_args()
    counts = attack(arguments.count, arguments.seed, arguments.keep)
    shown = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts))
    print(f"{arguments.count} files, seed {arguments.seed}: {shown}")
    return int(any(counts[kind] for kind in counts if kind not in GOOD))


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(10)
    sys.exit(main())
