"""A session of a simulated node that is ended while something runs in its foreground."""

import asyncio
from types import SimpleNamespace

import pytest

from cucmd.lab.console import Console
from cucmd.lab.options import Prompt


class Channel:
    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        pass


def test_an_end_of_input_as_the_session_is_ended_is_no_defect() -> None:
    unasked: list[dict] = []

    async def end_both_ways() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, found: unasked.append(found))
        node = SimpleNamespace(options=SimpleNamespace(prompt=Prompt.PLAIN))
        console = Console(node, Channel(), lambda: None)
        waiting = console._in_foreground(console.terminal.read_line())
        session = asyncio.get_running_loop().create_task(waiting)
        for _ in range(3):
            await asyncio.sleep(0)
        console.terminal.input_closed()
        await asyncio.sleep(0)  # the foreground ends; the session has not seen it yet
        session.cancel()
        with pytest.raises(asyncio.CancelledError):
            await session

    asyncio.run(end_both_ways())
    assert unasked == []
