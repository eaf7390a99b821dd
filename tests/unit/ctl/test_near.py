"""Names that are near to a misspelt one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.cli.options import MOST_NEAR, near
from cucmctl.commands.lookup import hint

KNOWN = ["berlin", "bern", "Hamburg", "callmanager"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("berln", ["berlin", "bern"]),
        ("BERLIN", ["berlin", "bern"]),
        ("hambrug", ["Hamburg"]),
        ("calmanager", ["callmanager"]),
        ("paris", []),
        ("", []),
    ],
)
def test_what_is_near(typed: str, meant: list[str]) -> None:
    assert near(typed, KNOWN) == meant


def test_a_hint_names_what_is_near_or_what_there_is() -> None:
    assert "berlin or bern" in hint("berln", KNOWN)
    assert all(name in hint("paris", KNOWN) for name in KNOWN)
    assert hint("paris", []) == ""
    assert hint("paris", [f"cluster-{number}" for number in range(100)]) == ""


@given(st.text(), st.lists(st.text(), max_size=9))
def test_it_suggests_only_what_is_known(name: str, known: list[str]) -> None:
    assert set(near(name, known)) <= set(known)
    assert len(near(name, known)) <= MOST_NEAR
