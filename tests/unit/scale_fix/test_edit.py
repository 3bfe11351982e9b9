from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from homodyne_cli.errors import ConfigError
from homodyne_cli.io.config.templates import template_text
from homodyne_cli.io.scale_fix.edit import edit_bytes, merge_x_scale_map
from homodyne_cli.io.scale_fix.scale_fix import number_text, read_fix
from homodyne_cli.io.yaml_text.load import load_document

HERE = Path("config.yaml")
SCALE = {"D0": 1.195, "gamma_dot_t0": 3.71e-6}
ORACLE = {
    "D0": 1.195, "alpha": 7.61e-4, "D_offset": 1.132, "gamma_dot_t0": 3.71e-6,
    "beta": 3.14e-4, "gamma_dot_t_offset": 9.30e-8, "phi0": 0.739,
}  # fmt: skip

CASES = {
    "empty file": ("", "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
                       "      gamma_dot_t0: 3.71e-06\n"),
    "comments only": ("# c", "# c\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
                             "      gamma_dot_t0: 3.71e-06"),
    "markers": ("---\n...\n", "---\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
                              "      gamma_dot_t0: 3.71e-06\n...\n"),
    "no parents, indented comment, tail": (
        "a:\n    b: 1  # x\n    # b2: 3\n\n# end\n",
        "a:\n    b: 1  # x\n    # b2: 3\noptimization:\n    nlsq:\n        x_scale_map:\n"
        "            D0: 1.195\n            gamma_dot_t0: 3.71e-06\n\n# end\n",
    ),
    "optimization null": (
        "optimization: ~ # c\nz: 1",
        "optimization: # c\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\nz: 1",
    ),
    "nlsq empty braces": (
        "optimization:\n   nlsq: {}   # c\n",
        "optimization:\n   nlsq:   # c\n      x_scale_map:\n         D0: 1.195\n"
        "         gamma_dot_t0: 3.71e-06\n",
    ),
    "nlsq flow": (
        "optimization:\n  nlsq: {max_iterations: 5}  # c\n",
        "optimization:\n  nlsq: {max_iterations: 5, x_scale_map: "
        "{D0: 1.195, gamma_dot_t0: 3.71e-06}}  # c\n",
    ),
    "all flow": (
        "{optimization: {nlsq: {x_scale_map: {D0: 2, phi0: 1}}}, a: '#}'}",
        "{optimization: {nlsq: {x_scale_map: {D0: 1.195, phi0: 1, gamma_dot_t0: 3.71e-06}}}, "
        "a: '#}'}",
    ),
    "flow null": (
        "{optimization: {nlsq: {x_scale_map: , a: 1}}}",
        "{optimization: {nlsq: {x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06} , a: 1}}}",
    ),
    "flow key alone": (
        "{optimization: {nlsq}}",
        "{optimization: {nlsq: {x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}}}}",
    ),
    "flow over lines": (
        "optimization: {\n  nlsq: {\n    ftol: 1e-8,  # a\n    loss: linear   # b\n  }\n}\n",
        "optimization: {\n  nlsq: {\n    ftol: 1e-8,  # a\n    loss: linear,   # b\n"
        "    x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}\n  }\n}\n",
    ),
    "flow map with final comma": (
        "optimization:\n  nlsq:\n    x_scale_map: {\n      phi0: 1.0,  # a\n    }\n",
        "optimization:\n  nlsq:\n    x_scale_map: {\n      phi0: 1.0,  # a\n      D0: 1.195,\n"
        "      gamma_dot_t0: 3.71e-06,\n    }\n",
    ),
    "comment inside empty braces": (
        "optimization:\n  nlsq:\n    x_scale_map: { # none\n    }\n",
        "optimization:\n  nlsq:\n    x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06 # none\n"
        "    }\n",
    ),
    "aliases of names, quoted keys, comments, order": (
        "optimization:\n  nlsq:\n    x_scale_map:\n      # first\n      'gamma_dot_0': 1e-5   # g\n"
        "\n      # second\n      alpha: 0.1\n      \"D0\":\n        2.0 # d\n      # tail\n"
        "  other: 1\n",
        "optimization:\n  nlsq:\n    x_scale_map:\n      # first\n"
        "      'gamma_dot_0': 3.71e-06   # g\n"
        "\n      # second\n      alpha: 0.1\n      \"D0\":\n        1.195 # d\n      # tail\n"
        "  other: 1\n",
    ),
    "value missing": (
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: # later\n      phi0: 1\n# end",
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195 # later\n      phi0: 1\n"
        "      gamma_dot_t0: 3.71e-06\n# end",
    ),
    "null on the next line": (
        "optimization:\n  nlsq:\n    x_scale_map:\n      null # n\n",
        "optimization:\n  nlsq:\n    x_scale_map:\n"
        "      {D0: 1.195, gamma_dot_t0: 3.71e-06} # n\n",
    ),
    "same column as the comments that replace it": (
        "optimization:\n  nlsq:\n    x_scale_map:\n      # D0: 1.0\n    ftol: 1e-8",
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\n      # D0: 1.0\n    ftol: 1e-8",
    ),
    "explicit keys": (
        "? optimization\n: ? nlsq\n  : x_scale_map: {D0: 1}\n",
        "? optimization\n: ? nlsq\n  : x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}\n",
    ),
    "literal before, kept blank lines": (
        "optimization:\n  nlsq:\n    x_scale_map: null\n    note: |+\n      nlsq:\n\n\nb: 1",
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n      gamma_dot_t0: 3.71e-06\n"
        "    note: |+\n      nlsq:\n\n\nb: 1",
    ),
    "literal last in its section": (
        "optimization:\n  nlsq:\n    note: |+\n      nlsq: #\n\n\nb: 1",
        "optimization:\n  nlsq:\n    note: |+\n      nlsq: #\n\n\n    x_scale_map:\n"
        "      D0: 1.195\n      gamma_dot_t0: 3.71e-06\nb: 1",
    ),
    "literal at the end, no final break": (
        "optimization:\n  nlsq:\n    ftol: 1e-8 # f\n    note: |\n      text",
        "optimization:\n  nlsq:\n    ftol: 1e-8 # f\n    x_scale_map:\n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\n    note: |\n      text",
    ),
    "only a literal, no final break": (
        "# c\nnote: >-\n text",
        "# c\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\nnote: >-\n text",
    ),
    "literal at the end, final spaces": (
        "a: 1\nnote: |\n text ",
        "a: 1\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\nnote: |\n text ",
    ),
    "brace closes on the last key's line": (
        "optimization:\n  nlsq: {\n    ftol: 1e-8}\n",
        "optimization:\n  nlsq: {\n    ftol: 1e-8,\n"
        "    x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}}\n",
    ),
    "an equal number keeps its spelling": (
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.19500\n      gamma0: 1\n",
        "optimization:\n  nlsq:\n    x_scale_map:\n      D0: 1.19500\n      gamma0: 3.71e-06\n",
    ),
    "the step of the section, not of the file": (
        "a:\n  b:\n    c:\n      d: 1\noptimization:\n     nlsq:\n",
        "a:\n  b:\n    c:\n      d: 1\noptimization:\n     nlsq:\n          x_scale_map:\n"
        "               D0: 1.195\n               gamma_dot_t0: 3.71e-06\n",
    ),
    "anchors elsewhere": (
        "base: &b {x: 1}\noptimization:\n  nlsq:\n    diagnostics: *b\nz: {<<: *b}\n",
        "base: &b {x: 1}\noptimization:\n  nlsq:\n    diagnostics: *b\n    x_scale_map:\n"
        "      D0: 1.195\n      gamma_dot_t0: 3.71e-06\nz: {<<: *b}\n",
    ),
    "top level empty braces": (
        "# c\n{ } # d\n", "# c\n{optimization: {nlsq: {x_scale_map: {D0: 1.195, "
                         "gamma_dot_t0: 3.71e-06}}} } # d\n",
    ),
    "top level null": (
        "~", "{optimization: {nlsq: {x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}}}}",
    ),
    "braces over lines, the last entry not on its own": (
        "optimization: {nlsq: {\n  a: 1, b: 2,\n}}\n",
        "optimization: {nlsq: {\n  a: 1, b: 2, x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06},"
        "\n}}\n",
    ),
    "explicit key without a value, last": (
        "a:\n    ? b\noptimization:\n    ? c # k\nz: 1\n",
        "a:\n    ? b\noptimization:\n    ? c # k\n    nlsq:\n        x_scale_map:\n"
        "            D0: 1.195\n            gamma_dot_t0: 3.71e-06\nz: 1\n",
    ),
    "spaces behind": (
        "optimization:\n  nlsq:\n    x_scale_map: null   \n",
        "optimization:\n  nlsq:\n    x_scale_map:   \n      D0: 1.195\n"
        "      gamma_dot_t0: 3.71e-06\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("case", CASES)
def test_the_map_is_entered_and_nothing_else_changes(case: str, newline: str) -> None:
    before, after = (text.replace("\n", newline) for text in CASES[case])
    if "\n" not in CASES[case][0]:
        after = CASES[case][1]
    assert merge_x_scale_map(before, SCALE, path=HERE) == after
    assert merge_x_scale_map(after, SCALE, path=HERE) == after


def test_the_template_changes_only_where_the_map_stands() -> None:
    text = template_text("laminar_flow")
    block = "".join(f"      {name}: {number_text(value)}\n" for name, value in ORACLE.items())
    expected = text.replace("    x_scale_map: null\n", f"    x_scale_map:\n{block}")
    assert merge_x_scale_map(text, ORACLE, path=HERE) == expected != text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.71e-6, "3.71e-06"), (1e-8, "1.0e-08"), (1.0, "1.0"), (100.0, "100.0"), (1e5, "1.0e+05"),
     (7.612345e-4, "0.0007612"), (1.7976931348623157e308, "1.7976931348623157e+308"),
     (5e-324, "4.941e-324"), (0.73951, "0.7395"), (123456.0, "1.235e+05"), (1234.0, "1234.0")],
)  # fmt: skip
def test_numbers_are_floats_in_yaml_1_1_and_1_2(value: float, text: str) -> None:
    assert number_text(value) == text
    for read in (yaml.safe_load(text), load_document(text).data):
        assert isinstance(read, float)
        assert read == pytest.approx(value, rel=5e-4)


