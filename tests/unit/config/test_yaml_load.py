from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path

import pytest

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.yaml_text.load import (
    MAX_BYTES,
    Document,
    load_document,
    load_mapping,
    parse_scalar,
    read_document,
)

PATH = Path("c.yaml")


def load(text: str | bytes) -> Document:
    return load_document(text, PATH)


def refused(text: str | bytes) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_mapping(load(text))
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-8", 1e-8),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("+1.0", 1.0),
        ("-1.5e+3", -1500.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0xFF", 255),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b101", "0b101"),
        ("40-43", "40-43"),
        ("2024-01-01", "2024-01-01"),
        ("1e", "1e"),
        (".", "."),
        ("=", "="),
        ("<<", "<<"),
        ("'1e-8'", "1e-8"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
    ],
)
def test_plain_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    data = load(f"key: {text}").data
    assert data == {"key": value}
    assert isinstance(data, dict)
    assert type(data["key"]) is type(value)


def test_nan() -> None:
    value = parse_scalar(".NaN")
    assert isinstance(value, float)
    assert math.isnan(value)


def test_duplicate_key_names_both_places() -> None:
    error = refused("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert str(error) == "c.yaml:4:3: the key 'b' is given twice"
    assert error.hint is not None
    assert "c.yaml:2:3" in error.hint


def test_same_key_in_different_mappings_is_fine() -> None:
    assert load("a: {x: 1}\nb: {x: 2}").data == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a: [1, 2", "c.yaml:1:9: not valid YAML"),
        ("a:\n\tb: 1", "c.yaml:2:1: not valid YAML"),
        ("a: *x", "c.yaml:1:4: not valid YAML: found undefined alias 'x'"),
        ("a: &x [*x]", "c.yaml:1:4: an alias contains itself"),
        ("a: &a\n  <<: *a", "c.yaml:1:4: an alias contains itself"),
        ("? [a]\n: 1", "c.yaml:1:3: a key is a list or a mapping"),
        ("a: !!python/object x", "c.yaml:1:4: the tag !!python/object is not supported"),
        ("a: !!timestamp 2024-01-01", "c.yaml:1:4: the tag !!timestamp is not supported"),
        ("a: !!set {x}", "c.yaml:1:4: the tag !!set is not supported"),
        ("a: !!float fast", "c.yaml:1:4: 'fast' is not !!float"),
        ("a: " + "9" * 5000, "c.yaml:1:4: a number of 5000 digits"),
        ("a: 1\n---\nb: 2", "c.yaml:2:1: not valid YAML"),
        ("a: b: c", "c.yaml:1:5: not valid YAML: mapping values are not allowed here"),
        ("a:\n  <<: 3", "c.yaml:2:7: '<<' merges mappings only"),
        ("a: " + "[" * 5000, "c.yaml: nested too deeply"),
        ("a: 0x" + "f" * 5000, "c.yaml:1:4: a number of 5002 digits"),
        ('a: "\\0"', "c.yaml:1:4: text with the character U+0000"),
        ('a: "\\ud83d"', "c.yaml:1:4: text with the character U+D83D"),
        ('a: "\\UFFFFFFFF"', "c.yaml:1:7: not valid YAML"),
        ("%YAML " + "9" * 5000, "c.yaml:1:7: not valid YAML"),
        ("a: !" + "t" * 5000, "c.yaml:1:4: the tag !ttt"),
        ("- 1\n- 2", "c.yaml:1:1: the top level is a list"),
        ("fast", "c.yaml:1:1: the top level is text"),
        ("a: 1\n2: b", "c.yaml:2:1: the key 2 is a number"),
        ("", "c.yaml: the file is empty"),
        ("# only a comment\n", "c.yaml: the file is empty"),
        (b"a: 1\nb: \xff", "c.yaml:2:4: byte 0xff is not UTF-8"),
        (b"a: \x07", "c.yaml:1:4: character U+0007"),
        ("a: 1".encode("utf-16-le"), "c.yaml:1:2: character U+0000"),
        ("a: 1".encode("utf-32"), "c.yaml: the file is UTF-32"),
        (b"\xff\xfea", "c.yaml:1:"),
    ],
)
def test_refusals_name_the_place(text: str | bytes, start: str) -> None:
    assert str(refused(text)).startswith(start)


