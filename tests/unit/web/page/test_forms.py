"""The form that starts a job becomes a request, or names the field that is wrong."""

from zoneinfo import ZoneInfo

import pytest

from cucmd.job.work_request import Collection, Login
from cucmd.protocol.cases import Search
from cucmweb.page.find_page import search_of
from cucmweb.page.forms import KINDS, WrongForm, labels, start_call

FORM = {
    "nodes": "cucm-pub, cucm-sub1\ncucm-sub2",
    "username": "administrator",
    "password": "secret",
    "credential": "",
    "kind": "collect",
    "profile": "callmanager",
    "paths": "",
    "commands": "show status",
    "last": "2h",
    "since": "",
    "until": "",
    "labels": "case=698123456 site=berlin",
    "key": "0f",
}


def test_form_becomes_a_request() -> None:
    request = start_call(FORM, None).request
    assert request.nodes == ("cucm-pub", "cucm-sub1", "cucm-sub2")
    assert request.login == Login("administrator", "secret")
    assert request.collection == Collection(profile="callmanager", last="2h")
    assert request.labels == {"case": "698123456", "site": "berlin"}
    assert request.start_key == "0f"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_one_kind_of_work(kind: str) -> None:
    name, _ = start_call(FORM | {"kind": kind}, None).request.work()
    expected = {"collect": "collection", "run": "commands", "discover": "discovery"}
    assert name == expected.get(kind, kind)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Berlin", "2026-07-01T12:30:00+00:00"), ("Asia/Tokyo", "2026-07-01T05:30:00+00:00")],
)
def test_typed_time_is_of_the_viewer(zone: str, expected: str) -> None:
    typed = FORM | {"since": "2026-07-01T14:30", "until": "2026-07-01T15:30"}
    collection = start_call(typed, ZoneInfo(zone)).request.collection
    assert collection is not None
    assert collection.since == expected
    assert collection.last is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nodes", " , "),
        ("since", "yesterday"),
        ("until", "12345-01-01T00:00"),
        ("since", "0001-01-01T00:00+09:00"),
        ("until", "9999-12-31T23:59-05:00"),
        ("labels", "case"),
        ("labels", "=1"),
        ("kind", "erase"),
        ("profile", ""),
    ],
)
def test_wrong_field_is_named(name: str, value: str) -> None:
    with pytest.raises(WrongForm) as wrong:
        start_call(FORM | {name: value}, None)
    assert wrong.value.field == name
    assert "secret" not in str(wrong.value)


def test_search_form_becomes_a_search() -> None:
    form = {"for": "number", "what": "7021004", "path": " sdl ", "since": "2026-07-01T14:30"}
    expected = Search(number="7021004", path="sdl", since="2026-07-01T12:30:00+00:00")
    assert search_of(form, ZoneInfo("Europe/Berlin")) == expected


@pytest.mark.parametrize(("name", "value"), [("for", "path"), ("until", "soon")])
def test_wrong_search_is_named(name: str, value: str) -> None:
    with pytest.raises(WrongForm, match=value):
        search_of({"what": "x", name: value}, None)


def test_empty_value_removes_a_label() -> None:
    assert labels("site=") == {"site": ""}
