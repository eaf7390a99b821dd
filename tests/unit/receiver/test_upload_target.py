"""What a node does at its upload target does not decide how long the log becomes."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.limits import ReceiverLimits, Status
from cucmd.receiver.packets import Malformed
from cucmd.receiver.upload_target import UploadTarget
from cucmd.ssh.bridge import open_bridge

EIO = OSError(errno.EIO, os.strerror(errno.EIO))
HAPPENS: dict[str, Callable[[UploadTarget, Accounting], object]] = {
    "not SFTP": lambda target, _: target.not_sftp(Malformed("no INIT")),
    "cannot receive": lambda target, _: target.cannot_receive(EIO),
    "disk": lambda _, accounting: accounting.disk_errors.add("Input/output error"),
}


@pytest.mark.parametrize("kind", HAPPENS)
@pytest.mark.parametrize(("times", "lines"), [(0, 0), (1, 1), (2, 2), (500, 2)])
async def test_what_happens_again_and_again_is_two_lines_of_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, times: int, lines: int
) -> None:
    limits = ReceiverLimits()
    accounting = Accounting("job/n", Quota(), limits, "n", "n/files/")
    target = UploadTarget(tmp_path, accounting, limits, lambda _: None)
    for _ in range(times):
        HAPPENS[kind](target, accounting)
    async with open_bridge():
        await target.aclose()
        await target.aclose()
    assert len(caplog.messages) == lines
    assert all(message.startswith("job/n: ") for message in caplog.messages)
    if lines == 2:
        assert f" {times} " in caplog.messages[-1]


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
