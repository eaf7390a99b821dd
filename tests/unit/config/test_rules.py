"""The rules for paths and locations: each names what was expected, and does not show the value."""

import pytest

from cucmd.config import rules
from cucmd.job.work_request import LOCATIONS


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("..", "holds '..'; expected a path below the location"),
        ("cm/../../etc", "holds '..'; expected a path below the location"),
        ("/", "expected a path below the location"),
        ("cm/*/sdl", "has '*' in a folder; the node takes it in the last component only"),
    ],
)
def test_a_path_that_leaves_the_location_or_has_a_pattern_in_a_folder(path, reason):
    with pytest.raises(ValueError, match=r"location|component") as caught:
        rules.check_path(path)
    assert str(caught.value) == reason


@pytest.mark.parametrize("path", ["*", "cm/trace/*", "/cm/trace/", "a..b/c"])
def test_a_path_that_the_node_takes_is_returned_as_it_is(path):
    assert rules.check_path(path) == path


@pytest.mark.parametrize("path", ["a;reboot", "$(x)", "cm/`x`", "a|b", "a&b", "-R", "cm/-x", "a>b"])
def test_what_a_shell_would_take_for_more_than_a_name_is_refused(path):
    with pytest.raises(ValueError, match=r"expected letters, digits|quotes"):
        rules.check_path(path)


@pytest.mark.parametrize("user", ["cucmweb", "_apt", "a.b-c_2", "0", "4294967294"])
def test_a_user_is_a_name_or_a_uid(user):
    assert rules.check_user(user) == user


@pytest.mark.parametrize("user", ["", "-1", "a b", "2nd", "99999999999", "\u0665", "a:b", "x" * 33])
def test_what_is_no_user_is_refused(user):
    with pytest.raises(ValueError, match="expected the name of a user"):
        rules.check_user(user)


@pytest.mark.parametrize("location", ["activlog", ""])
def test_a_location_is_one_of_the_nodes(location):
    with pytest.raises(ValueError, match="expected one of") as caught:
        rules.check_location(location)
    assert str(caught.value) == f"expected one of {', '.join(LOCATIONS)}"
