"""What a node's visit took is free once it is over: its names above all."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import trio

from cucmd.receiver import server
from cucmd.receiver.accounting import Accounting
from rig import sftp_words as words


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections are looked at all the time, so that a look falls into each visit."""
    monkeypatch.setattr(server, "CHECK_EVERY", 0.005)


@pytest.mark.usefixtures("often")
async def test_nothing_holds_the_files_of_a_target_that_is_closed(
    open_with: Any, open_target: Any, other: Any, until: Any
) -> None:
    def visit(target: Any) -> None:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"a")).handle
            raw.ask(words.on_handle(words.Kind.CLOSE, 2, handle))
            trio.from_thread.run(trio.sleep, 0.05)

    async with open_with() as receiver:
        target = open_target(receiver)
        await other.run(visit, target)
        await target.target.aclose()
        assert len(target.target.files()) == 1
        del target
        await until(lambda: not receiver.connections)
        gc.collect()
        held = [one for one in gc.get_objects() if isinstance(one, Accounting)]
        assert held == [], gc.get_referrers(*held)
        assert receiver.names.total == 0
