"""The memory and the process of an upload target are freed when it is closed."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from rig import sftp_words as words


@pytest.mark.long
async def test_closed_target_is_freed(
    receiver: Any, open_target: Any, other: Any, until: Any, receiving: Any
) -> None:
    def visit(target: Any) -> None:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"a")).handle
            raw.ask(words.on_handle(words.PacketType.CLOSE, 2, handle))

    target = open_target(receiver, address="127.0.0.1")
    await other.run(visit, target)
    await target.target.aclose()
    assert len(target.target.files()) == 1
    held = weakref.ref(target.target.received)
    del target
    await until(lambda: len(receiving()) == 1)

    def is_free() -> bool:  # the task of the connection ends a moment after its process
        gc.collect()
        return held() is None

    await until(is_free)
    assert receiver.files.total == 0
