"""What a discovery has found, as a table and as a block of the configuration."""

import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.main import main
from cucmctl.text import discover_text, job_list, render
from cucmd.job.discover import Found, Member

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SUB = Member("10.0.0.2:2022", "10.0.0.2", "sub1", "Subscriber", "callmanager")
IMP = Member("10.0.0.3:2022", "10.0.0.3", "imp1", "Subscriber", "cups", "imp1.example.org")
PUB = Member("pub:2022", "10.0.0.1", "pub", "Publisher", "callmanager", "pub.example.org")
FOUND = Found((SUB, IMP, PUB), "15.0.1.11900-40")


def block(what: Found, name: str = "berlin", credential: str | None = None) -> str:
    lines = discover_text.block(name, "pub:2022", what, credential=credential, at=NOW)
    return "\n".join(lines)


def test_the_publisher_is_first_in_the_table() -> None:
    headings, *rows, version = discover_text.members(FOUND)
    assert headings.split() == ["NODE", "NAME", "ROLE", "PRODUCT", "ADDRESS"]
    assert [row.split()[0] for row in rows] == ["pub:2022", "10.0.0.2:2022", "10.0.0.3:2022"]
    assert "15.0.1.11900-40" in version
    assert all(len(row) <= 80 for row in rows)


@pytest.mark.parametrize("name", ["berlin", "berlin.1", "9_-"])
def test_the_block_is_what_the_configuration_takes(name: str) -> None:
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


def test_a_cluster_of_one_node_and_one_without_a_publisher() -> None:
    assert tomllib.loads(block(Found((PUB,)))) == {
        "clusters": {"berlin": {"publisher": "pub:2022"}}
    }
    assert tomllib.loads(block(Found((SUB, IMP)))) == {
        "clusters": {"berlin": {"nodes": ["10.0.0.2:2022", "10.0.0.3:2022"]}}
    }


def test_the_block_says_of_a_node_that_it_is_down_or_new_and_no_product_that_is_not_said() -> None:
    down = Member("a", "10.0.0.4", "sub4", "Subscriber", "", unauthenticated="not authenticated")
    text = block(Found((down, PUB)))
    assert "# sub4, Subscriber, not authenticated" in text
    assert list(Found((down,)).summary_lines()) == ["names a, sub4: Subscriber, not authenticated"]


_WORDS = st.text(max_size=20)
_MEMBERS = st.builds(Member, _WORDS, _WORDS, _WORDS, _WORDS, _WORDS, unauthenticated=_WORDS)


@given(st.lists(_MEMBERS, max_size=3), _WORDS)
def test_words_of_a_node_cannot_leave_their_place(members: list[Member], asked: str) -> None:
    text = "\n".join(
        discover_text.block("x", asked, Found(tuple(members)), credential=None, at=NOW)
    )
    (cluster,) = tomllib.loads(text)["clusters"].values()
    assert set(cluster) <= {"publisher", "nodes"}
    for line in (*text.splitlines(), *discover_text.members(Found(tuple(members)))):
        assert line.isprintable()


def test_a_job_shows_what_it_has_found(job, node) -> None:
    one = job(node("pub:2022", "succeeded", found=FOUND), status="succeeded", kind="discover")
    text = "\n".join(render.show_job(one, NOW))
    assert "imp1" in text
    assert "3 nodes found" in next(render.ending(one))
    (row,) = list(job_list.jobs([render.summary(one)], NOW))[1:]
    assert row.split()[2] == "discover"


@pytest.mark.parametrize(
    "arguments",
    [
        ["discover"],
        ["discover", "pub", "--save", "a b"],
        ["discover", "pub", "--save", "a/b"],
        ["discover", "pub", "--save", "x", "--json"],
        ["discover", "pub", "sub"],
        ["discover", "pub", "--password-file", "/x"],
        ["discover", "pub", "--user", ""],
    ],
)
def test_what_is_wrong_is_said_before_the_daemon_is_called(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", "/nowhere", *arguments]) == 2
    assert capsys.readouterr().out == ""
