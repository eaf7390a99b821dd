"""The result of a discovery: table, and block for the configuration."""

import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.text import discover_text
from cucmctl.text.kind_text import lines_of
from cucmd.job.discover import Found, Member

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SUB = Member("10.0.0.2:2022", "10.0.0.2", "sub1", "Subscriber", "callmanager")
IMP = Member("10.0.0.3:2022", "10.0.0.3", "imp1", "Subscriber", "cups", "imp1.example.org")
PUB = Member("pub:2022", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
FOUND = Found((SUB, IMP, PUB), "15.0.1.11900-40")


def block(what: Found, name: str = "berlin", credential: str | None = None) -> str:
    lines = discover_text.block(name, "pub:2022", what, credential=credential, at=NOW)
    return "\n".join(lines)


@pytest.mark.parametrize("name", ["berlin", "berlin.1", "9_-"])
def test_block_is_valid_configuration(name: str) -> None:
    read = tomllib.loads(block(FOUND, name, "cucmd.berlin"))
    assert read == {
        "clusters": {
            name: {
                "publisher": "pub:2022",
                "nodes": ["10.0.0.2:2022", "10.0.0.3:2022"],
                "credential": "cucmd.berlin",
            }
        }
    }


def test_block_marks_unauthenticated_nodes() -> None:
    down = Member("a", "10.0.0.4", "sub4", "Subscriber", "", unauthenticated="not authenticated")
    text = block(Found((down, PUB)))
    assert "# sub4, Subscriber, not authenticated" in text
    assert list(Found((down,)).summary_lines()) == ["names a, sub4: Subscriber, not authenticated"]


_WORDS = st.text(max_size=20)
_MEMBERS = st.builds(Member, _WORDS, _WORDS, _WORDS, _WORDS, _WORDS, unauthenticated=_WORDS)


@given(st.lists(_MEMBERS, max_size=3), _WORDS)
def test_names_cannot_leave_their_string(members: list[Member], asked: str) -> None:
    text = "\n".join(
        discover_text.block("x", asked, Found(tuple(members)), credential=None, at=NOW)
    )
    (cluster,) = tomllib.loads(text)["clusters"].values()
    assert set(cluster) <= {"publisher", "nodes"}
    found = discover_text.members(Found(tuple(members)))
    for line in (*text.splitlines(), *lines_of(found)):
        assert line.isprintable()
