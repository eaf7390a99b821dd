"""Notices: what is not wrong in a configuration, but probably not meant."""

import pytest

from cucmd.plan.targets import expand


@pytest.fixture
def notices(loaded):
    """What `check` and the log say of a text; without the file's name."""
    return lambda text, environ=None: [
        notice.partition(":")[2] for notice in loaded(text, environ).notices
    ]


def test_a_group_that_does_not_exist_is_told(notices):
    assert notices("[access]\noperate_group = 'cucmm'\nview_group = 'no.such'\n") == [
        "2: access.operate_group: 'cucmm': there is no such group, "
        "so only root and the daemon's own user may start and cancel jobs",
        "3: access.view_group: 'no.such': there is no such group, "
        "so only those who may start jobs may see them",
    ]


def test_a_user_that_does_not_exist_is_told(notices):
    assert notices("[access]\nmay_speak_for = ['root', '61001', 'no.such']\n") == [
        "2: access.may_speak_for[2]: 'no.such': there is no such user"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",  # the defaults, which a daemon started by hand has no groups for
        "[access]\noperate_group = ''\nview_group = ''",
        "[access]\noperate_group = 'phones'\nview_group = 'phones'",
    ],
)
def test_groups_of_which_there_is_nothing_to_say(notices, monkeypatch, text):
    monkeypatch.setattr("grp.getgrnam", {"phones": object()}.__getitem__)
    assert notices(text) == []


def test_an_override_with_the_same_value_is_no_notice(notices):
    text = "[daemon]\nsocket = '/x/s'\nstate_directory = '/x'\n[timeouts]\nconnect = 40\n"
    same = {"CUCMD_SOCKET": "/x/s", "STATE_DIRECTORY": "/x", "JOB_CONNECT_TIMEOUT_SEC": "40.0"}
    assert notices(text, same) == []
    other = {"CUCMD_SOCKET": "/y/s", "STATE_DIRECTORY": "/y", "JOB_CONNECT_TIMEOUT_SEC": "41"}
    assert [told.partition(": ")[2] for told in notices(text, other)] == [
        "daemon.socket: is overridden by $CUCMD_SOCKET",
        "daemon.state_directory: is overridden by $STATE_DIRECTORY",
        "timeouts.connect: is overridden by $JOB_CONNECT_TIMEOUT_SEC",
    ]


def test_a_clusters_name_comes_before_a_nodes(loaded):
    config = loaded("[clusters.a]\nnodes = ['b', 'c']\n[clusters.d]\nnodes = ['a']\nlogin = 9\n")
    assert [node.node for node in expand(config, [], ["a"])] == ["b", "c"]
    assert [node.node for node in expand(config, [], ["a:22"])] == ["a:22"]
    assert config.for_node("a").timeouts.login == 9
