"""The client on trio beside a real daemon, which is killed and started again."""

import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from cucmctl import Collection, JobNotFound, LimitReached, Login
from cucmtrio import events, open_client
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.jobs import start
from rig.lab import Lab

pytestmark = pytest.mark.long


MakeLab = Callable[..., Lab]


def collection() -> Collection:
    return Collection(paths=("cm/trace/ccm/sdl",), last="2h")


async def test_a_job_from_its_start_to_its_deletion(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2)
    login = Login(username=lab.username, password=lab.password)
    async with open_client(daemon.socket) as client:
        async with client.watch(changes=True) as everything:
            await anext(everything)
            job = await client.start(lab.nodes, collection(), login=login)
            async with client.watch(job.job_id) as changes:
                statuses = [change.job.status async for change in changes if change.job]
            assert statuses[-1] == "succeeded"
            async for reply in everything:
                if reply.change and reply.change.closed:
                    break
        assert (await client.wait(job.job_id)).status == "succeeded"
        with daemon.client() as blocking:
            async with client.files(job.job_id) as files:
                assert [file async for file in files] == list(blocking.files(job.job_id))
            with blocking.export(job.job_id) as export:
                whole = b"".join(iter(lambda: export.read(1 << 20), b""))
        async with client.export(job.job_id) as (reply, stream):
            assert reply.length == len(whole)
            assert b"".join([piece async for piece in stream]) == whole
        async with client.transcript(job.job_id, lab.nodes[0]) as pieces:
            assert "file get" in "".join([piece async for piece in pieces])
        async with client.verify(job.job_id) as replies:
            assert [reply.wrong async for reply in replies][-1] == ()
        assert (await client.list(limit=1))[0].job_id == job.job_id
        assert (await client.delete(job.job_id)).job.job_id == job.job_id
        with pytest.raises(JobNotFound):
            await client.status(job.job_id)


async def test_calls_that_are_cancelled_anywhere_leave_nothing(daemon: Daemon) -> None:
    """Each is cancelled after other steps of the loop, beside calls that are not."""
    async with open_client(daemon.socket, connections=4) as client:

        async def cancelled(after: int) -> None:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.list)
                    for _ in range(after):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()

        async def whole(name: str) -> None:
            with pytest.raises(JobNotFound) as caught:
                await client.status(name)
            assert caught.value.parameters.job_id == name

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(cancelled, number % 23)
                nursery.start_soon(whole, f"{number:012x}")


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_start_that_was_cut_off_makes_one_job(
    tmp_path: Path, path: Path, make_lab: MakeLab, when: str
) -> None:
    """The daemon is killed before the job is on disk, or after that and before its reply."""
    lab = make_lab(1)
    config = CONFIG + named_credential(tmp_path / "credentials", "lab", lab.username, lab.password)
    folder, odd = tmp_path / "cucmd", {"CUCMD_TEST_KILLED": f"{when} add_job"}
    started = []

    async def start_once() -> None:
        login = Login(credential="lab")
        started.append(await client.start(lab.nodes, collection(), login=login))

    async with open_client(path) as client:
        async with trio.open_nursery() as nursery:
            with running_daemon(folder, config, odd, module="rig.odd_daemon") as daemon:
                daemon.link_at(path)
                nursery.start_soon(start_once)
                code = await trio.to_thread.run_sync(daemon.process.wait)
                assert code == -signal.SIGKILL
            again = running_daemon(folder, config)
            daemon = await trio.to_thread.run_sync(again.__enter__)
            daemon.link_at(path)
        (job,) = started
        assert [one.job_id for one in await client.list()] == [job.job_id]
        assert (await client.wait(job.job_id)).status == "succeeded"
        client.close()
    again.__exit__(None, None, None)


async def test_streams_that_are_left_end_in_the_daemon(daemon: Daemon) -> None:
    """The daemon lets one user have 32 at once, and notices within a second that one was left."""
    async with open_client(daemon.socket) as client:

        async def is_let_watch() -> bool:
            try:
                async with client.watch() as replies:
                    await anext(replies)
            except LimitReached:
                return False
            return True

        had = 0
        with trio.fail_after(10):
            while had < 40:
                had += await is_let_watch()


@pytest.mark.long
async def test_no_change_is_lost_or_told_twice_over_kills(
    tmp_path: Path, make_lab: MakeLab
) -> None:
    lab = make_lab(2, "--files", "2", "--fault", "2=hang:command*1")
    credentials = tmp_path / "credentials"
    config = CONFIG + named_credential(credentials, "lab", lab.username, lab.password)
    folder, path = tmp_path / "cucmd", tmp_path / "socket"
    seen = []
    async with (
        open_client(path) as client,
        events(client, reconnect=math.inf) as told,
    ):
        assert (await anext(told)).name == "away"

        async def until(reached):
            async for event in told:
                seen.append(event)
                if reached(event):
                    return

        with running_daemon(folder, config) as daemon:
            daemon.link_at(path)
            await until(lambda event: event.name == "back")
            with daemon.client() as blocking:
                old = blocking.wait(start(blocking, lab, lab.nodes[:1], credential="lab").job_id)
                job_id = start(blocking, lab, credential="lab").job_id
            await until(
                lambda event: any(
                    node.phase == "command" and node.node == lab.nodes[1]
                    for node in getattr(event.job, "nodes", ())
                )
            )
            daemon.process.kill()
            daemon.process.wait()
        with running_daemon(folder, config) as daemon:
            with daemon.client() as blocking:
                blocking.delete(old.job_id)
            daemon.link_at(path)
            await until(
                lambda event: event.job_id == job_id and bool(getattr(event.job, "closed", False))
            )
            last = await client.status(job_id)
            await client.delete(job_id)
            await until(lambda event: bool(getattr(event.job, "deleted", False)))
            client.close()
            await told.aclose()
    names = [event.name for event in seen if event.job_id is None]
    assert names == ["back", "away", "back"]
    revisions = [event.job.revision for event in seen if event.job_id == job_id]
    assert revisions == sorted(revisions)
    assert last.status == "succeeded"
    assert max(revisions) >= last.revision + 1
    assert [event.name for event in seen if event.job_id == old.job_id][-1] == "gone"
