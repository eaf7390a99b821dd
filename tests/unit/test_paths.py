"""Default paths, on which daemon and client agree."""

import os
from pathlib import Path

import pytest

from cucmd import paths
from cucmd.paths import (
    config_places,
    default_config,
    default_socket,
    default_state_dir,
    is_private,
    private_socket,
    socket_to_call,
)
from cucmd.service.access import make_private

ROOT, USER, SERVICE = 0, 1000, 64321


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({}, ROOT, "/run/cucmd/cucmd.sock"),
        ({"STATE_DIRECTORY": "/var/lib/cucmd"}, SERVICE, "/run/cucmd/cucmd.sock"),
        ({"HOME": "/h"}, USER, "/h/.local/state/cucmd/run/cucmd.sock"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/s"}, USER, "/s/cucmd/run/cucmd.sock"),
        ({"HOME": "/h", "XDG_RUNTIME_DIR": "r"}, USER, "/h/.local/state/cucmd/run/cucmd.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/1000"}, USER, "/run/user/1000/cucmd/cucmd.sock"),
        ({"XDG_RUNTIME_DIR": "/r", "CUCMD_SOCKET": "/a/b"}, USER, "/a/b"),
        ({"CUCMD_SOCKET": ""}, ROOT, "/run/cucmd/cucmd.sock"),
    ],
)
def test_default_socket(environ, uid, expected):
    assert default_socket(environ, uid) == expected
    assert socket_to_call(environ, uid) == expected or not environ.get("CUCMD_SOCKET")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Redirects the sockets of users and of the system to a folder without any."""
    monkeypatch.setattr(paths, "SYSTEM_SOCKET", str(tmp_path / "system.sock"))
    monkeypatch.setattr(paths, "RUNTIME_DIRS", str(tmp_path / "user"))
    return tmp_path


def listening(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def listening_in_private(environ, uid, mode=0o700):
    """Makes the private socket of a user, in a folder that belongs to that user."""
    path = Path(private_socket(environ))
    listening(path)
    if os.getuid() == 0:
        os.chown(path.parent, uid, -1)
    path.parent.chmod(mode)
    return str(path)


@pytest.fixture
def uid():
    """Returns a user that is not root and can own a folder."""
    return os.getuid() or USER


def test_private_socket_is_found(places, uid):
    environ = {"HOME": str(places)}
    listening(places / "system.sock")
    path = listening_in_private(environ, uid)
    assert default_socket(environ, uid) == socket_to_call(environ, uid) == path


def test_socket_of_another_session_is_found(places, uid):
    environ = {"HOME": str(places)}
    assert socket_to_call(environ, uid) == default_socket(
        environ, uid
    )  # none exists; the error names it
    path = listening(places / "user" / str(uid) / "cucmd" / "cucmd.sock")
    assert socket_to_call(environ, uid) == path


def test_socket_without_session_is_found(places, uid):
    environ = {"HOME": str(places), "XDG_RUNTIME_DIR": str(places / "user" / str(uid))}
    path = listening_in_private(environ, uid)
    assert socket_to_call(environ, uid) == path


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755, 0o1777])
def test_open_folder_is_not_trusted(places, uid, mode):
    environ = {"HOME": str(places)}
    path = listening_in_private(environ, uid, mode)
    system = listening(places / "system.sock")
    assert socket_to_call(environ, uid) == system
    with pytest.raises(PermissionError):
        make_private(Path(path).parent)


def test_link_to_folder_is_not_followed(places):
    (places / "mine").mkdir(mode=0o700)
    (places / "run").symlink_to(places / "mine")
    assert not is_private(str(places / "run"), places.stat().st_uid)
    assert not is_private(str(places / "mine"), places.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        make_private(places / "run")


def test_system_socket_is_last(tmp_path, monkeypatch):
    system, own = tmp_path / "system.sock", tmp_path / "cucmd" / "cucmd.sock"
    monkeypatch.setattr(paths, "SYSTEM_SOCKET", str(system))
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert socket_to_call(environ, USER) == str(own)  # none exists; the error names it
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
    ],
)
def test_default_state_directory(environ, uid, expected):
    assert default_state_dir(environ, uid) == expected


def test_default_configuration(tmp_path):
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
