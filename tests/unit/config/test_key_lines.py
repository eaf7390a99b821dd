"""The lines of keys, compared with documents whose values are those lines."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd.config.reading import key_lines


def test_tables_and_keys():
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
        ("clusters", "lab", "connect"): 14,
    }


def test_dotted_and_quoted_keys_and_those_of_inline_tables():
    lines = key_lines(
        'ssh . host_keys = "off"\n'
        "[ clusters . \"a.b\" . 'c\\d' ]\n"
        '"x = \\"[y]\\" #" = 1\n'
        "'no # comment' = 2\n"
        '"\\u0061b" = 3\n'
        "t = { x = 1, y.z = [1, 2] }\n"
    )
    assert lines[("ssh", "host_keys")] == 1
    assert lines[("clusters", "a.b", "c\\d")] == 2
    assert lines[("clusters", "a.b", "c\\d", 'x = "[y]" #')] == 3
    assert lines[("clusters", "a.b", "c\\d", "no # comment")] == 4
    assert lines[("clusters", "a.b", "c\\d", "ab")] == 5
    assert lines[("clusters", "a.b", "c\\d", "t", "y", "z")] == 6


@pytest.mark.parametrize(
    "value",
    [
        '"""\n[no.table]\nno_key = 1\n"""',
        '"""two quotes ""\\""" and an escape \\\\"""',
        '"""ends in quotes"""""',
        "'''\n# no comment\n'''",
        "1979-05-27 07:32:00Z",
        "[[], [\n1,\n2,\n], {a = 1, b.c = [2]}]",
        "[\n# nothing\n]",
    ],
)
def test_the_key_after_a_value(value):
    document = f"first = {value}   # why\n\nafter = 1\n"
    tomllib.loads(document)
    lines = key_lines(document)
    assert lines[("first",)] == 1
    assert lines[("after",)] == document.count("\n")


def test_arrays_of_tables_begin_at_the_first():
    assert key_lines("[[clusters]]\nx = 1\n[[clusters]]\nx = 2\n") == {
        ("clusters",): 1,
        ("clusters", "x"): 2,
    }


def test_a_problem_has_the_line_of_the_innermost_table_that_is_in_the_file(problems):
    text = "\n[clusters.lab]\nnodes = [\n'a',\n'b c',\n]\n[clusters.bonn]\n"
    assert [(line, key) for line, key, _ in problems(text)] == [
        (3, "clusters.lab.nodes[1]"),
        (7, "clusters.bonn"),
    ]


def test_a_list_of_a_thousand_lines_is_read_once(monkeypatch):
    read = []
    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: read.append(len(text)) or loads(text))
    text = "nodes = [\n" + "'10.0.0.1', # one of many\n" * 1000 + "]\nlast = 1\n"
    assert key_lines(text)[("last",)] == 1003
    assert sum(read) < 2 * len(text)


def test_what_could_end_on_each_of_its_lines_is_given_up(monkeypatch):
    read = []
    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: read.append(text) or loads(text))
    assert key_lines('a = 1\nb = """\n' + "[x]\n" * 9000 + '"""\n') == {("a",): 1}
    assert len(read) < 1100


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
