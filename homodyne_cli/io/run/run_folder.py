"""A run directory made by anybody: what is opened in it, and what is said of what is wrong."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homodyne_cli.errors import DataError
from homodyne_cli.io.files.printable import printable

#: Bytes of a JSON file; 2,000 angles and 5,000 iterations take 5 million.
MAX_BYTES: Final = 10_000_000
#: Kinds of errors for a value that is not there, where null is not allowed.
_NO_VALUE: Final = ("float_type", "int_type", "bool_type", "string_type", "tuple_type", "list_type")

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class RunFolder:
    """The folder with the files of a run; only regular files inside `root` are opened."""

    root: Path
    home: Path

    def holds(self, name: str) -> bool:
        """Return whether there is a file of that name, of whatever kind."""
        return (self.home / name).exists() or (self.home / name).is_symlink()

    def file(self, name: str) -> Path:
        """Return the path of a file that may be opened.

        Raises
        ------
        DataError
            It is missing, no regular file, or lies elsewhere.
        """
        path = self.home / name
        try:
            if not self.holds(name):
                raise DataError("missing from the run directory", path=path)
            if not path.is_file():
                raise DataError("not a regular file", path=path)
            outside = self.root.resolve() not in path.resolve().parents
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", path=path) from error
        if outside:
            raise DataError(
                "leads out of the run directory", path=path, hint="put a copy there instead"
            )
        return path

    def read(self, name: str, model: type[Model]) -> Model:
        """Read a JSON file.

        Raises
        ------
        DataError
            It is missing, damaged, or not as the model says; with the key.
        """
        path = self.file(name)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror or error}", path=path) from error
        if len(data) > MAX_BYTES:
            raise DataError(f"larger than {MAX_BYTES / 1e6:.0f} MB", path=path)
        try:
            return model.model_validate_json(data, strict=True)
        except ValidationError as error:
            raise _explain(error.errors(include_url=False)[0], path) from error


def _explain(detail: ErrorDetails, path: Path) -> DataError:
    kind, value = detail["type"], detail["input"]
    *parents, last = [printable(str(step))[:40] for step in detail["loc"] if step != "[key]"] or [
        ""
    ]
    key, parent = ".".join([*parents, last]), ".".join(parents)
    shown = printable(reprlib.repr(value))
    wanted = detail["msg"].removeprefix("Input ")
    if kind == "json_invalid":
        message = f"not JSON: {wanted.removeprefix('Invalid JSON: ')}"
    elif kind == "missing" or (value is None and kind in _NO_VALUE):
        message = f"{parent} has no {last}" if parent else f"has no {last!r}"
    elif kind in ("model_type", "dict_type"):
        message = f"has no {key!r} object" if key else "holds no JSON object"
    elif key == "schema_version":
        message = f"{key} is {shown}: written by a version that this one does not know"
    else:
        message = f"{key} is {shown}: {wanted}"
    return DataError(message, path=path)