def test_tab_gets_a_hint() -> None:
    assert "spaces" in str(refused("a:\n\tb: 1").hint)


@pytest.mark.parametrize(
    "raw",
    [
        "D0: [1, 2] # Å".encode(),
        b"\xef\xbb\xbf" + "D0: [1, 2] # Å".encode(),
        "D0: [1, 2] # Å".encode("utf-16"),
        b"D0: [1, 2]\r\n",
    ],
)
def test_encodings_and_line_ends(raw: bytes) -> None:
    document = load(raw)
    assert document.data == {"D0": [1, 2]}
    assert str(document.locate(("D0", 1))) == "c.yaml:1:9"


def test_merge_keys_and_anchors() -> None:
    document = load("base: &b {p: 1, q: 2}\nuse:\n  q: 3\n  <<: *b\nmany:\n  <<: [*b, {r: 4}]\n")
    assert document.data == {
        "base": {"p": 1, "q": 2},
        "use": {"q": 3, "p": 1},
        "many": {"p": 1, "q": 2, "r": 4},
    }
    assert str(document.locate(("use", "p"))) == "c.yaml:1:14"
    assert str(document.locate(("use", "q"))) == "c.yaml:3:6"


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    assert "aliases expand" in str(refused("\n".join(lines)))


#: What one can write to keep a reader busy, or to fill its memory.
BOMBS = {
    "keys": b"".join(b"k%d: 1\n" % i for i in range(30_000)),
    "depth": b"[" * 100_000,
    "flow maps": b"{a: " * 100_000,
    "lists in lists": b"- " * 100_000,
    "indentation": b"".join(b" " * i + b"a:\n" for i in range(1_000)),
    "chain of aliases": b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 4_000))
    .replace(b"[*a0]", b"1"),
    "merges": b"a: &a {" + b",".join(b"k%d: 1" % i for i in range(10_000)) + b"}\nb:\n"
    + b"- <<: *a\n" * 10_000,
    "digits": b"a: " + b"9" * 900_000,
    "words": b"a: " + b"x " * 400_000 + b"b: c",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_within_seconds(bomb: str) -> None:
    started = time.process_time()
    error = refused(BOMBS[bomb])
    assert time.process_time() - started < 10.0
    assert str(error).startswith("c.yaml:")
    assert len(str(error)) < 300


def test_large_files_are_not_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: 1 # " + b"x" * MAX_BYTES)
    with pytest.raises(ConfigError, match=r"c\.yaml: more than 1000000 bytes"):
        read_document(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ConfigError, match="a pipe or a device"):
            read_document(path)


def test_json_is_read_as_it_was_meant() -> None:
    data = {"path": "/data/\U0001f600/\udcff.h5", "n": [1.5, None, True]}
    assert load(json.dumps(data)).data == data


def test_locate_falls_back_to_the_nearest_parent() -> None:
    document = load("a:\n  b:\n    c: 1\n")
    assert str(document.locate(("a", "b", "c"))) == "c.yaml:3:8"
    assert str(document.locate(("a", "b", "c"), key=True)) == "c.yaml:3:5"
    assert str(document.locate(("a", "b", "missing"))) == "c.yaml:3:5"
    assert str(document.locate(("a", "x", "y"))) == "c.yaml:2:3"
    assert document.contains(("a", "b"))
    assert not document.contains(("a", "x"))


def test_read_document_missing_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file") as caught:
        read_document(tmp_path / "none.yaml")
    assert caught.value.exit_code == 2
    with pytest.raises(ConfigError, match="cannot read it"):
        read_document(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-8", 1e-8), ("[1, a]", [1, "a"]), ("", None), ("{a: 1}", {"a": 1}), ("x y", "x y")],
)
def test_parse_scalar(text: str, value: object) -> None:
    assert parse_scalar(text) == value


def test_parse_scalar_error_has_no_place() -> None:
    with pytest.raises(ConfigError, match=r"^not valid YAML"):
        parse_scalar("[1")
