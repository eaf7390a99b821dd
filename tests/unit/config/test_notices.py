"""Notices: settings that are valid, but probably not intended."""

import pytest


@pytest.fixture
def notices(loaded):
    """Returns a function that lists the keys and texts of the notices of a file."""
    return lambda text, environ=None: [
        notice.split(": ", 1)[1] for notice in loaded(text, environ).notices
    ]


def test_unknown_groups_and_users(notices):
    text = (
        "operate_group = 'cucmm'\nview_group = 'no.such'\nmay_speak_for = ['root', '1', 'no.such']"
    )
    found = notices(f"[access]\n{text}\n")
    assert [notice.split(",")[0] for notice in found] == [
        "access.operate_group: 'cucmm': there is no such group",
        "access.view_group: 'no.such': there is no such group",
        "access.may_speak_for[2]: 'no.such': there is no such user",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",  # the default groups need not exist: a daemon started by hand has none
        "[access]\noperate_group = ''\nview_group = ''",
        "[access]\noperate_group = 'root'\nview_group = 'root'",
    ],
)
def test_no_notice_of_groups(notices, text):
    assert notices(text) == []


def test_only_another_value_is_an_override(notices):
    text = "[daemon]\nsocket = '/x/s'\nstate_directory = '/x'\n[timeouts]\nconnect = 40\n"
    same = {"CUCMD_SOCKET": "/x/s", "STATE_DIRECTORY": "/x", "JOB_CONNECT_TIMEOUT_SEC": "40.0"}
    assert notices(text, same) == []
    other = {"CUCMD_SOCKET": "/y/s", "STATE_DIRECTORY": "/y", "JOB_CONNECT_TIMEOUT_SEC": "41"}
    assert notices(text, other) == [
        "daemon.socket: is overridden by $CUCMD_SOCKET",
        "daemon.state_directory: is overridden by $STATE_DIRECTORY",
        "timeouts.connect: is overridden by $JOB_CONNECT_TIMEOUT_SEC",
    ]
