"""Configs and fixes that are damaged, hostile or of another kind, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.keys import ConfigKey, config_keys
from homodyne_cli.io.config.load import dump_yaml, load_config, template_text
from homodyne_cli.io.scale_fix.edit import edit_bytes
from homodyne_cli.io.scale_fix.scale_fix import read_fix
from homodyne_cli.io.yaml_text.load import load_document
from homodyne_cli.parameters import ALIASES, NAMES
from tests.support.config_files import HEAD

FIX: Final = "optimization:\n  nlsq:\n    x_scale_map: {D0: 1.2, phi0: 0.7}\n"
SEEDS: Final = [
    *(template_text("laminar_flow"), template_text("static"), HEAD, FIX),
    HEAD + "parameter_space: {bounds: [{name: D0, min: 1, max: 2}, {name: phi_0, max: 5}]}\n",
    HEAD + "initial_parameters: {values: [1e4, 0, 0, 1e-3, 0, 0, 0], fixed_parameters: [D0]}\n",
    HEAD + "optimization: {nlsq: {tolerance: 1e-8, multi_start: {enable: true, n_starts: 12}}}\n",
    HEAD + "a: &a {D0: 1}\noptimization: {nlsq: {x_scale_map: *a}}\nb: {<<: *a, c: *a}\n",
]
TOKENS: Final = [
    *(b"&a ", b"*a ", b"<<: *a", b"!!int ", b"!!python/object:os.system ", b"!t ", b"? ", b"- "),
    *(b"[", b"]", b"{", b"}", b": ", b"#", b"|\n", b">-\n", b"'", b'"', b"%YAML 1.2\n", b"---\n"),
    *(b"\t", b"\r", b"\x00", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8"),
    *(b"null", b"true", b".nan", b"-.inf", b"1e999", b"-1", b"0", b"9" * 400, b"0x" + b"f" * 400),
    *(b'"\\0"', b'"\\ud800"', b'"\\UFFFFFFFF"', b"~root/x", b"{a: {b: [1]}}", b"1-9999999", b"2-1"),
    *(b"\n", b"\n  ", b"  ", b"[" * 100, b"- " * 100, b"x" * 2000, b"\x1b[31m"),
]
EDITS = st.tuples(
    st.floats(0.0, 1.0), st.integers(0, 40), st.sampled_from(TOKENS) | st.binary(max_size=6)
)
NAMED = st.sampled_from([*NAMES, *ALIASES, "contrast", "offset", "name", "min", "max", "zzz"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats()
    | st.sampled_from(["", "auto", "fixed", "config", "5-9", "D0", "~x", "1e5", "huber", "static"])
    | NAMED,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(NAMED, inner, max_size=8),
    max_leaves=10,
)


def mutated(text: str, encoding: str, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Return a text with spans replaced, each at a share of its length."""
    raw = text.encode(encoding)
    for place, length, new in edits:
        start = int(place * len(raw))
        raw = raw[:start] + new + raw[start + length :]
    return raw


def plausible(key: ConfigKey) -> st.SearchStrategy[tuple[str, object]]:
    """Draw a value that a key might take, or any other."""
    kinds: dict[str, st.SearchStrategy[object]] = {
        "number": st.floats(1e-3, 1e3),
        "integer": st.integers(1, 50),
        "true": st.booleans(),
        "text": st.text(min_size=1, max_size=9),
    }
    options = key.type.split(" | ")
    likely = kinds.get(key.type.split()[0], st.sampled_from(options))
    return st.tuples(st.just(key.key), likely | VALUES)


def written(mode: object, values: list[tuple[str, object]]) -> bytes:
    """Return a config of values by dotted keys; where two exclude each other, the later one."""
    tree: dict[str, object] = {
        "analysis_mode": mode,
        "experimental_data": {"file_path": "d.h5"},
        "analyzer_parameters": {"geometry": {"stator_rotor_gap": 1}},
    }
    for key, value in values:
        node, (*above, name) = tree, key.split(".")
        for step in above:
            inner = node.get(step)
            if not isinstance(inner, dict):
                inner = node[step] = {}
            node = inner
        node[name] = value
    return dump_yaml(tree).encode("utf-8", "surrogatepass")


CONFIGS = (
    st.builds(
        mutated,
        st.sampled_from(SEEDS),
        st.sampled_from(["utf-8", "utf-8", "utf-16"]),
        st.lists(EDITS, min_size=1, max_size=3),
    )
    | st.builds(
        written,
        st.sampled_from(["static", "laminar_flow"]),
        st.lists(st.sampled_from(config_keys()).flatmap(plausible), max_size=5),
    )
    | st.binary(max_size=60)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)


def outcome_of(raw: bytes, path: Path) -> str:
    """Give bytes to every reader of configs and fixes; return how each ended.

    What is read must say the same when it is written out and read again, and what is refused must
    be so with one `ConfigError`; a map is entered or refused, and the file stays as it is.
    """
    path.write_bytes(raw)
    ends = []
    try:
        config = load_config(path)
        again = path.with_name("again.yaml")
        again.write_text(dump_yaml(config.resolved), encoding="utf-8")
        repeated = load_config(again)
        same = (repeated.selection, repeated.problem) == (config.selection, config.problem)
        ends.append("config read" if same else "config CHANGED")
    except ConfigError as error:
        ends.append("config refused" if 0 < len(str(error)) < 10_000 else "config LONG")
    try:
        edit = edit_bytes(raw, {"D0": 1.2}, path=path)
        load_document(edit.after)
        ends.append("map entered")
    except ConfigError:
        ends.append("map refused")
    try:
        read_fix(path)
        ends.append("fix read")
    except ConfigError:
        ends.append("fix refused")
    if path.read_bytes() != raw:
        ends.append("file CHANGED")
    return ", ".join(ends)
