"""JSON for scripts: numbers as Python writes them, null for what has no number."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homodyne_cli.io.files.json_text import to_json


@dataclass(frozen=True)
class Answer:
    place: Path
    values: np.ndarray
    count: np.int64
    good: np.bool_
    ratio: float


def test_what_numpy_holds_becomes_json() -> None:
    answer = Answer(
        Path("run"), np.array([1e-6, np.nan]), np.int64(3), np.bool_(True), float("-inf")
    )
    assert json.loads(to_json({"answer": answer, "more": (1, 1e-07)})) == {
        "answer": {
            "place": "run",
            "values": [1e-06, None],
            "count": 3,
            "good": True,
            "ratio": None,
        },
        "more": [1, 1e-07],
    }


def test_numbers_keep_every_digit() -> None:
    values = [0.1 + 0.2, 1e-300, math.pi * 1e22, -2.5e-7, 5e-324]
    assert json.loads(to_json(values)) == values


def test_names_that_are_no_utf8_come_back() -> None:
    name = os.fsdecode(b"run\xff\xc3\xa5")
    answer = json.loads(to_json({"run_dir": Path(name), "value": math.nan}))
    assert answer == {"run_dir": name, "value": None}
