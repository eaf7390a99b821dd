"""A node does not decide how many lines it gets in the log."""

import errno
import os
from typing import Any

import pytest

from cucmd.receiver.limits import Status

EIO = OSError(errno.EIO, os.strerror(errno.EIO))


def test_failing_disk_logs_one_line(
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
