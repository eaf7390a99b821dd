"""Names that are too long are cut so that they still differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.text.table import distinct_names, shortened


def test_names_that_fit_stay_as_they_are():
    assert shortened(["ccm-pub", "ccm-sub1"], 8) == ["ccm-pub", "ccm-sub1"]


@pytest.mark.parametrize(
    ("names", "width", "shown"),
    [
        (
            ["ccm-sub1.voice.example.org", "ccm-sub2.voice.example.org", "ccm-pub"],
            12,
            ["ccm-sub1.vo…", "ccm-sub2.vo…", "ccm-pub"],
        ),
        (
            ["collector-of-the-west-1", "collector-of-the-west-2"],
            12,
            ["collecto…t-1", "collecto…t-2"],
        ),
        (
            ["call-manager-east-1.voice.example.org", "call-manager-east-2.voice.example.org"],
            10,
            ["…1.voice.…", "…2.voice.…"],
        ),
    ],
)
def test_the_cut_goes_where_names_do_not_differ(names, width, shown):
    assert shortened(names, width) == shown


def test_names_get_more_room_rather_than_look_the_same():
    names = tuple(f"ccm-{city}-sub{n}.example.org" for city in ("berlin", "bern") for n in (1, 2))
    cut = distinct_names((*names, "192.0.2.7"), 8)
    assert cut[:3] == ("ccm-berlin-sub1…", "ccm-berlin-sub2…", "ccm-bern-sub1.e…")


def test_the_mark_may_be_ascii():
    assert shortened(["ccm-sub1.example.org"], 10, "~") == ["ccm-sub1.~"]


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(2, 30))
def test_every_name_fits_and_what_is_cut_is_marked(names, width):
    for name, short in zip(names, shortened(names, width), strict=True):
        assert len(short) <= width
        assert short == name or "…" in short


# Alike in front, at the end, or both, as the names of a cluster's nodes are.
ALIKE = st.tuples(
    *(st.sampled_from(part) for part in (["", "10.", "ccm-"], ["east", "1", "2"], ["-1", "-2"])),
    st.sampled_from(["", ".example.org", ":2022"]),
).map("".join)
NAMES = st.lists(st.text(max_size=40) | ALIKE, max_size=8)


@given(NAMES, st.integers(2, 30))
def test_a_cut_makes_no_two_names_the_same(names, width):
    cut = distinct_names(tuple(names), width)
    assert len(set(cut)) == len(set(names))
    assert all(short == name or "…" in short for name, short in zip(names, cut, strict=True))


@given(NAMES, st.integers(2, 30))
def test_more_room_is_given_only_where_it_is_needed(names, width):
    cut = shortened(names, width)
    if len(set(cut)) == len(set(names)):
        assert distinct_names(tuple(names), width) == tuple(cut)
