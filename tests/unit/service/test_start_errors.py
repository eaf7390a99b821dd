"""The messages of a daemon that cannot start."""

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
    [(errno.EADDRINUSE, "; another program may listen there"), (errno.EINVAL, "")],
)
def test_hint_fits_the_error(number: int, hint: str) -> None:
    error = ExceptionGroup("of a nursery", [OSError(number, "[Errno 1] at ('x', 22): words")])
    assert said(error, hints=LISTENING) == f"receiver.listen = 'x:22': {os.strerror(number)}{hint}"


def test_unknown_host_name() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert said(error, hints=LISTENING) == "receiver.listen = 'x:22': Name or service not known"


def test_error_about_the_path() -> None:
    error = OSError(errno.EEXIST, "there is a file that is no socket", "x:22")
    told = "receiver.listen = 'x:22': there is a file that is no socket; try y"
    assert said(error, otherwise="try y") == told


def test_error_about_another_file() -> None:
    with pytest.raises(PermissionError), blame_setting("receiver.listen = 'x:22'"):
        raise PermissionError(errno.EACCES, "Permission denied", "/a/key")
