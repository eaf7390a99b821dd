"""Names are cut so that they still differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.text.table import cut, distinct_names, shortened, table


@pytest.mark.parametrize(
    ("names", "width", "shown"),
    [
        (
            ["ccm-sub1.voice.example.org", "ccm-sub2.voice.example.org", "ccm-pub"],
            12,
            ["ccm-sub1.vo…", "ccm-sub2.vo…", "ccm-pub"],
        ),
        (
            ["call-manager-east-1.voice.example.org", "call-manager-east-2.voice.example.org"],
            10,
            ["…1.voice.…", "…2.voice.…"],
        ),
    ],
)
def test_cut_keeps_the_differences(names, width, shown):
    assert shortened(names, width) == shown


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(2, 30))
def test_cut_names_are_marked(names, width):
    for name, short in zip(names, shortened(names, width), strict=True):
        assert len(short) <= width
        assert short == name or "…" in short


# The names of a cluster's nodes are alike at the beginning, at the end, or both.
ALIKE = st.tuples(
    *(st.sampled_from(part) for part in (["", "10.", "ccm-"], ["east", "1", "2"], ["-1", "-2"])),
    st.sampled_from(["", ".example.org", ":2022"]),
).map("".join)
NAMES = st.lists(st.text(max_size=40) | ALIKE, max_size=8)


@given(NAMES, st.integers(2, 30))
def test_cut_names_stay_different(names, width):
    cut = distinct_names(tuple(names), width)
    assert len(set(cut)) == len(set(names))
    assert all(short == name or "…" in short for name, short in zip(names, cut, strict=True))


def test_columns_align_by_cells():
    """Each of the two characters takes two cells; the dots above the u take none."""
    rows = [("顧客", "1"), ("u\u0308b", "12"), ("abc", "123")]
    assert list(table(("A", "B"), rows, right="B")) == [
        "A       B",
        "顧客    1",
        "u\u0308b     12",
        "abc   123",
    ]


@pytest.mark.parametrize(("width", "kept"), [(6, "顧客ab"), (5, "顧客…"), (4, "顧…"), (2, "…")])
def test_cuts_count_cells(width, kept):
    assert cut("顧客ab", width, "…") == kept
