"""How a field of a dataclass is declared to be a key of the config.

A key is defined once, by the field that holds it: the annotation gives type and range, the field
its default, and `Key` the rest.

    max_iterations: Annotated[Count, Key("Most iterations of the optimiser.")] = 100

Validation, the dump of a resolved config, ``docs/config.md``, completion and the templates of
``homodyne init`` are derived from these declarations by `io.config.keys`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from annotated_types import Ge, Gt, Le, MinLen

#: Whole numbers beyond this are slips of the pen; the reference does not name the limit.
LARGEST: Final = 10**9

Positive: TypeAlias = Annotated[float, Gt(0)]
Count: TypeAlias = Annotated[int, Ge(1), Le(LARGEST)]
CountOrZero: TypeAlias = Annotated[int, Ge(0), Le(LARGEST)]
Text: TypeAlias = Annotated[str, MinLen(1)]


@dataclass(frozen=True)
class Key:
    """What a config key is beside its type, range and default.

    Attributes
    ----------
    description
        One sentence that ends with a full stop.
    at
        Its dotted name below that of its section; empty for the name of the field.
    unit
        Of its value.
    written
        What is accepted, where that is wider than the type.
    spellings
        Other spellings of values, each with the value that it stands for.
    needs
        Another key and the value with which alone this one acts on a fit.
    example
        What templates say for it, in YAML; a key without an example is a comment there.
    """

    description: str
    at: str = ""
    unit: str = ""
    written: str = ""
    spellings: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, str] | None = None
    example: str = ""


@dataclass(frozen=True)
class Section:
    """A field whose dataclass holds the keys below a dotted name; empty for the top level."""

    at: str
