"""What a node does with its login does not decide how long the log becomes."""

import errno
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from cucmd.receiver.limits import ReceiverLimits, Status
from cucmd.receiver.login import ServedLogin
from cucmd.receiver.packets import Malformed
from cucmd.worker.frames import Expect
from rig.sftp_client import Pair

EIO = OSError(errno.EIO, os.strerror(errno.EIO))
HAPPENS: dict[str, Callable[[ServedLogin], object]] = {
    "not SFTP": lambda login: login.not_sftp(Malformed("no INIT")),
    "cannot receive": lambda login: login.cannot_receive(EIO),
    "disk": lambda login: login.accounting.say("the disk", "Input/output error"),
}


@pytest.mark.parametrize("kind", HAPPENS)
@pytest.mark.parametrize(("times", "lines"), [(0, 0), (1, 1), (500, 1)])
def test_what_happens_again_and_again_is_one_line_of_a_run(
    caplog: pytest.LogCaptureFixture, kind: str, times: int, lines: int
) -> None:
    limits = ReceiverLimits()
    expect = Expect(login="login", digest=b"", source="", name="job/node")
    login = ServedLogin(expect, Pair(limits).accounting, limits, lambda *_: -1)
    for _ in range(times):
        HAPPENS[kind](login)
    login.accounting.revoke()
    login.end()
    assert len(caplog.messages) == lines
    assert all(message.startswith("job/node: ") for message in caplog.messages)


def test_each_request_that_the_disk_fails_is_no_line(
    client: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise EIO

    monkeypatch.setattr(os, "mkdir", fails)
    for number in range(50):
        assert client.mkdir(b"%d" % number).status == Status.FAILURE
    monkeypatch.setattr(os, "pwrite", fails)
    for number in range(20):
        assert client.write(client.open(b"f%d" % number).handle, 0, b"x").status == Status.FAILURE
    assert len(caplog.messages) == 1


def test_a_byte_that_comes_while_figures_are_made_is_not_in_the_future(client: Any) -> None:
    accounting = client.accounting
    accounting.last_activity = time.monotonic() + 1
    accounting.tell_figures()  # the daemon would not believe it
