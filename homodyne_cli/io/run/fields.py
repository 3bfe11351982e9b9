"""Kinds of values in the JSON files of a run directory."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from homodyne_cli.findings.agreement import Agreement, ComparedKind, ComparedQuantity
from homodyne_cli.findings.codes import Code
from homodyne_cli.findings.finding import Severity
from homodyne_cli.io.files.printable import printable
from homodyne_cli.parameters import NAMES
from homodyne_cli.problem import Bounds

SCHEMA_VERSION: Final = 1
#: No quantity that is measured or fitted is larger, in its unit; products of a few stay finite.
LARGEST: Final = 1e30

Key = TypeVar("Key")
Element = TypeVar("Element")
#: Beyond what any run has; a file of somebody else may claim more than memory holds.
_MOST_KEYS: Final = 1000
_MOST_ROWS: Final = 100_000


def _unknown_as(stand_in: float) -> WrapValidator:
    """Read null as a stand-in, and take from the program itself whatever number it has.

    A fit must not be lost because one of its figures is not what a reader accepts.
    """

    def known(value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        if value is None:
            return stand_in
        ours = info.mode == "python" and isinstance(value, float)
        return value if ours else check(value)

    return WrapValidator(known)


def _known_name(name: str) -> str:
    if name not in NAMES:
        raise PydanticCustomError("name", "no parameter of the model")
    return name


def _of_numpy(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _of_array(value: object) -> object:
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(listed) if isinstance(listed, list) else listed


def _few(value: object) -> object:
    if isinstance(value, dict) and len(value) > _MOST_KEYS:
        raise PydanticCustomError("keys", "too many keys")
    return value


def _ends(value: object) -> object:
    return [value.lower, value.upper] if isinstance(value, Bounds) else value


def _ordered(pair: list[float]) -> list[float]:
    if len(pair) != 2 or pair[0] >= pair[1]:
        raise PydanticCustomError("pair", "not a pair of numbers, the lower one first")
    return pair


def _or_null(**limits: float) -> WithJsonSchema:
    return WithJsonSchema({"type": ["number", "null"], **limits})


Number: TypeAlias = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Figure: TypeAlias = Annotated[float, _unknown_as(math.nan), _or_null()]
Size: TypeAlias = Annotated[float, Field(ge=0), _unknown_as(math.nan), _or_null(minimum=0)]
Scale: TypeAlias = Annotated[
    float, Field(gt=0), _unknown_as(math.nan), _or_null(exclusiveMinimum=0)
]
#: Null where there is no limit.
Limit: TypeAlias = Annotated[
    float, Field(gt=0), _unknown_as(math.inf), _or_null(exclusiveMinimum=0)
]
Whole: TypeAlias = Annotated[int, BeforeValidator(_of_numpy)]
Count: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_of_numpy)]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_of_numpy)]
Text: TypeAlias = Annotated[str, AfterValidator(printable)]
Name: TypeAlias = Annotated[
    str, AfterValidator(_known_name), WithJsonSchema({"type": "string", "enum": list(NAMES)})
]
#: An object with as many keys as there are names.
Table: TypeAlias = Annotated[dict[Key, Element], BeforeValidator(_few)]
#: An array, of which the first wrong element is told.
Rows: TypeAlias = Annotated[tuple[Element, ...], FailFast(), Field(max_length=_MOST_ROWS)]
#: Numbers that an array holds, null where it holds none.
Figures: TypeAlias = Annotated[
    tuple[Figure, ...], FailFast(), Field(max_length=_MOST_ROWS), BeforeValidator(_of_array)
]
Pair: TypeAlias = Annotated[
    list[Number],
    BeforeValidator(_ends),
    AfterValidator(_ordered),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]


class Entry(BaseModel):
    """An object of a file."""

    model_config = ConfigDict(frozen=True, from_attributes=True, allow_inf_nan=False)


class SparseEntry(Entry):
    """An object that leaves out what it does not have."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, whole: SerializerFunctionWrapHandler) -> dict[str, object]:
        given = self.model_fields_set
        fields = type(self).model_fields
        return {
            name: value
            for name, value in whole(self).items()
            if name in given or fields[name].is_required()
        }


class FindingEntry(Entry):
    """Something doubtful in the input; `option` is what to add to the command line."""

    code: Code
    severity: Severity
    message: Text
    remedy: Text = ""
    option: Text = ""


def _with_arrays(entry: Entry) -> dict[str, Any]:
    columns = ("parts", "deviation", "uncertainty")
    return {n: np.array(v) if n in columns else v for n, v in dict(entry).items()}


class ComparedEntry(Entry):
    """How far each part is off in one quantity, and the chance of more by noise alone."""

    name: Text
    unit: Text
    deviation: Figures
    uncertainty: Figures
    chi2: Figure
    degrees: Count
    p_value: Figure


class AgreementEntry(Entry):
    """Whether rings (`parts` in 1/Å), or repeats (their numbers), agree with the joint fit."""

    kind: ComparedKind
    parts: Figures
    quantities: Rows[ComparedEntry]
    chi2: Figure
    degrees: Count
    p_value: Figure

    @model_validator(mode="after")
    def _every_part_is_compared(self) -> AgreementEntry:
        sizes = {len(column) for q in self.quantities for column in (q.deviation, q.uncertainty)}
        if sizes - {len(self.parts)}:
            raise PydanticCustomError("shape", "not one deviation for each part")
        return self

    @property
    def agreement(self) -> Agreement:
        """The agreement as results have it."""
        quantities = tuple(ComparedQuantity(**_with_arrays(q)) for q in self.quantities)
        return Agreement(**_with_arrays(self) | {"quantities": quantities})


class RunFile(Entry):
    """A file of a run directory."""

    schema_version: Annotated[int, Field(ge=0, le=SCHEMA_VERSION)] = 0
