"""The lines of keys, compared with documents whose values are those lines."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.config.lines import key_lines, line_of


def test_tables_keys_and_elements():
    lines = key_lines(
        "# first\n"
        "\n"
        "[timeouts]\n"
        "connect = 30 # seconds\n"
        'command="600"\n'
        "\n"
        "[clusters.lab]\n"
        "nodes = [ # two\n"
        '  "a",\n'
        "  # not this one\n"
        '  "b", ["c",\n'
        '  "d"],\n'
        "]\n"
        "connect = 10"
    )
    assert lines == {
        ("timeouts",): 3,
        ("timeouts", "connect"): 4,
        ("timeouts", "command"): 5,
        ("clusters",): 7,
        ("clusters", "lab"): 7,
        ("clusters", "lab", "nodes"): 8,
        ("clusters", "lab", "nodes", 0): 9,
        ("clusters", "lab", "nodes", 1): 11,
        ("clusters", "lab", "nodes", 2): 11,
        ("clusters", "lab", "nodes", 2, 0): 11,
        ("clusters", "lab", "nodes", 2, 1): 12,
        ("clusters", "lab", "connect"): 14,
    }


def test_dotted_and_quoted_keys():
    lines = key_lines(
        'ssh . host_keys = "off"\n'
        "[ clusters . \"a.b\" . 'c\\d' ]\n"
        '"x = \\"[y]\\" #" = 1\n'
        "'no # comment' = 2\n"
        '"\\u0061b" = 3\n'
    )
    assert lines[("ssh", "host_keys")] == 1
    assert lines[("clusters", "a.b", "c\\d")] == 2
    assert lines[("clusters", "a.b", "c\\d", 'x = "[y]" #')] == 3
    assert lines[("clusters", "a.b", "c\\d", "no # comment")] == 4
    assert lines[("clusters", "a.b", "c\\d", "ab")] == 5


@pytest.mark.parametrize(
    "value",
    [
        '"""\n[no.table]\nno_key = 1\n"""',
        '"""two quotes ""\\""" and an escape \\\\"""',
        '"""ends in quotes"""""',
        "'''\n# no comment\n'''",
        "'''it''s'''",
        '""',
        "''",
        '"]#\\""',
        "'\\'",
        "1979-05-27 07:32:00Z",
        "[[], [\n1,\n2,\n], {a = 1, b.c = [2]}]",
        "{}",
        "{ x = 1, 'y' = { z = \"}\" } }",
        "[\n# nothing\n]",
        "-inf",
        "0xff",
    ],
)
def test_the_key_after_a_value(value):
    document = f"first = {value}   # why\n\nafter = 1\n"
    tomllib.loads(document)
    lines = key_lines(document)
    assert lines[("first",)] == 1
    assert lines[("after",)] == document.count("\n")


def test_inline_tables():
    lines = key_lines("a = 1\nt = { x = 1, y.z = [1, 2] }\n")
    assert lines[("t", "x")] == 2
    assert lines[("t", "y", "z", 1)] == 2


def test_arrays_of_tables_begin_at_the_first():
    assert key_lines("[[clusters]]\nx = 1\n[[clusters]]\nx = 2\n") == {
        ("clusters",): 1,
        ("clusters", "x"): 2,
    }


def test_line_of_the_table_where_the_key_is_missing():
    lines = key_lines("\n[clusters.lab]\n")
    assert line_of(lines, ("clusters", "lab", "nodes", 3)) == 2
    assert line_of(lines, ("timeouts", "connect")) is None


def test_empty_documents():
    assert key_lines("") == {}
    assert key_lines("# only a comment") == {}
    assert key_lines("\n\n  \t\n") == {}


_keys = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.from_regex(r'"[^"\\\x00-\x1f\x7f\ud800-\udfff]{0,6}"', fullmatch=True),
    st.from_regex(r"'[^'\x00-\x1f\x7f\ud800-\udfff]{0,6}'", fullmatch=True),
)
_values = st.recursive(
    st.sampled_from(["1", '"a\\"]"', "'#'", '"""\n]\n"""', "'''''a\n'''", "true", "1.5"]),
    lambda inner: st.lists(inner, max_size=3).map(
        lambda values: "[\n" + " , # }\n".join(values) + "\n]" if values else "[ ]"
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(_keys, _values), max_size=6))
def test_every_key_of_a_document_has_its_line(pairs):
    document, expected = "", {}
    for position, (key, value) in enumerate(pairs):
        document += f"[t{position}.{key}]\n"
        line = document.count("\n") + 1
        document += f"key = {value}\n"
        name = tomllib.loads(f"{key} = 1").popitem()[0]
        expected[(f"t{position}", name, "key")] = line
    tomllib.loads(document)
    lines = key_lines(document)
    assert {path: line for path, line in lines.items() if path in expected} == expected
