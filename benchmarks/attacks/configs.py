"""Attack the readers of configs and fixes with damaged, hostile and random files.

Run from the top of the repository:

    python -m benchmarks.attacks.configs [--files 10000] [--seed 0]

Clean is one error, or a config that says the same when it is written out and read again; the rest
is listed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.config_attacks import CONFIGS, outcome_of

SLOW = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    count: Counter[str] = Counter()
    times = [0.0]
    with tempfile.TemporaryDirectory() as folder:

        @seed(options.seed)
        @settings(
            max_examples=options.files,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(CONFIGS)
        def attack(raw: bytes) -> None:
            started = time.process_time()
            try:
                outcome = outcome_of(raw, Path(folder) / "c.yaml")
            except Exception as error:  # noqa: BLE001 (what must not happen is counted)
                outcome = f"TRACEBACK {type(error).__name__}: {error}"[:120]
            times.append(time.process_time() - started)
            count[outcome] += 1
            if times[-1] > SLOW or not outcome.replace(",", "").replace(" ", "").islower():
                print(f"{outcome}, {times[-1]:.1f} s: {raw!r}")

        attack()
    for outcome, number in count.most_common():
        print(f"{number:7d} {outcome}")
    slow = sum(seconds > SLOW for seconds in times)
    print(f"{count.total()} files, {slow} slow, slowest {max(times):.1f} s of processor time")


if __name__ == "__main__":
    main()
