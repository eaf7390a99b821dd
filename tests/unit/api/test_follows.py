"""Jobs that follow a file: their requests, their jobs, and the output as it grows."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest
import trio

from cucmd.api.case_methods import CaseMethods
from cucmd.config import Config, InvalidValue
from cucmd.job.follow import Follow
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Login, Tail, Timeouts
from cucmd.node.ports import NodeTask, Report
from cucmd.plan.planner import Planner
from cucmd.protocol.cases import CommandOutput, OutputRequest
from cucmd.received_file import ReceivedFile
from cucmd.varlink import Caller
from rig.asking import plan as planned_by
from rig.supervised import SupervisorHarness, supervisor_harness

CALLER = Caller(1000, 1000, frozenset(), 1)
PLANNER = Planner(Config(), {}, Path("/x").joinpath)
WORK = Follow("syslog/messages")
LINE = "file tail activelog syslog/messages"


def request(**fields: object) -> StartRequest:
    how = {name: fields.pop(name) for name in ("timeouts", "concurrency") if name in fields}
    login = Login(username="administrator", password="secret")
    return StartRequest(("a", "b"), login, follow=Tail(**{"path": "x", **fields}), **how)


def test_job_that_follows_a_file() -> None:
    job, _ = planned_by(PLANNER, request(path="cm/trace", recent=True, regexp="SIP", duration=60))
    assert job.work == Follow("cm/trace/", recent=True, regexp="SIP", duration=60)
    assert job.work.commands_kept == ("file tail activelog cm/trace/ recent regexp SIP",)
    assert (job.kind, job.survives_restart) == ("follow", False)
    job, _ = planned_by(PLANNER, request(path="syslog/messages"))
    assert job.work == WORK


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"path": ""}, "follow.path"),
        ({"path": "syslog/"}, "follow.path"),
        ({"path": "a b"}, "follow.path"),
        ({"path": "x regexp y"}, "follow.path"),
        ({"path": "x recent"}, "follow.path"),
        ({"path": "../x"}, "follow.path"),
        ({"path": "x\n"}, "follow.path"),
        ({"path": "sys*", "recent": True}, "follow.path"),
        ({"path": "x" * 500}, "follow.path"),
        ({"regexp": ""}, "follow.regexp"),
        ({"regexp": "a b"}, "follow.regexp"),
        ({"regexp": "a|b"}, "follow.regexp"),
        ({"regexp": "a\x03"}, "follow.regexp"),
        ({"duration": 0.5}, "follow.duration"),
        ({"duration": 1801.0}, "follow.duration"),
        ({"duration": float("nan")}, "follow.duration"),
        ({"timeouts": Timeouts(node=600)}, "follow.duration"),
        ({"concurrency": 1}, "nodes"),
    ],
)
def test_wrong_follow_field_is_named(fields: dict[str, object], wrong: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        planned_by(PLANNER, request(**fields))
    assert refused.value.parameter == wrong
    assert refused.value.reason.count(repr(fields.get("path"))) <= 1


def test_follow_is_not_resumed() -> None:
    job, _ = planned_by(PLANNER, request())
    assert PLANNER.replan(msgspec.structs.replace(job, resumable=True, credential="ops")) is None


class Following:
    """A daemon without a network. `write` adds to the file that is followed on a node."""

    def __init__(self, harness: SupervisorHarness) -> None:
        self.harness = harness
        self.cases = CaseMethods(harness.supervisor, harness.store, None)
        self._more: dict[str, trio.MemorySendChannel[str]] = {}
        self._written: dict[str, trio.MemoryReceiveChannel[str]] = {}

    async def begin(self, *nodes: str) -> str:
        for node in nodes:
            self._more[node], self._written[node] = trio.open_memory_channel(0)
            self.harness.behaviours[node] = self._follow
        return await self.harness.start(*nodes, work=WORK)

    async def write(self, node: str, text: str) -> None:
        await self._more[node].send(text)

    async def end(self, node: str) -> None:
        await self._more[node].aclose()

    async def _follow(self, task: NodeTask, report: Report) -> tuple[str, ...]:
        """Writes and reports the followed file, as `work/follow.py` does."""
        report.attempt(1)
        name = WORK.output_of(1, task.first_attempt)
        path = task.folder / name
        path.parent.mkdir()
        with path.open("w") as file:
            async for text in self._written[task.node]:
                file.write(text)
                file.flush()
        size = path.stat().st_size
        written = ReceivedFile(task.node, f"{task.folder.name}/{name}", size, "0" * 64)
        report.add_own_file(msgspec.structs.replace(written, closed=True, complete=True))
        return ()

    def output(self, job_id: str, *nodes: str, follow: bool = True):
        request = OutputRequest(job_id, nodes or None, follow or None)
        return aclosing(self.cases.output(CALLER, request))


@pytest.fixture
async def following(tmp_path: Path) -> AsyncIterator[Following]:
    async with supervisor_harness(tmp_path) as harness:
        yield Following(harness)


def texts(pieces: list[CommandOutput], node: str) -> str:
    return "".join(one.text for one in pieces if one.node == node)


async def test_lines_are_sent_as_files_grow(following: Following) -> None:
    job_id = await following.begin("a", "b")
    pieces: list[CommandOutput] = []
    async with following.output(job_id) as replies:

        async def next_piece() -> CommandOutput:
            pieces.append((await anext(replies)).parameters.output)
            return pieces[-1]

        for node, text in (("b", "b1\n"), ("a", "a1\na2\n"), ("b", "half")):
            await following.write(node, text)
            if text.endswith("\n"):
                piece = await next_piece()
                assert (piece.node, piece.text, piece.ended) == (node, text, False)
        await following.write("b", " and half\n")
        assert (await next_piece()).text == "half and half\n"
        await following.write("a", "no end")
        await following.end("a")
        piece = await next_piece()
        assert (piece.node, piece.text, piece.ended, piece.complete) == ("a", "no end", True, True)
        await following.end("b")
        piece = await next_piece()
        assert (piece.node, piece.text, piece.ended, piece.number) == ("b", "", True, 1)
        last = await anext(replies)
        assert (last.continues, last.parameters.output) == (False, None)
    assert {(one.command, one.parsed) for one in pieces} == {(LINE, None)}
    await following.harness.ended(job_id)
    for follow in (True, False):
        async with following.output(job_id, follow=follow) as replies:
            again = [one.parameters.output async for one in replies][:-1]
        assert [texts(again, node) for node in ("a", "b")] == [
            texts(pieces, node) for node in ("a", "b")
        ]
        assert all(one.complete for one in again if one.ended)
