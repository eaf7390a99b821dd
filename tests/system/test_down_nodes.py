"""Nodes that are down or frozen, beside healthy ones, before the login has worked on any node."""

from contextlib import closing
from functools import partial

import trio

from cucmd.node.reachable import speaks
from rig.daemon import Daemon
from rig.jobs import node, start, until
from rig.lab import running_lab


def test_they_do_not_hold_up_the_others(daemon: Daemon) -> None:
    faults = ("--fault", "1=hang:accept", "--fault", "2=hang:accept")
    with running_lab(4, "--files", "1", *faults) as lab, daemon.client() as client:
        job = start(client, lab, connect=20)
        job = until(client, job.job_id, lambda job: node(job, 3).status == "succeeded")
        assert node(job, 2).status in ("running", "succeeded")
        assert {node(job, 0).status, node(job, 1).status} <= {"pending", "running"}
        client.cancel(job.job_id)
        client.wait(job.job_id)


async def test_whether_a_port_speaks() -> None:
    async def greet(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"SSH-2.0-x\r\n")
            assert await stream.receive_some() == b"", "nothing is sent to it"

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, greet, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        assert await speaks("127.0.0.1", port)
        nursery.cancel_scope.cancel()
    assert not await speaks("127.0.0.1", port), "nobody listens any more"
    assert not await speaks("no such name", 22)
    with closing(trio.socket.socket()) as silent:
        await silent.bind(("127.0.0.1", 0))
        silent.listen()
        with trio.move_on_after(0.1) as scope:
            await speaks(*silent.getsockname())
        assert scope.cancelled_caught
