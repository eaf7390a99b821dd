"""A client that violates the protocol, or reads no reply, loses its own connection only."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from rig import sftp_words as words
from rig.sftp_words import PacketType

pytestmark = pytest.mark.long


@pytest.fixture
async def alive(target: Any, openssh: Any) -> Any:
    """Checks that the next push into the same target succeeds after the attack."""
    yield
    if not target.target.revoked:
        done = await openssh.sftp(target, "put /etc/hostname after\n")
        assert done.returncode == 0, done.stderr
        assert target.target.files()[-1].closed


@pytest.mark.parametrize("length", [0, 256 * 1024 + 1, 2**31, 2**32 - 1])
@pytest.mark.usefixtures("alive")
async def test_impossible_length_ends_the_session(target: Any, other: Any, length: int) -> None:
    def attack() -> None:
        with other.raw_sftp(target) as raw:
            handle = raw.ask(words.open_file(1, b"a")).handle
            raw.ask(words.write(2, handle, 0, b"begun"))
            raw.send(struct.pack(">I", length) + b"x" * 100)
            with pytest.raises(EOFError):
                raw.reply()

    await other.run(attack)
    await target.target.wait_files_closed()
    assert [(file.size, file.closed) for file in target.target.files()] == [(5, False)]


async def test_unread_replies_are_bounded(
    target: Any, other: Any, until: Any, connected: Any, resident: Any
) -> None:
    """The client asks for listings of 60 KB again and again, and reads no reply."""
    target.folder.mkdir()
    for number in range(200):
        (target.folder / f"{'x' * 250}{number}").touch()

    def attack() -> None:
        with other.raw_sftp(target) as raw:
            before = resident()
            for number in range(1, 3000):
                handle = number.to_bytes(4, "big")
                raw.send(
                    words.on_path(PacketType.OPENDIR, number, b"/")
                    + words.on_handle(PacketType.READDIR, number, handle)
                    + words.on_handle(PacketType.CLOSE, number, handle)
                )
            assert resident() - before < 40_000_000

    await other.run(attack)
    await until(lambda: not connected(target.port))
