"""What every result of the library can do: plain data, a table, and a view in a notebook."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homodyne_cli.errors import UsageError
from homodyne_cli.io.files.json_text import to_json
from homodyne_cli.render.pages.html import Cell, table

if TYPE_CHECKING:
    import pandas as pd


class Shown(ABC):
    """A result that is plain data, a table or HTML as one asks."""

    @abstractmethod
    def _answer(self) -> dict[str, object]:
        """Return what the command prints with ``--json``."""

    @abstractmethod
    def _columns(self) -> Mapping[str, Sequence[object]]:
        """Return the columns of the table; the first one names its rows."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """Return what a notebook shows."""

    def to_dict(self) -> dict[str, object]:
        """Return what the command prints with ``--json``, as plain data; None is not known."""
        data: dict[str, object] = json.loads(to_json(self._answer()))
        return data

    def to_dataframe(self) -> pd.DataFrame:
        """Return the table, its rows named.

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UsageError(
                "to_dataframe needs pandas, which is not installed",
                hint="pip install pandas, or use to_dict()",
            ) from error
        name, *_ = columns = dict(self._columns())
        return pd.DataFrame(columns).set_index(name)


def html_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]], numeric: Sequence[str] = ()
) -> str:
    """Return a table under its title."""
    return f"<h4>{title}</h4>" + table(head, rows, label=title, numeric=numeric)
