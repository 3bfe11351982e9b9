"""Files that would end or block the process that reads them are found out by another process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from homodyne_cli.errors import DataError
from homodyne_cli.io.maps.trial import trial_reading
from tests.support.data_mutations import LAYOUTS, deadly, mutate, overwrite


def written(layout: str, folder: Path) -> Path:
    suffix, write = LAYOUTS[layout]
    return write(folder / f"a{suffix}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_good_files_pass(tmp_path: Path, layout: str) -> None:
    with trial_reading(written(layout, tmp_path)) as wait:
        wait()


def test_a_heap_without_end(tmp_path: Path) -> None:
    """The size of a text that, with its header, is 0 in 64 bits."""
    endless = (2**64 - 16).to_bytes(8, "little")
    path = overwrite(written("nxxpcs", tmp_path), b"GCOL", 24, endless)
    with trial_reading(path) as wait, pytest.raises(DataError, match="no end in it") as caught:
        wait()
    assert str(path) in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="memory cannot be asked for")
def test_a_text_that_fills_memory(tmp_path: Path) -> None:
    """The library takes the size that a heap declares before it looks whether it is there.

    Filling 3 GB may take longer than a trial may.
    """
    mutant = tmp_path / "mutant.hdf"
    done = mutate(written("aps-legacy", tmp_path), mutant, np.random.default_rng([1, 2611]))
    assert done == "3 bytes set"
    with (
        trial_reading(mutant) as wait,
        pytest.raises(DataError, match=r"more than 1 GB|no end in it"),
    ):
        wait()


def test_a_virtual_map_that_ends_the_process(tmp_path: Path) -> None:
    with (
        trial_reading(deadly(tmp_path / "a.h5")) as wait,
        pytest.raises(DataError, match="end the process"),
    ):
        wait()


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "empty"), (b"no HDF5", "neither HDF5"), (None, "no such file")]
)
def test_what_is_no_data_file_is_told_at_once(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said), trial_reading(path):
        pass


def test_damage_that_has_a_name_is_left_to_reading(tmp_path: Path) -> None:
    path = written("aps-u", tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])
    with trial_reading(path) as wait:
        wait()


def test_a_trial_that_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    with trial_reading(written("plain", tmp_path)):
        pass


def test_no_interpreter_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with trial_reading(written("plain", tmp_path)) as wait:
        wait()


@pytest.mark.skipif(sys.platform == "win32", reason="memory cannot be asked for")
def test_the_memory_of_who_asks_is_not_that_of_the_file(tmp_path: Path) -> None:
    """A process is a copy of the one that starts it until its program begins."""
    held = np.ones(160_000_000)
    with trial_reading(written("aps-u", tmp_path)) as wait:
        wait()
    assert held[-1] == 1.0
