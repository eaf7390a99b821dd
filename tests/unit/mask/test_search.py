"""Searches masked text for originals, in all of their forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmmask.finder import Finder
from cucmmask.masks import Masks
from cucmmask.originals import Originals
from cucmmask.places import Kind
from cucmmask.search import Search

MASKS = Masks(b"a key of the company")
KNOWN = Originals(
    {
        Kind.ADDRESS: ["14.48.32.90", "2001:db8::1:2"],
        Kind.MAC: ["38ed18552a12"],
        Kind.NUMBER: ["9110001", "1000"],
        Kind.NAME: ["Jane Miller", "Ann Poe", "İbrahim"],
        Kind.PARTITION: ["EM-FI-PT"],
        Kind.WORD: ["Zeta"],
    }
)
OWN = ["Zeta"]


@pytest.mark.parametrize(
    "form",
    [
        "14.48.32.90",
        "log_14.48.32.90.txt",
        "ipAddr:0x0e30205a000000000000000000000000",
        "a-b-c-5a20300e@host",
        "1512058894",
        "::ffff:e30:205a",
        "2001:DB8:0:0::1:2",
        "20010db8000000000000000000010002",
        "SEP38ED18552A12",
        "ffff38ed18552a12ffff",
        "38:ed:18:55:2a:12",
        "38ed.1855.2a12",
        "38ed1855-2a120006-78c34baf-1b81d864",
        "x9110001y",
        "sip:%39110001@host",
        "MILLERS MILLER",
        "call of Ann Poe",
        "İBRAHIM",
        "in em-fi-pt.x",
        "aZETAb",
        "05 39 31 31 30 30 30 31 70",
        "05 06 38 ed 18 55 2a 12 70",
    ],
)
def test_form_is_found(form: str) -> None:
    assert len(Search(MASKS, KNOWN, OWN).look(form)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "114.48.32.90 14.48.32.901 14.48.32.90.1",
        "99110001 91100011",
        "millers smiller",
        "final documents, ann poe",
        "0e30205a0 15a20300e",
        "1000 Jane",
    ],
)
def test_part_of_something_else_is_none(text: str) -> None:
    assert Search(MASKS, KNOWN, OWN).look(text) == set()


def test_short_number_is_found_where_marked() -> None:
    search = Search(MASKS, KNOWN)
    assert search.look_marked(['cn="1000"']) == {(Kind.NUMBER, "1000")}
    assert search.look_marked(["index=1000"]) == set()


def test_mask_that_is_another_original_is_not_left() -> None:
    other = MASKS.number("9110001")
    search = Search(MASKS, Originals({Kind.NUMBER: ["9110001", other]}))
    assert search.left_in('cn="9110001"', f'cn="{other}"', {}) == set()


def test_unmasked_original_is_left() -> None:
    text = "digest ffff38ed18552a12ffff"
    assert Search(MASKS, KNOWN).left_in(text, text, {}) == {(Kind.MAC, "38ed18552a12")}


@given(st.sets(st.text("ab", min_size=1, max_size=3)), st.text("abABü"))
def test_finder_finds_all_strings(strings: set[str], text: str) -> None:
    parts = [(at, at + size) for at in range(len(text)) for size in (1, 2, 3)]
    expected = {
        (start, end, text[start:end].lower())
        for start, end in parts
        if end <= len(text) and text[start:end].lower() in strings
    }
    assert set(Finder(strings).find(text)) == expected