REFUSED = {
    "alias as map": ("m: &m {D0: 1}\noptimization:\n  nlsq:\n    x_scale_map: *m\n", "4:18"),
    "anchor on map": ("optimization:\n  nlsq:\n    x_scale_map: &m\n      D0: 1\n", "3:18"),
    "anchored null": ("optimization:\n  nlsq: &m\n", "2:9"),
    "anchored section": ("optimization: &o\n  nlsq: {ftol: 1.0}\nb: *o\n", "1:15"),
    "anchored root": ("&r\na: 1\n", "1:1"),
    "alias as key": ("k: &k optimization\n*k : {}\n", "2:1"),
    "alias as value": ("a: &a 2.0\noptimization: {nlsq: {x_scale_map: {D0: *a}}}\n", "2:41"),
    "anchor on value": ("optimization: {nlsq: {x_scale_map: {D0: &a 1}}}\nb: *a", "1:41"),
    "merge in map": (
        "b: &b {phi0: 1}\noptimization:\n  nlsq:\n    x_scale_map:\n      <<: *b\n      D0: 1\n",
        "5:7",
    ),
    "merged nlsq": ("b: &b {nlsq: {}}\noptimization:\n  <<: *b\n", "3:3"),
    "merge beside map": ("b: &b {ftol: 1}\noptimization:\n  nlsq:\n    <<: *b\n", "4:5"),
    "map is text": ("optimization:\n  nlsq:\n    x_scale_map: jac\n", "3:18"),
    "nlsq is a list": ("optimization: {nlsq: [1]}\n", "1:22"),
    "top level is a list": ("- 1\n", "1:1"),
    "entry is a list": ("optimization: {nlsq: {x_scale_map: {D0: [1]}}}\n", "1:41"),
    "entry is a literal": ("optimization:\n nlsq:\n  x_scale_map:\n   D0: |\n    1\n", "4:8"),
    "same parameter twice": (
        "optimization: {nlsq: {x_scale_map: {gamma0: 1, gamma_dot_t0: 1}}}\n", "1:48"
    ),
    "duplicate key": ("optimization: {}\noptimization: {}\n", "2:1"),
    "two documents": ("a: 1\n---\nb: 1\n", "2:1"),
    "explicit key without value": ("? optimization\n", "1:3"),
    "not YAML": ("a: [1\n", "2:1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_configs_that_cannot_be_edited_are_refused_with_a_place(case: str) -> None:
    text, place = REFUSED[case]
    with pytest.raises(ConfigError) as refusal:
        merge_x_scale_map(text, SCALE, path=HERE)
    assert refusal.value.message.startswith(f"config.yaml:{place}: ")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_encoding_and_byte_order_mark_stay(codec: str) -> None:
    text = "a: Å  # µ\r\noptimization:\r\n  nlsq: {ftol: 1e-8}\r\n"
    mark = b"\xfe\xff" if codec == "utf-16-be" else b""
    edit = edit_bytes(mark + text.encode(codec), SCALE, path=HERE)
    wanted = text.replace("8}", "8, x_scale_map: {D0: 1.195, gamma_dot_t0: 3.71e-06}}")
    assert edit.after == mark + wanted.encode(codec)


def test_what_was_added_and_changed_is_told() -> None:
    raw = b"optimization: {nlsq: {x_scale: jac, x_scale_map: {D0: 1.195, gamma0: 1.0}}}"
    edit = edit_bytes(raw, ORACLE, path=HERE)
    assert edit.changed == ("gamma_dot_t0",)
    assert edit.added == ("alpha", "D_offset", "beta", "gamma_dot_t_offset", "phi0")
    assert (edit.x_scale, str(edit.x_scale_at)) == ("jac", "config.yaml:1:32")
    again = edit_bytes(edit.after, ORACLE, path=HERE)
    assert again.before == again.after
    assert again.added == again.changed == ()


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:2:1: byte 0xff is not UTF-8"):
        edit_bytes(b"a: 1\n\xff", SCALE, path=HERE)


def test_shear_parameters_do_not_enter_a_static_config() -> None:
    with pytest.raises(ConfigError, match=r"config.yaml:1:16: .*gamma_dot_t0.*static_isotropic"):
        edit_bytes(b"analysis_mode: static_isotropic\n", SCALE, path=HERE)


def fix_file(directory: Path, text: str) -> Path:
    path = directory / "fix.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    ["# run1\noptimization:\n  nlsq:\n    x_scale_map:\n      D0: 2\n      gamma0: 1e-8\n",
     "x_scale_map: {D0: 2, gamma_dot_0: 1.0e-8}"],
)  # fmt: skip
def test_a_fix_is_read_under_canonical_names(text: str, tmp_path: Path) -> None:
    assert read_fix(fix_file(tmp_path, text)) == {"D0": 2.0, "gamma_dot_t0": 1e-8}


