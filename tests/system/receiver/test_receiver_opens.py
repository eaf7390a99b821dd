"""A receiver that opens while the first process starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from cucmd.receiver.host_keys import load_host_keys
from cucmd.receiver.processes import RECEIVE
from cucmd.worker.workers import Workers, open_workers


@pytest.fixture
async def workers(tmp_path: Path, state: Path) -> AsyncIterator[Workers]:
    load_host_keys(state)  # to make them would take as long as the start of the first process
    roles = {RECEIVE: "cucmd.receiver.receiving:receive"}
    async with open_workers(tmp_path, roles) as opened:
        yield opened


async def test_it_accepts_where_it_listens_in_the_turn_in_which_the_first_process_is_ready(
    workers: Workers, open_with: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = workers.listen

    async def listen_in_that_turn(*sockets: Any) -> None:
        while workers.confined is None:
            await trio.lowlevel.checkpoint()
        await listen(*sockets)

    monkeypatch.setattr(workers, "listen", listen_in_that_turn)
    with trio.fail_after(60):
        async with (
            open_with() as receiver,
            await trio.open_tcp_stream("127.0.0.1", receiver.port) as stream,
        ):
            assert (await stream.receive_some(100)).startswith(b"SSH-2.0-cucmd\r\n")
