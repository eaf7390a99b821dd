"""Names that are too long for their place: what tells them apart stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmctl.names import shortened


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


def test_the_mark_may_be_ascii():
    assert shortened(["ccm-sub1.example.org"], 10, "~") == ["ccm-sub1.~"]


@given(st.lists(st.text(max_size=40), max_size=8), st.integers(2, 30))
def test_every_name_fits_and_what_is_cut_is_marked(names, width):
    for name, short in zip(names, shortened(names, width), strict=True):
        assert len(short) <= width
        assert short == name or "…" in short