BAD_FIXES = {
    "zero": ("D0: 0", "1:19", "is 0"),
    "negative": ("D0: -1.0", "1:19", "is -1.0"),
    "nan": ("D0: .nan", "1:19", "is .nan"),
    "infinite": ("D0: .inf", "1:19", "is .inf"),
    "overflow": ("D0: 1" + "0" * 400, "1:19", "is 1000"),
    "underflow": ("D0: 1e-999", "1:19", "is 0.0"),
    "boolean": ("D0: true", "1:19", "a boolean"),
    "text": ("D0: '1.0'", "1:19", "text"),
    "null": ("D0: ", "1:18", "null"),
    "unknown": ("phi0: 1, gama_dot_t0: 1", "1:24", "'gama_dot_t0' is not a parameter"),
    "scaling": ("contrast: 1", "1:15", "'contrast' is not a parameter"),
    "number as name": ("1: 1", "1:15", "1 is not a parameter"),
    "alias twice": ("gamma0: 1, gamma_dot_t0: 1", "1:26", "given twice"),
    "key twice": ("D0: 1, D0: 1", "1:22", "given twice"),
    "empty": ("", "1:14", "x_scale_map is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FIXES)
def test_bad_entries_of_a_fix_are_refused_with_their_place(case: str, tmp_path: Path) -> None:
    entries, place, message = BAD_FIXES[case]
    path = fix_file(tmp_path, f"x_scale_map: {{{entries}}}\n")
    with pytest.raises(ConfigError) as refusal:
        read_fix(path)
    assert refusal.value.message.startswith(f"{path}:{place}: ")
    assert message in refusal.value.message
    assert refusal.value.hint


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "", "the file is empty"),
        ("[1]", ":1:1", "a list"),
        ("D0: 1.0", ":1:1", "D0 does not belong"),
        ("x_scale_map: 3", ":1:14", "x_scale_map is 3, a number, not a mapping"),
        ("x_scale_map: null", ":1:14", "x_scale_map is null, not a mapping"),
        ("x_scale_map: [D0]", ":1:14", "not a mapping"),
        ("x_scale_map: {D0: 1}\nother: 1", ":2:1", "other does not belong"),
        ("optimization: {nlsq: {ftol: 1}}", ":1:23", "optimization.nlsq.ftol does not belong"),
        ("optimization: {nlsq: {}}", ":1:22", "optimization.nlsq is empty"),
        ("optimization: 5", ":1:15", "optimization is 5, a number"),
        ("a: 1\n--- \nb: 1", ":2:1", "document"),
    ],
)
def test_other_files_are_not_fixes(text: str, place: str, message: str, tmp_path: Path) -> None:
    path = fix_file(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        read_fix(path)
    assert refusal.value.message.startswith(f"{path}{place}: ")
    assert message in refusal.value.message


def test_a_near_name_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        read_fix(fix_file(tmp_path, "x_scale_map: {gama_dot_t0: 1}"))
    assert "did you mean gamma_dot_t0?" in str(refusal.value.hint)
