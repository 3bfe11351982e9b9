"""What a killed process leaves is removed by the next; what a living one is at stays."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from platform import node

import psutil
import pytest

from homodyne_cli.io.files.staging import clear_leftovers, staging_beside

#: Makes a folder, says so and waits to be killed.
MAKER = """
import sys, time
from pathlib import Path
from homodyne_cli.io.files.staging import staging_beside
with staging_beside(Path(sys.argv[1])) as staging:
    (staging.made / "part").write_text("half")
    print(staging.folder, flush=True)
    time.sleep(600)
"""


def hidden(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*"))


def test_left_alone_while_it_lives_and_removed_after_its_death(tmp_path: Path) -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER, tmp_path], stdout=subprocess.PIPE)
    assert maker.stdout is not None
    try:
        folder = Path(maker.stdout.readline().decode().strip())
        assert clear_leftovers(tmp_path) == ()
        assert hidden(tmp_path) == [folder]
        owner = json.loads((folder / "lock.json").read_text())
        assert owner["pid"] == maker.pid
        assert owner["host"] == node()
        assert abs(owner["started"] - time.time()) < 60
    finally:
        maker.kill()
        maker.wait()
        maker.stdout.close()
    assert clear_leftovers(tmp_path) == (f"removed {folder}, left by a process that was killed",)
    assert hidden(tmp_path) == []


def leave(folder: Path, **owner: object) -> Path:
    """Leave a folder as a process would that died."""
    left = folder / ".homodyne-left"
    (left / "made").mkdir(parents=True)
    (left / "made" / "part").write_text("half")
    signature = {"pid": 1, "host": node(), "started": 0.0, "locked": True, **owner}
    (left / "lock.json").write_text(json.dumps(signature))
    return left


ME = psutil.Process()


@pytest.mark.parametrize(
    ("owner", "dead"),
    [
        ({}, True),
        ({"host": "another"}, False),
        ({"host": "another", "locked": False, "pid": 2**22 + 1}, False),
        # Without locks the process decides: gone, here, and another one under its number.
        ({"locked": False, "pid": 2**22 + 1}, True),
        ({"locked": False, "pid": ME.pid, "started": ME.create_time()}, False),
        ({"locked": False, "pid": ME.pid, "started": ME.create_time() - 60}, True),
        ({"pid": None, "locked": False}, False),
    ],
)  # fmt: skip
def test_who_counts_as_dead(tmp_path: Path, owner: dict[str, object], dead: bool) -> None:
    left = leave(tmp_path, **owner)
    clear_leftovers(tmp_path)
    assert left.exists() != dead


@pytest.mark.parametrize("signature", ["[]", "{", "null", '{"pid": 1}'])
def test_what_is_signed_otherwise_is_somebody_elses(tmp_path: Path, signature: str) -> None:
    left = leave(tmp_path)
    (left / "lock.json").write_text(signature)
    assert clear_leftovers(tmp_path) == ()
    assert left.exists()


def test_folders_that_were_never_signed(tmp_path: Path) -> None:
    (tmp_path / ".homodyne-empty").mkdir()
    unsigned = leave(tmp_path)
    (unsigned / "lock.json").write_text("")
    foreign = tmp_path / ".homodyne-notes"
    foreign.mkdir()
    (foreign / "mine.txt").write_text("precious")
    (tmp_path / ".homodyne-file").write_text("precious")
    clear_leftovers(tmp_path)
    assert [p.name for p in hidden(tmp_path)] == [".homodyne-file", ".homodyne-notes"]


def test_what_was_being_replaced_comes_back_unless_it_has_been(tmp_path: Path) -> None:
    for name in ("run", "other"):
        (leave(tmp_path) / "old" / name).mkdir(parents=True)
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "new").touch()
        notes = clear_leftovers(tmp_path)
        assert [note.endswith("it is back") for note in notes] == [False, True][
            : 1 + (name == "run")
        ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other", "run"]
    assert (tmp_path / "other" / "new").exists()


def test_a_folder_that_another_takes_before_it_is_signed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open
    taken: list[Path] = []

    def open_late(self: Path, *args: str, **options: str) -> object:
        if not taken:
            taken.append(self.parent)
            clear_leftovers(tmp_path)
        return opened(self, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_late)
    with staging_beside(tmp_path) as staging:
        assert staging.folder != taken[0]
        assert hidden(tmp_path) == [staging.folder]
    assert hidden(tmp_path) == []
