"""Which states of a site the hub takes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from cucmfleet.config import HubConfig
from cucmfleet.hub import Hub
from cucmfleet.jetstream import NoAnswer
from cucmfleet.messages import NodeState, PartState
from unit.fleet.test_board import JOB, NODE, THERE, asked

THERE_ENDED = replace(THERE, status="succeeded", closed=True)


class Stream:
    """Stands for JetStream: has two messages of a site, whose key is replaced after the first."""

    def __init__(self, *states: PartState | NodeState) -> None:
        self.states = [*states]
        self.replace_key: Callable[[], object]

    async def ask(self, _subject: str, _body: object = None) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        return {"name": "consumer", "created": "now"}

    async def publish(self, *_: object, **__: object) -> int:
        """Stores in EV how a job has ended."""
        await trio.lowlevel.checkpoint()
        self.replace_key()
        return 1

    async def until_connected(self) -> None:
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def pull(self, *_: str, batch: int) -> AsyncIterator[Callable[[], Awaitable[object]]]:
        async def receive() -> SimpleNamespace:
            await trio.lowlevel.checkpoint()
            if not self.states:
                raise NoAnswer("the stream is gone")
            state = self.states.pop(0)
            where = SimpleNamespace(timestamp=None, sequence=SimpleNamespace(stream=1))
            data = msgspec.json.encode(state)
            return SimpleNamespace(subject=state.subject, data=data, metadata=where)

        yield receive


async def test_nothing_more_of_replaced_key_is_taken(tmp_path: Path, nursery: trio.Nursery) -> None:
    ended = PartState("berlin", JOB, 1, THERE_ENDED, 1)
    stream = Stream(ended, NodeState("berlin", JOB, 0, 3, NODE))
    hub = Hub(HubConfig(state_directory=tmp_path), stream, nursery)
    board = hub.board
    await board.keep(asked())
    board.set_sites({"berlin": "old"})
    stream.replace_key = lambda: board.set_sites({"berlin": "new"})
    await hub.follow("berlin", board.sites["berlin"])
    part = board.jobs[JOB].parts["berlin"]
    assert part.state == ended
    assert part.nodes == {}
