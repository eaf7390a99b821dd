"""A process that receives says what cannot be: it is killed, and nothing of it is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.receiver.processes import RECEIVE
from cucmd.worker.workers import Workers, open_workers
from rig.worker_roles import LIES


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[Workers]:
    tests = str(Path(__file__).parents[2])
    roles = {RECEIVE: "rig.worker_roles:lie"}
    async with open_workers(tmp_path, roles, more_modules=tests) as opened:
        yield opened


@pytest.mark.parametrize("lie", LIES)
async def test_it_is_killed(
    receiver: Any, tmp_path: Path, until: Any, caplog: pytest.LogCaptureFixture, lie: str
) -> None:
    target = receiver.open_upload_target(tmp_path / "target", name=lie, address="127.0.0.1")
    await until(lambda: caplog.text.count("a process that receives has ended") >= 2)
    assert not any(file.closed for file in target.files())
    assert target.bytes_received == 0
    with trio.fail_after(30):
        await target.wait_files_closed()
        await target.aclose()
