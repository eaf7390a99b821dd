"""What is not wrong in a configuration, and yet hardly what somebody meant."""

import grp

import pytest

THERE = grp.getgrall()[0].gr_name


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
        "so only who may start jobs may look at them",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",  # the defaults, which a daemon started by hand has no groups for
        "[access]\noperate_group = ''\nview_group = ''",
        f"[access]\noperate_group = '{THERE}'\nview_group = '{THERE}'",
    ],
)
def test_groups_of_which_there_is_nothing_to_say(notices, text):
    assert notices(text) == []
