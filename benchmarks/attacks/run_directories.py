"""Attack the commands that read run directories with such in which one thing is wrong.

Run from the top of the repository:

    python -m benchmarks.attacks.run_directories [--runs 800] [--seed 0] [--show]
        [--read | --readers]

A run of this program and one of homodyne 2.x are copied and changed (`support.run_mutations`).
``diagnose`` and ``verify`` are called, or with ``--read`` ``show``, ``compare``, ``export`` and
``report``; ``--readers`` reads them and no more, which is a hundred times faster. Clean is one
error with exit code 3, or an answer; the rest is listed. The commands run in a process of their
own, so that a death of it is counted as well.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import shutil
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from tests.support.attacked import (
    Outcome,
    attacked_runs,
    judging_commands,
    outcome_of,
    outcome_of_reading,
    reading_commands,
)
from tests.support.run_mutations import mutate

#: Seconds of the processor.
SLOW = 10.0
HANG = 300.0
CLEAN = ("error", "answer")
READING = "reading"


def _attack(pool: ProcessPoolExecutor, arguments: tuple[str, ...]) -> Outcome:
    try:
        if arguments[0] == READING:
            return pool.submit(outcome_of_reading, arguments[1]).result(timeout=HANG)
        return pool.submit(outcome_of, arguments).result(timeout=HANG)
    except TimeoutError:
        return Outcome("hang", f"no answer in {HANG:.0f} s", HANG)
    except BrokenProcessPool:
        return Outcome("death", "the process died")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--read", action="store_true", help="Call the commands that only read.")
    parser.add_argument("--readers", action="store_true", help="Read them and do no more.")
    parser.add_argument("--show", action="store_true", help="Print every error message.")
    options = parser.parse_args()
    count: Counter[str] = Counter()
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        sound = attacked_runs(Path(folder))
        pool = _pool()
        for k in range(options.runs):
            target = Path(folder) / "attacked"
            what = mutate(sound[int(k % 4 == 3)], target, np.random.default_rng([options.seed, k]))
            called = reading_commands if options.read else judging_commands
            commands = called(target, Path(folder), sound[0], k)
            for arguments in [(READING, str(target))] if options.readers else commands:
                outcome = _attack(pool, arguments)
                count[outcome.kind] += 1
                seconds.append(outcome.seconds)
                if outcome.kind in ("hang", "death"):
                    _stop(pool)
                    pool = _pool()
                if options.show or outcome.kind not in CLEAN or outcome.seconds > SLOW:
                    ended = f"{outcome.kind}, {outcome.seconds:.1f} s: {outcome.said}"
                    print(f"{k} {arguments[0]} [{what}] {ended}")
            shutil.rmtree(target)
        pool.shutdown()
    clean = ", ".join(f"{count.pop(kind, 0)} {kind}s" for kind in CLEAN)
    slow = sum(s > SLOW for s in seconds)
    print(f"{options.runs} run directories: {clean}")
    print(f"not clean: {dict(count) or 'none'}; {slow} slow, the slowest {max(seconds):.1f} s")


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=mp.get_context("spawn"))


def _stop(pool: ProcessPoolExecutor) -> None:
    """End what hangs, or what is left of what died."""
    for process in mp.active_children():
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


if __name__ == "__main__":
    main()
