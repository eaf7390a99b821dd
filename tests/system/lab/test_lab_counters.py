"""The lab says which side has ended a connection: the node, or its client."""

import asyncssh
import pytest
import trio

from cucmd.ssh.bridge import on_asyncio

LOGIN = {"known_hosts": None, "config": None, "client_keys": None, "agent_path": None}


async def log_in(lab):
    host, port = lab.addresses[0].rsplit(":", 1)
    name = {"username": lab.username, "password": lab.password}
    return await on_asyncio(lambda: asyncssh.connect(host, int(port), **name, **LOGIN))


@pytest.mark.parametrize("fault", ["close-after-accept", "drop:login"])
async def test_cut_connection_is_counted(make_lab, fault):
    lab = await make_lab(fault)
    with pytest.raises((OSError, asyncssh.Error)):
        await log_in(lab)
    with trio.fail_after(20):
        total = await lab.wait_until_idle()
    assert (total.cut_by_node, total.closed_cleanly, total.dropped) == (1, 0, 0)


@pytest.mark.parametrize(("end", "counts"), [("close", (0, 1, 0)), ("abort", (0, 0, 1))])
async def test_end_by_client_is_counted(make_lab, end, counts):
    lab = await make_lab()
    getattr(await log_in(lab), end)()
    with trio.fail_after(20):
        total = await lab.wait_until_idle()
    assert (total.cut_by_node, total.closed_cleanly, total.dropped) == counts
