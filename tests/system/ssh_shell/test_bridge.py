"""Errors and cancels between the asyncio loop and trio."""

import asyncio
import logging
import os
import threading

import asyncssh
import asyncssh.logging
import pytest
import trio

from cucmd.ssh.bridge import on_asyncio, open_bridge, ping, run_callbacks


def fall(*_):
    raise ZeroDivisionError("in a callback")


async def fall_soon():
    asyncio.get_running_loop().call_soon(fall)


async def test_callback_error_is_only_logged(bridge, connect, ssh, caplog):
    async with ssh.serve(ssh.node()) as node:
        shell = await connect(node.port)
        await on_asyncio(fall_soon)
        await run_callbacks()
        await ping()
        assert await shell.receive() == b"admin:"
        await shell.aclose()
    assert errors_of(caplog) == [ZeroDivisionError]


async def test_task_error_at_end_is_logged(caplog):
    async def fall_when_cancelled():
        try:
            await asyncio.sleep(60)
        finally:
            fall()

    async def leave_it_running():
        left.append(asyncio.get_running_loop().create_task(fall_when_cancelled()))
        await asyncio.sleep(0)

    left = []
    async with open_bridge():
        await on_asyncio(leave_it_running)
    assert errors_of(caplog) == [ZeroDivisionError]


def errors_of(caplog):
    """Returns the exceptions that were logged as errors."""
    return [one.exc_info[0] for one in caplog.records if one.levelno == logging.ERROR]


async def test_cancel_waits_for_the_task(bridge):
    done = []
    begun = trio.Event()

    async def work():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(on_asyncio, work)
        await begun.wait()
        nursery.cancel_scope.cancel()
    assert done == ["cleaned up"]


async def test_calls_need_a_bridge():
    with pytest.raises(RuntimeError, match="open_bridge"):
        await run_callbacks()


async def test_nameless_user_gets_a_name(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.setenv("LOGNAME", "")
    async with open_bridge():
        assert os.environ["LOGNAME"] == "cucmd"


async def test_asyncssh_dumps_no_packets():
    asyncssh.set_debug_level(3)
    async with open_bridge():
        assert asyncssh.logging.logger._debug_level == 1
        assert logging.getLogger("asyncssh").level == logging.WARNING


async def test_cancel_survives_a_thread(bridge):
    """asyncssh prepares a connection in a thread, and may then wait for a silent node."""
    started, go_on = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def work():
        token.run_sync_soon(started.set)
        go_on.wait()

    async def connect_to_a_silent_node():
        await asyncio.get_running_loop().run_in_executor(None, work)
        await asyncio.get_running_loop().create_future()

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(on_asyncio, connect_to_a_silent_node)
            await started.wait()
            nursery.cancel_scope.cancel()
            go_on.set()
