"""The rules for paths and users."""

import pytest

from cucmd.config import rules


@pytest.mark.parametrize(
    "path",
    [
        *("..", "cm/../../etc", "/", "cm/*/sdl"),
        *("a;reboot", "$(x)", "cm/`x`", "a|b", "a&b", "-R", "cm/-x", "a>b"),
    ],
)
def test_dangerous_path_is_refused(path):
    with pytest.raises(ValueError, match=r"^(?:expected|holds|has) |cannot be typed"):
        rules.check_path(path)


@pytest.mark.parametrize("path", ["*", "cm/trace/*", "/cm/trace/", "a..b/c"])
def test_valid_path(path):
    assert rules.check_path(path) == path


@pytest.mark.parametrize("user", ["cucmweb", "_apt", "a.b-c_2", "0", "4294967294"])
def test_user_is_name_or_uid(user):
    assert rules.check_user(user) == user


@pytest.mark.parametrize("user", ["", "-1", "a b", "2nd", "99999999999", "\u0665", "a:b", "x" * 33])
def test_invalid_user_is_refused(user):
    with pytest.raises(ValueError, match="expected the name of a user"):
        rules.check_user(user)
