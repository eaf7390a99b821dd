"""Where things are when nobody says otherwise; daemon and client agree."""

import pytest

from cucmd import paths
from cucmd.paths import (
    config_places,
    default_config,
    default_socket,
    default_state_dir,
    socket_to_call,
)

ROOT, USER, SERVICE = 0, 1000, 64321


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({}, ROOT, "/run/cucmd/cucmd.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/0"}, ROOT, "/run/cucmd/cucmd.sock"),
        ({}, SERVICE, "/run/cucmd/cucmd.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000"}, USER, "/run/user/1000/cucmd/cucmd.sock"),
        ({"XDG_RUNTIME_DIR": "/r", "CUCMD_SOCKET": "/a/b"}, USER, "/a/b"),
        ({"CUCMD_SOCKET": "/a/b"}, ROOT, "/a/b"),
        ({"CUCMD_SOCKET": ""}, ROOT, "/run/cucmd/cucmd.sock"),
    ],
)
def test_where_the_socket_is(environ, uid, expected):
    assert default_socket(environ, uid) == expected
    assert socket_to_call(environ, uid) == expected or not environ.get("CUCMD_SOCKET")


def test_a_user_without_a_daemon_calls_the_systems(tmp_path, monkeypatch):
    system, own = tmp_path / "system.sock", tmp_path / "cucmd" / "cucmd.sock"
    monkeypatch.setattr(paths, "SYSTEM_SOCKET", str(system))
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert socket_to_call(environ, USER) == str(own)  # neither is there: the message names it
    system.touch()
    assert socket_to_call(environ, USER) == str(system)
    own.parent.mkdir()
    own.touch()
    assert socket_to_call(environ, USER) == str(own)
    chosen = {**environ, "CUCMD_SOCKET": "/not/there"}
    assert socket_to_call(chosen, USER) == "/not/there"


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"STATE_DIRECTORY": "/var/lib/cucmd"}, SERVICE, "/var/lib/cucmd"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, SERVICE, "/var/lib/a"),
        ({}, ROOT, "/var/lib/cucmd"),
        ({"XDG_STATE_HOME": "/s"}, USER, "/s/cucmd"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, USER, "/h/.local/state/cucmd"),
        ({"HOME": "/h"}, USER, "/h/.local/state/cucmd"),
    ],
)
def test_where_state_is_kept(environ, uid, expected):
    assert default_state_dir(environ, uid) == expected


def test_where_the_configuration_is(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert default_config(environ, ROOT) == "/etc/cucmd/cucmd.toml"
    assert default_config(environ, SERVICE) == "/etc/cucmd/cucmd.toml"
    own = tmp_path / "cucmd" / "cucmd.toml"
    own.parent.mkdir()
    own.touch()
    assert default_config(environ, USER) == str(own)
    assert default_config(environ, ROOT) == "/etc/cucmd/cucmd.toml"
    assert config_places(environ, USER) == (str(own), "/etc/cucmd/cucmd.toml")
    assert config_places(environ, ROOT) == ("/etc/cucmd/cucmd.toml",)
