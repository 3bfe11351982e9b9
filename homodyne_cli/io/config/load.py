"""Load a config: from YAML text, ``--set`` options or memory to a `Config`.

The way is: strict YAML (`yaml_text.load`), command-line settings (`overrides`), one normal form
(`legacy`, `forms`), each key by the type and range that it declares (`validate`), what several
values say together (`checks`). Everything that is wrong is told in one run, each with the place
that the user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from homodyne_cli.io.config.checks import settle, without_effect
from homodyne_cli.io.config.dump import dump_yaml, resolved_data
from homodyne_cli.io.config.forms import normalise
from homodyne_cli.io.config.keys import config_keys
from homodyne_cli.io.config.overrides import apply_overrides
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.io.config.tree import ConfigTree
from homodyne_cli.io.config.validate import read_config
from homodyne_cli.io.yaml_text.load import Document, load_mapping, read_document
from homodyne_cli.problem import Config

__all__ = ["config_keys", "dump_yaml", "load_config", "resolve_config", "template_text"]


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read and check a YAML config.

    Parameters
    ----------
    path
        The file. Relative paths in it are relative to its folder.
    overrides
        ``key.path=value`` settings, applied in order before anything is checked; values are
        read as YAML.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or says something that makes no sense. The message
        begins with file:line:column (or ``--set key.path``) and shows the value seen; the hint
        says what would be accepted. Where several things are wrong it has a line for each.
    """
    document = read_document(path)
    return _resolve(load_mapping(document), document, overrides, path.absolute().parent)


def resolve_config(
    data: Mapping[str, object],
    *,
    folder: Path | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """Check a config made in memory.

    Parameters
    ----------
    data
        The same nested mappings, lists and scalars as in a YAML file; left unchanged.
    folder
        What relative paths are relative to; the working directory by default.
    overrides
        As for `load_config`.

    Raises
    ------
    ConfigError
        As for `load_config`; places are given as ``<config>``.
    """
    base = Path.cwd() if folder is None else folder.absolute()
    return _resolve(data, None, overrides, base)


def _resolve(
    data: Mapping[str, object],
    document: Document | None,
    overrides: Sequence[str],
    folder: Path,
) -> Config:
    tree = ConfigTree(data, document)
    apply_overrides(tree, overrides)
    normalise(tree)
    config, forms = read_config(tree, folder)
    mode = tree.find("analysis_mode")
    if mode is None or not mode.bad:
        config = settle(config, forms, tree, folder)
    tree.check()
    return replace(
        config,
        path=None if document is None else document.path,
        unused_keys=(*tree.unused, *without_effect(config, tree)),
        resolved=resolved_data(config),
    )
