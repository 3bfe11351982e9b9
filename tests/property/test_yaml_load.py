from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.dump import dump_yaml
from homodyne_cli.io.yaml_text.load import load_document
from homodyne_cli.io.yaml_text.scalars import kind_of, show

# YAML has no way to write lone surrogates, and folds exotic line breaks inside plain text.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
TRICKY = st.sampled_from(
    ["on", "yes", "1e-8", "1E5", ".5", "1:30", "0o7", "0x1", "010", "~", "null", "=", "<<", "",
     "2024-01-01", "- a", "a: b", "# x", "'", '"', "1_000", "+.inf", ".nan", "True"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False)
    | TEXT
    | TRICKY
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | TRICKY, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(TEXT | TRICKY, DATA, min_size=1, max_size=4))
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert load_document(dump_yaml(data)).data == data


@settings(max_examples=100, deadline=None)
@given(st.floats())
def test_every_float_survives(value: float) -> None:
    for text in (dump_yaml([value]), f"[{value!r}]" if math.isfinite(value) else "[.nan]"):
        data = load_document(text).data
        assert isinstance(data, list)
        assert isinstance(data[0], float)
        assert data[0] == value or math.isnan(data[0])


def refusal_has_a_place(text: str | bytes) -> bool:
    try:
        load_document(text)
    except ConfigError as error:
        return error.location is not None
    return True


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text("{}[],:&*!|>'\"%@`#-?~<= \t\n\r0aé\ufeff\x00", max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    assert refusal_has_a_place(text)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    assert refusal_has_a_place(raw)


@settings(max_examples=50, deadline=None)
@given(DATA)
def test_values_are_shown_on_one_short_line(value: object) -> None:
    assert "\n" not in show(value)
    assert len(show(value)) <= 60
    assert kind_of(value)
