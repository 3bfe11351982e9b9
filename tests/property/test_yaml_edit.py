from __future__ import annotations

import copy
import math
import re
from dataclasses import dataclass
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.scale_fix.edit import edit_bytes, merge_x_scale_map
from homodyne_cli.io.yaml_text.load import load_document
from homodyne_cli.parameters import ALIASES, NAMES, canonical_name

HERE = Path("config.yaml")
SCALES = st.dictionaries(
    st.sampled_from(NAMES), st.floats(1e-300, 1e300), min_size=1, max_size=len(NAMES)
)
SPELLINGS = st.sampled_from((*NAMES, *ALIASES))
VALUES = st.sampled_from(["1.0", "3.71e-06", "1e-8", "2", "'1.0'", "null", "~", "", "0.5"])
COMMENTS = st.sampled_from(["", "", "  # optimization: {nlsq: 1}", " #", "   # '\"{", "  "])
#: Values of keys that are not edited; lines after the first are indented below the key.
SIMPLE = (
    "1", "1.0e-8", "'a # b'", '"optimization: #"', "{a: 1, b: [x, '#']}", "[1, 2]", "~", "",
    ".nan", "on", "plain text", "{}", "[]", "&anchor 3", "!!str 5",
)  # fmt: skip
MULTILINE = (
    ("|", "optimization:", "  nlsq:", "    x_scale_map: {D0: 1}"),
    ("|+", "nlsq: # no comment", "", ""),
    (">-", "folded", "text"),
    ("'quoted", "over", "", "lines # no comment'"),
    ("plain", "over lines"),
    ("", "- 1", "- a: b"),
    ("", "inner: 1", "deep:", "  # kept", "  x: |", "   y"),
    ("{a: 1,  # c", "b: 2", "}"),
)
NOISE = st.sampled_from(["", "   ", "# plain", "      # deep", "  # x_scale_map:", "# end"])


@dataclass(frozen=True)
class Written:
    """Lines of a generated config; those marked belong to the map or lead to it."""

    lines: list[str]
    own: list[bool]

    def add(self, line: str, *, own: bool = False) -> None:
        self.lines.append(line)
        self.own.append(own)


@st.composite
def other_entry(draw: st.DrawFn, key: str, pad: str) -> list[str]:
    if draw(st.booleans()):
        value = draw(st.sampled_from(SIMPLE)).replace("&anchor", f"&{key}")
        return [f"{pad}{key}: {value}{draw(COMMENTS)}"]
    first, *rest = draw(st.sampled_from(MULTILINE))
    return [f"{pad}{key}: {first}", *(f"{pad}   {line}" if line else "" for line in rest)]


@st.composite
def map_entries(draw: st.DrawFn) -> list[tuple[str, str]]:
    names = draw(st.lists(SPELLINGS, max_size=5, unique_by=canonical_name))
    quotes = st.sampled_from(["", "'", '"'])
    return [(f"{q}{name}{q}", draw(VALUES)) for name in names for q in [draw(quotes)]]


@st.composite
def flow_map(draw: st.DrawFn) -> str:
    inner = ", ".join(f"{key}: {value}" for key, value in draw(map_entries()))
    return f"{{{inner}}}"


EMPTY = st.sampled_from(["null", "~", "", "{}", "{ }", "Null", "!!null"])


@st.composite
def siblings(draw: st.DrawFn, written: Written, pad: str, prefix: str) -> None:
    for index in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            written.add(draw(NOISE))
        for line in draw(other_entry(f"{prefix}{index}", pad)):
            written.add(line)


@st.composite
def level(draw: st.DrawFn, written: Written, path: tuple[str, ...], column: int, step: int) -> None:
    """Write the mapping that holds path[0], among siblings."""
    pad = " " * column
    start = len(written.lines)
    draw(siblings(written, pad, f"before{len(path)}_"))
    has_siblings = any(line.strip()[:1] not in {"", "#"} for line in written.lines[start:])
    kind = draw(st.sampled_from(["absent"] * has_siblings + ["empty", "flow", "block", "block"]))
    quote = draw(st.sampled_from(["", "", "'", '"']))
    key = f"{pad}{quote}{path[0]}{quote}:"
    if kind == "empty":
        written.add(f"{key} {draw(EMPTY)}{draw(COMMENTS)}", own=True)
    elif kind == "flow":
        value = draw(flow_map())
        for name in reversed(path[1:]):
            value = draw(st.sampled_from([f"{{{name}: {value}}}", f"{{k: '#}}', {name}: {value},}}",
                                          "{k: 1}", "{a, b: [c, d]}"]))  # fmt: skip
        written.add(f"{key} {value}{draw(COMMENTS)}", own=True)
    elif kind == "block":
        written.add(key + draw(COMMENTS), own=True)
        if len(path) > 1:
            draw(level(written, path[1:], column + step, step))
        else:
            draw(entry_lines(written, " " * (column + step)))
    if kind != "block" or len(path) == 1:
        draw(siblings(written, pad, f"after{len(path)}_"))


