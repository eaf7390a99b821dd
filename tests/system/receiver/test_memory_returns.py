"""What a node's visit took is free once it is over: its files above all, and its process."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import trio

from rig import sftp_words as words


async def test_nothing_holds_the_files_of_a_target_that_is_closed(
    receiver: Any,
    open_target: Any,
    other: Any,
    until: Any,
    receiving: Any,
    connect_until_forked: Any,
) -> None:
    def visit(target: Any) -> None:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"a")).handle
            raw.ask(words.on_handle(words.PacketType.CLOSE, 2, handle))

    await connect_until_forked(receiver.port)  # for all others
    target = open_target(receiver, address="127.0.0.1")
    await connect_until_forked(receiver.port)
    await other.run(visit, target)
    await target.target.aclose()
    assert len(target.target.files()) == 1
    held = weakref.ref(target.target.received)
    del target
    await until(lambda: len(receiving()) == 2)

    def is_free() -> bool:  # the tasks for the process end a moment after it
        gc.collect()
        return held() is None

    await until(is_free)
    assert receiver.files.total == 0


async def test_nothing_is_held_of_logins_that_ended_before_the_first_connection(
    receiver: Any, open_target: Any, openssh: Any, receiving: Any
) -> None:
    """Nobody comes from an address that is not expected, for as many jobs as there are."""
    last = open_target(receiver, "last", address="192.0.2.9")
    held = []
    for number in range(500):
        target = open_target(receiver, str(number), address="192.0.2.10")
        held.append(weakref.ref(target.target.received))
        await target.target.aclose()
        del target
    gc.collect()
    assert not any(one() for one in held)
    assert len(receiving()) == 1
    with trio.fail_after(30):
        done = await openssh.sftp(last, "put /etc/hostname a\n")
    assert done.returncode == 0, done.stderr
