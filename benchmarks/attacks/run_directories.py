"""Attack ``diagnose`` and ``verify`` with run directories in which one thing is wrong.

Run from the top of the repository:

    python -m benchmarks.attacks.run_directories [--runs 800] [--seed 0] [--show]

A run of this program and one of homodyne 2.x are copied and changed (`support.run_mutations`).
Clean is one error with exit code 3, or an answer; the rest is listed. The commands run in a process
of their own, so that a death of it is counted as well.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from tests.support.attacked import Outcome, attacked_runs, outcome_of
from tests.support.run_mutations import mutate

SLOW = 10.0
HANG = 120.0
CLEAN = ("error", "answer")


def _attack(pool: ProcessPoolExecutor, arguments: tuple[str, ...]) -> tuple[Outcome, float]:
    started = time.perf_counter()
    try:
        outcome = pool.submit(outcome_of, arguments).result(timeout=HANG)
    except TimeoutError:
        outcome = Outcome("hang", f"no answer in {HANG:.0f} s")
    except BrokenProcessPool:
        outcome = Outcome("death", "the process died")
    return outcome, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="Print every error message.")
    options = parser.parse_args()
    count: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        sound = attacked_runs(Path(folder))
        pool = _pool()
        for k in range(options.runs):
            target = Path(folder) / "attacked"
            rng = np.random.default_rng([options.seed, k])
            what = mutate(sound[int(k % 4 == 3)], target, rng)
            report = ("--report", str(Path(folder) / "page.html"), "--force")
            for arguments in (("diagnose", str(target)), ("verify", str(target), *report)):
                outcome, seconds = _attack(pool, arguments)
                count[outcome.kind] += 1
                count["slow"] += seconds > SLOW
                slowest = max(slowest, seconds)
                if outcome.kind in ("hang", "death"):
                    pool.shutdown(wait=False, cancel_futures=True)
                    pool = _pool()
                if options.show or outcome.kind not in CLEAN or seconds > SLOW:
                    ended = f"{outcome.kind}, {seconds:.1f} s: {outcome.said}"
                    print(f"{k} {arguments[0]} [{what}] {ended}")
            shutil.rmtree(target)
        pool.shutdown()
    clean = ", ".join(f"{count.pop(kind, 0)} {kind}s" for kind in CLEAN)
    slow = count.pop("slow")
    print(f"{options.runs} run directories, diagnosed and verified: {clean}, {slow} slow")
    print(f"slowest {slowest:.1f} s; not clean: {dict(count) or 'none'}")


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=mp.get_context("spawn"))


if __name__ == "__main__":
    main()
