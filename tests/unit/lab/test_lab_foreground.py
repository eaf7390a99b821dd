"""Ends a session of a lab node while something runs in its foreground."""

import asyncio
from types import SimpleNamespace

import pytest

from cucmlab.session import LabSession


def test_closed_input_during_end_is_no_defect() -> None:
    unasked: list[dict] = []

    async def end_both_ways() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, found: unasked.append(found))
        session = LabSession(SimpleNamespace(), SimpleNamespace(), lambda: None)
        waiting = session.in_foreground(session.terminal.read_line())
        running = asyncio.get_running_loop().create_task(waiting)
        for _ in range(3):
            await asyncio.sleep(0)
        session.terminal.input_closed()
        await asyncio.sleep(0)  # the foreground ends; the session has not seen it yet
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(end_both_ways())
    assert unasked == []
