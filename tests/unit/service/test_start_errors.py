"""Messages when the daemon cannot start: the setting, what is wrong, what to do."""

import errno
import os
import socket

import pytest

from cucmd.failure import CannotStart
from cucmd.service.start_errors import LISTENING, blame_setting


def said(error: Exception, **hints: object) -> str:
    with (
        pytest.raises(CannotStart) as caught,
        blame_setting("receiver.listen = 'x:22'", **hints),
    ):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EADDRINUSE, "; another program may listen there"),
        (
            errno.EADDRNOTAVAIL,
            "; this host has no such address; 0.0.0.0 and [::] mean all addresses",
        ),
        (errno.EACCES, "; a port below 1024 needs root, or CAP_NET_BIND_SERVICE from the unit"),
        (errno.EINVAL, ""),
    ],
)
def test_a_hint_fits_the_error(number: int, hint: str) -> None:
    error = ExceptionGroup("of a nursery", [OSError(number, "[Errno 1] at ('x', 22): words")])
    assert said(error, hints=LISTENING) == f"receiver.listen = 'x:22': {os.strerror(number)}{hint}"


def test_an_unknown_host_name_is_explained() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert said(error, hints=LISTENING) == "receiver.listen = 'x:22': Name or service not known"


def test_an_error_about_the_path_itself_is_kept() -> None:
    error = OSError(errno.EEXIST, "there is a file that is no socket", "x:22")
    told = "receiver.listen = 'x:22': there is a file that is no socket; try y"
    assert said(error, otherwise="try y") == told


def test_an_error_about_some_other_file_is_left_as_it_is() -> None:
    with pytest.raises(PermissionError), blame_setting("receiver.listen = 'x:22'"):
        raise PermissionError(errno.EACCES, "Permission denied", "/a/key")
