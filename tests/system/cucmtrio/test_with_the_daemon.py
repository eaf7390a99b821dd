"""The client on trio with a real daemon, which is killed and started again."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from cucmctl import Collection, JobNotFound, Login
from cucmtrio import open_client
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.lab import Lab

pytestmark = pytest.mark.long


MakeLab = Callable[..., Lab]


def collection() -> Collection:
    return Collection(paths=("cm/trace/ccm/sdl",), last="2h")


async def test_life_of_a_job(daemon: Daemon, make_lab: MakeLab) -> None:
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


async def test_cancellation_anywhere_leaves_nothing(daemon: Daemon) -> None:
    """Each call is cancelled after a different number of steps, beside calls that are not
    cancelled.
    """
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
async def test_interrupted_start_makes_one_job(
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
