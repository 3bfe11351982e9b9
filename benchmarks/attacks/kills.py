"""Kill commands at random moments: what `tests.support.kills` looks at, many times.

Run with ``python -m benchmarks.attacks.kills [COUNT] [SEED]``; exit code 1 if anything was found.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.kills import attack


def main() -> None:
    """Kill and tell."""
    count, seed = (int(text) for text in (*sys.argv[1:], "300", "1")[:2])
    with tempfile.TemporaryDirectory() as folder:
        tally = attack(Path(folder), count, seed)
    endings = ", ".join(f"{name}: {number}" for name, number in sorted(tally.endings.items()))
    print(f"{tally.kills} kills; endings {endings}")
    print(f"before the interpreter was up: {tally.before_start}")
    print(f"with something hidden left directly after: {tally.leftovers}")
    print(f"findings: {len(tally.findings)}", *tally.findings, sep="\n  ")
    sys.exit(bool(tally.findings))


if __name__ == "__main__":
    main()
