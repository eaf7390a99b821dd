"""Hostile nodes: memory stays bounded, the failure is clear, and no secret is shown."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cucmd import vos
from cucmd.vos.dialogue_events import Send
from rig.parameters import more
from rig.tries import tries
from rig.uncovered import uncovered
from unit.vos.driver import (
    ADMIN_PASSWORD,
    PASSWORD,
    RECEIVER,
    Driver,
    at_prompt,
    failed,
    in_file_get,
)

MIB = 1024 * 1024


def in_command() -> Driver:
    driver = at_prompt()
    driver.feed(driver.type("file list activelog *"))
    driver.events.clear()
    return driver


def flood(driver: Driver, chunk: bytes, size: int) -> None:
    with uncovered():
        for _ in range(-(-size // len(chunk))):
            driver.feed(chunk)


def memory_of_flood(driver: Driver, chunk: bytes, size: int) -> int:
    """Returns the most bytes of memory that were in use at any time."""
    tracemalloc.start()
    try:
        flood(driver, chunk, size)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "chunk",
    [
        b"WARNING: DNS unreachable\r\n" * 1000,
        *more(
            b"x" * 65536,
            b"\r\n" * 20000,
            b"admin:\r\n" * 8000,
            b"admin:" * 8000,
            b"\x1b[31m" * 8000,
            b"\x1b" * 65536,
            b"\x1b]0;title" * 8000,
            b"\x1b[" + b"1;" * 8000,
            b"\b" * 65536,
            b"\xf0\x9f" * 8000,
        ),
    ],
)
def test_banner_without_end(chunk):
    driver = Driver()
    assert memory_of_flood(driver, chunk, MIB // 8) < MIB
    flood(driver, chunk, MIB)
    [(code, message)] = failed(driver.events)
    assert code == "not_a_node"
    assert "1024 KiB" in message
    assert "login" in message
    driver.feed(b"\x07\x1b\\\r\nadmin:")
    assert not driver.cli.at_prompt


@pytest.mark.parametrize("chunk", [b"." * 65536, *more(b"\r\n" * 16384)])
def test_dots_of_long_transfer_cost_nothing(chunk):
    driver = in_file_get()
    driver.feed(b"Download directory: /in\r\n")
    assert memory_of_flood(driver, chunk, MIB // 4) < MIB
    assert failed(driver.events) == []
    driver.feed(b"\r\nTransfer completed\r\nadmin:")
    [done] = driver.quiet()
    assert done.completed


def test_completed_after_many_dots():
    driver = in_file_get()
    driver.feed(b"Download directory: /in\r\n" + b"." * 100_000 + b"Transfer completed.\r\nadmin:")
    [done] = driver.quiet()
    assert done.completed


@pytest.mark.long
def test_file_get_without_end():
    driver = in_file_get()
    driver.feed(b"Download directory: /in\r\n")
    assert memory_of_flood(driver, b"sftp: no " * 7000 + b"\r\n", 17 * MIB) < MIB
    [(code, message)] = failed(driver.events)
    assert code == "not_a_node"
    assert "16384 KiB" in message
    assert "`file get`" in message


PIECES = st.sampled_from(
    [
        b"admin:", b"\r", b"\n", b"\x1b[K", b"\x1b", b"[", b"1m", b"\b", b"\0", b"y", b" ", b":",
        b"Password: ", b"User ID: ", b"SFTP server IP: ", b"SFTP server port [22]: ",
        b"Download directory: ", b"(yes/no)? ", b"Please answer 'y' for <yes> or 'n' for <no>:",
        b"Press <enter> for 1 line, <space> for one page, or <q> to quit ", b"done.",
        b"Number of files affected: 12", b"Total size in Bytes: 99", b"Transfer completed",
        b"Please wait while the system is gathering files info ...", b" Get file: a/b",
        b"No files matched filter criteria", b"Executed command unsuccessfully", b".....",
        b"file get activelog cm/trace/ccm/sdl reltime hours 2", PASSWORD.encode(),
        ADMIN_PASSWORD.encode(), "\u202e".encode(),
    ]
)  # fmt: skip
NOISE = st.lists(st.one_of(st.binary(max_size=12), PIECES), max_size=40)
START = {"login": Driver, "command": in_command, "file get": in_file_get, "prompt": at_prompt}


@pytest.mark.parametrize("start", START)
@given(noise=NOISE, interrupt=st.booleans())
def test_noise_shows_no_secret(start, noise, interrupt):
    driver = START[start]()
    for piece in noise:
        driver.feed(piece)
        if driver.cli.quiet_after is not None and interrupt:
            driver.cli.interrupt()
    driver.quiet()
    driver.close()
    shown = repr([event for event in driver.events if not isinstance(event, vos.CommandDone)])
    assert ADMIN_PASSWORD not in shown
    assert PASSWORD not in shown or start != "file get"


@pytest.mark.parametrize("start", START)
@given(noise=NOISE, data=st.data())
@tries(200)
def test_noise_is_same_at_any_split(start, noise, data):
    raw = b"".join(noise)
    cuts = sorted(data.draw(st.sets(st.integers(0, max(len(raw), 1)), max_size=6)))
    once, pieces = START[start](), START[start]()
    once.feed(raw)
    for a, b in zip([0, *cuts], [*cuts, None], strict=True):
        pieces.feed(raw[a:b])
    assert pieces.cli.quiet_after == once.cli.quiet_after
    once.quiet(), pieces.quiet()
    once.close(), pieces.close()
    assert pieces.events == once.events


def test_repr_shows_no_secret():
    cli = vos.Cli((PASSWORD,))
    assert PASSWORD not in repr(vars(cli)).replace(repr(RECEIVER), "")
    assert PASSWORD not in repr(Send(PASSWORD.encode(), "*****"))