@st.composite
def entry_lines(draw: st.DrawFn, written: Written, pad: str) -> None:
    for name, value in draw(map_entries()):
        if draw(st.booleans()):
            written.add(draw(NOISE))
        written.add(f"{pad}{name}: {value}{draw(COMMENTS)}", own=True)


@st.composite
def configs(draw: st.DrawFn) -> tuple[str, Written]:
    written = Written([], [])
    if draw(st.booleans()):
        written.add(draw(st.sampled_from(["---", "--- # start"])))
    draw(siblings(written, "", "top"))
    step = draw(st.sampled_from([2, 4, 8]))
    draw(level(written, ("optimization", "nlsq", "x_scale_map"), 0, step))
    for line in draw(st.lists(NOISE, max_size=3)):
        written.add(line)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(written.lines) + newline * draw(st.integers(0, 2))
    return text, written


def lines_of(text: str) -> list[str]:
    return re.split(r"\r\n|\n", text)


def with_map(data: object, scale: dict[str, float]) -> object:
    """Say independently of the code under test what the merged data should be."""
    assert data is None or isinstance(data, dict)
    wanted = copy.deepcopy(data) or {}
    node = wanted
    for name in ("optimization", "nlsq", "x_scale_map"):
        if node.get(name) is None:
            node[name] = {}
        node = node[name]
        assert isinstance(node, dict)
    for name, value in scale.items():
        spelling = next((key for key in node if canonical_name(str(key)) == name), name)
        node[spelling] = float(f"{value:.3e}")
    return wanted


def comparable(data: object) -> object:
    if isinstance(data, dict):
        return {key: comparable(value) for key, value in data.items()}
    if isinstance(data, list):
        return [comparable(value) for value in data]
    return "nan" if isinstance(data, float) and math.isnan(data) else data


@settings(max_examples=200, deadline=None)
@given(configs(), SCALES)
def test_only_the_map_changes(config: tuple[str, Written], scale: dict[str, float]) -> None:
    text, written = config
    data = load_document(text).data
    merged = merge_x_scale_map(text, scale, path=HERE)
    assert comparable(load_document(merged).data) == comparable(with_map(data, scale))
    assert merge_x_scale_map(merged, scale, path=HERE) == merged
    kept = iter(lines_of(merged))
    for line, own in zip(written.lines, written.own, strict=True):
        assert own or line in kept, line
    assert set(re.findall(r"\r?\n", merged)) <= set(re.findall(r"\r?\n", text)) or "\n" not in text
    assert merged.endswith("\n") == text.endswith("\n") or not text


@settings(max_examples=60, deadline=None)
@given(configs(), SCALES)
def test_comments_stay(config: tuple[str, Written], scale: dict[str, float]) -> None:
    text, _written = config
    merged = merge_x_scale_map(text, scale, path=HERE)
    ends = [re.search(r"\s#.*$|^#.*$", line) for line in lines_of(text)]
    kept = iter(lines_of(merged))
    for end in ends:
        assert end is None or any(line.endswith(end[0].rstrip("\r\n")) for line in kept)


@settings(max_examples=60, deadline=None)
@given(configs(), SCALES, st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_bytes_outside_the_text_stay(
    config: tuple[str, Written], scale: dict[str, float], mark: bytes
) -> None:
    edit = edit_bytes(mark + config[0].encode(), scale, path=HERE)
    assert edit.after == mark + edit.after_text.encode()
    again = edit_bytes(edit.after, scale, path=HERE)
    assert again.after == edit.after
    assert again.added == again.changed == ()
    # Every other reader of YAML must find the same numbers.
    plain = yaml.safe_load(edit.after)["optimization"]["nlsq"]["x_scale_map"]
    found = {canonical_name(key): value for key, value in plain.items() if isinstance(key, str)}
    assert all(isinstance(found[name], (float, int, str)) for name in scale)


@settings(max_examples=200, deadline=None)
@given(
    st.text("{}[],:&*!|>'\"#-? \n\rab~", max_size=30).map(
        lambda text: f"optimization:\n  nlsq:\n    {text}\nz: 1"
    ),
    SCALES,
)
def test_odd_text_is_edited_rightly_or_refused(text: str, scale: dict[str, float]) -> None:
    try:
        merged = merge_x_scale_map(text, scale, path=HERE)
    except ConfigError:
        return
    wanted = with_map(load_document(text).data, scale)
    assert comparable(load_document(merged).data) == comparable(wanted)
