"""What a node does at its upload target does not decide how long the log becomes."""

from pathlib import Path

import pytest

from cucmd.allowance import Quota
from cucmd.receiver.accounting import Accounting
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.packets import Malformed
from cucmd.receiver.upload_target import UploadTarget
from cucmd.ssh.bridge import open_bridge


@pytest.mark.parametrize(("sessions", "lines"), [(0, 0), (1, 1), (2, 2), (500, 2)])
async def test_sessions_that_are_not_sftp_are_two_lines_of_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sessions: int, lines: int
) -> None:
    limits = ReceiverLimits()
    accounting = Accounting("job/n", Quota(), limits, "n", "n/files/")
    target = UploadTarget(tmp_path, accounting, limits, lambda _: None)
    for _ in range(sessions):
        target.not_sftp(Malformed("no INIT"))
    async with open_bridge():
        await target.aclose()
    assert len(caplog.messages) == lines
    if lines == 2:
        assert f" {sessions} sessions" in caplog.messages[-1]
