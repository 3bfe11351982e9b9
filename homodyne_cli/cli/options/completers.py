"""What the shell is offered: run directories, files by their kind, parameter names, config keys.

Answered on every press of the tab key, so nothing here may import a numerical library; an
unreadable folder offers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from homodyne_cli.findings.codes import Code
from homodyne_cli.io.files.suffixes import CONFIG_SUFFIXES, DATA_SUFFIXES
from homodyne_cli.parameters import NAMES

#: Folders below the typed one that are looked into, so that ``fit`` in a folder of runs is offered
#: the runs themselves.
_DEPTH = 2
_HEAD_BYTES = 65536

Wanted = Callable[[Path], bool]


def run_directories(incomplete: str) -> list[str]:
    """Offer directories that `fit` (or homodyne 2.x) wrote."""
    return _below(incomplete, _is_run)


def configs(incomplete: str) -> list[str]:
    """Offer YAML files that are not scale fixes."""
    return _below(incomplete, lambda path: _is_yaml(path) and not _is_fix(path))


def fix_files(incomplete: str) -> list[str]:
    """Offer what ``diagnose -o`` wrote."""
    return _below(incomplete, lambda path: _is_yaml(path) and _is_fix(path))


def data_files(incomplete: str) -> list[str]:
    """Offer HDF5 and npz files."""
    return _below(incomplete, lambda path: path.suffix in DATA_SUFFIXES and path.is_file())


def parameter_names(incomplete: str) -> list[str]:
    """Offer the next name of a comma-separated list."""
    before, comma, start = incomplete.rpartition(",")
    taken = before.split(",")
    return [before + comma + name for name in NAMES if name.startswith(start) and name not in taken]


def codes(incomplete: str) -> list[str]:
    """Offer the codes of errors, warnings and findings."""
    return [code for code in Code if code.startswith(incomplete.upper())]


def config_keys(incomplete: str) -> list[str]:
    """Offer ``key.path=`` of the config, and its values where they can be listed."""
    from homodyne_cli.io.config.keys import config_keys

    key, equals, value = incomplete.partition("=")
    rows = {row.key: row.type for row in config_keys()}
    if not equals:
        return [f"{name}=" for name in rows if name.startswith(key)]
    if key == "experimental_data.file_path":
        return [f"{key}={path}" for path in data_files(value)]
    offered = rows.get(key, "").split(" | ")
    return [f"{key}={v}" for v in offered if len(offered) > 1 and v.startswith(value)]


def _below(incomplete: str, wanted: Wanted) -> list[str]:
    folder, slash, start = incomplete.rpartition("/")
    prefix = folder + slash
    return list(_find(Path(prefix or ".").expanduser(), prefix, start, wanted, _DEPTH))


def _find(folder: Path, prefix: str, start: str, wanted: Wanted, depth: int) -> Iterator[str]:
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        hidden = entry.name.startswith(".") and not start.startswith(".")
        if hidden or not entry.name.startswith(start):
            continue
        if wanted(entry):
            yield prefix + entry.name
        elif depth > 1 and entry.is_dir():
            yield from _find(entry, f"{prefix}{entry.name}/", "", wanted, depth - 1)


def _is_run(path: Path) -> bool:
    return any((path / place).is_file() for place in ("parameters.json", "nlsq/parameters.json"))


def _is_yaml(path: Path) -> bool:
    return path.suffix in CONFIG_SUFFIXES and path.is_file()


def _is_fix(path: Path) -> bool:
    """Tell a scale fix from a config: it has a map and says nothing about the analysis."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"x_scale_map" in head and b"analysis_mode" not in head
