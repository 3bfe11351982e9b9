"""A config file made of a head and what a test adds to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.load import load_config
from homodyne_cli.problem import Config

HEAD = """\
analysis_mode: laminar_flow
analyzer_parameters:
  dt: 0.1
  geometry: {stator_rotor_gap: 2.0e6}
experimental_data: {file_path: data.h5}
"""
STATIC = "analysis_mode: static\nexperimental_data: {file_path: data.h5}\n"
NLSQ = "optimization.nlsq"

Load: TypeAlias = Callable[..., Config]


def loader(tmp_path: Path) -> Load:
    def loaded(extra: str = "", *overrides: str, head: str = HEAD) -> Config:
        path = tmp_path / "c.yaml"
        path.write_text(head + extra, encoding="utf-8")
        return load_config(path, overrides)

    return loaded


def refusal(load: Load, extra: str = "", *overrides: str, head: str = HEAD) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(extra, *overrides, head=head)
    return caught.value
