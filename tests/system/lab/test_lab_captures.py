"""Packet captures on a lab node: how they end, what they leave, and their faults."""

from __future__ import annotations

import io

import pytest
import trio

from cucmd.lab.faults import Kind
from cucmd.work.pcap import Packets, count_in

pytestmark = pytest.mark.long

CAPTURE = "utils network capture eth0 file x count {} size all"
LIST = "file list activelog platform/cli/x* detail"


async def begin(terminal, count=100_000, more=""):
    """Types the command, and waits until it runs."""
    command = CAPTURE.format(count) + more
    terminal.type(command + "\n")
    return await terminal.expect(" ip=" + more.removeprefix(" host ip ") + "\r\n\r\n")


async def end(terminal):
    """Ctrl-C; what comes until the prompt."""
    terminal.type("\x03")
    return await terminal.expect("admin:")


async def fetched(client, terminal, inbox, name="x*.cap*"):
    await client.get(terminal, inbox, f"platform/cli/{name}")
    await terminal.expect("Transfer completed")
    await terminal.expect("admin:")
    return {path.rpartition("/")[2]: content for path, content in inbox.files().items()}


def counted(content: bytes) -> Packets:
    return count_in(io.BytesIO(content), len(content), 100_000)


async def size(terminal) -> int:
    (line,) = (line for line in (await terminal.run(LIST)).splitlines() if line.endswith("x.cap"))
    return int(line[20:33].replace(",", ""))


async def test_it_says_how_it_is_run_and_then_nothing(make_lab, client):
    lab = await make_lab()
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        said = await begin(terminal, more=" host ip 10.20.0.2")
        assert "Executing command with options:\r\n size=ALL " in said
        assert " count=100000 " in said
        assert lab.counters.captures_now == 1
        assert await end(terminal) == "^C\r\nadmin:"
    assert (lab.counters.captures_now, lab.counters.captures_ever) == (0, 1)


async def test_it_ends_at_its_count(make_lab, client, inbox):
    async with client.logged_in(await make_lab(packets=2000)) as terminal:
        await terminal.expect("admin:")
        await begin(terminal, 20)
        assert await terminal.expect("admin:") == "admin:"
        files = await fetched(client, terminal, inbox)
    assert {name: counted(content) for name, content in files.items()} == {"x.cap": Packets(20)}


async def test_its_file_grows_while_it_runs_and_then_no_more(make_lab, client, inbox):
    lab = await make_lab(packets=2000)
    async with client.logged_in(lab) as terminal, client.logged_in(lab) as other:
        await terminal.expect("admin:")
        await other.expect("admin:")
        await begin(terminal)
        first = await size(other)
        with trio.fail_after(client.patience):
            while await size(other) == first:
                pass
        await end(terminal)
        last = await size(other)
        assert last == await size(other)
        files = await fetched(client, terminal, inbox)
    assert len(files["x.cap"]) == last
    assert counted(files["x.cap"]).count > 0
    assert not counted(files["x.cap"]).truncated


async def test_a_filter_that_nothing_fits_leaves_24_bytes(make_lab, client, inbox):
    async with client.logged_in(await make_lab(packets=2000)) as terminal:
        await terminal.expect("admin:")
        await begin(terminal, more=" host ip 192.0.2.7")
        await end(terminal)
        files = await fetched(client, terminal, inbox)
    assert len(files["x.cap"]) == 24
    assert counted(files["x.cap"]) == Packets(0)


async def test_it_ends_with_its_session(make_lab, client):
    lab = await make_lab("capture-slow@3600")
    for leave in ("disconnect", "abort"):
        async with client.logged_in(lab) as terminal:
            await terminal.expect("admin:")
            await begin(terminal)
            getattr(terminal, leave)()
            await client.within(lab.until(lambda total: total.captures_now == 0))
    assert (lab.counters.captures_ever, lab.counters.defects) == (2, 0)


async def test_a_second_capture_of_the_same_name(make_lab, client, inbox):
    async with client.logged_in(await make_lab()) as terminal:
        await terminal.expect("admin:")
        for _ in range(2):
            await begin(terminal)
            await end(terminal)
        assert set(await fetched(client, terminal, inbox)) == {"x.cap", "x1.cap"}


async def test_a_full_partition(make_lab, client):
    async with client.logged_in(await make_lab("low-space")) as terminal:
        await terminal.expect("admin:")
        await terminal.run("set cli pagination off")
        assert "(92%)" in await terminal.run("show status")
        assert "low water mark" in await terminal.run(CAPTURE.format(5))
        assert await terminal.run("file list activelog platform/cli/x*") == (
            "no such file or directory can be found\nExecuted command unsuccessfully\n"
        )
    lab = await make_lab("capture-refused")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await terminal.run("set cli pagination off")
        assert "(61%)" in await terminal.run("show status")
        assert "low water mark" in await terminal.run(CAPTURE.format(5))
    assert lab.counters.captures_ever == 0


async def test_it_does_not_end_before_the_second_ctrl_c(make_lab, client):
    lab = await make_lab("ignore-ctrl-c*1")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        terminal.type("\x03")
        await client.within(lab.until(lambda total: total.interrupts == 1))
        assert lab.counters.captures_now == 1
        assert await end(terminal) == "^C\r\nadmin:"
        assert lab.counters.captures_now == 0


async def test_it_does_not_end_by_ctrl_c(make_lab, client):
    lab = await make_lab("ignore-ctrl-c")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        terminal.type("\x03\x03")
        terminal.type("\x03")
        await client.within(lab.until(lambda total: total.interrupts >= 2))
        assert (lab.counters.captures_now, terminal.received) == (1, b"")


async def test_it_takes_its_time_after_ctrl_c(make_lab, client):
    lab = await make_lab("capture-slow@0.3")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        before = trio.current_time()
        terminal.type("\x03")
        await terminal.expect("^C\r\n")
        assert lab.counters.captures_now == 1
        assert await end(terminal) == "^C\r\nadmin:"
        assert trio.current_time() - before >= 0.29  # the second one shortens nothing
    assert (lab.counters.captures_now, lab.counters.interrupts) == (0, 2)


async def test_the_prompt_may_wait_for_enter(make_lab, client):
    lab = await make_lab("capture-enter")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        terminal.type("\x03")
        await terminal.expect("^C\r\n")
        await client.within(lab.until(lambda total: total.captures_now == 0))
        assert terminal.received == b""
        terminal.type("\r")
        assert await terminal.expect("admin:") == "\r\nadmin:"


async def test_it_may_end_by_itself(make_lab, client):
    lab = await make_lab("capture-ends@0.1")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        assert await terminal.expect("admin:") == "admin:"
        assert lab.counters.captures_now == 0


async def test_it_may_ask(make_lab, client):
    lab = await make_lab("capture-question@0.1")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        await terminal.expect("Continue (y/n)? ")
        terminal.type("y\r")
        assert await end(terminal) == "^C\r\nadmin:"


@pytest.mark.parametrize("kind", [Kind.CAPTURE_HEADER, Kind.CAPTURE_GARBAGE, Kind.CAPTURE_CUT])
async def test_its_file_may_be_wrong(make_lab, client, inbox, kind):
    async with client.logged_in(await make_lab(kind, packets=2000)) as terminal:
        await terminal.expect("admin:")
        await begin(terminal, 20)
        await terminal.expect("admin:")
        content = (await fetched(client, terminal, inbox))["x.cap"]
    if kind is Kind.CAPTURE_GARBAGE:
        assert len(content) > 1000
        assert content[:4] != b"\xd4\xc3\xb2\xa1"
    else:
        cut = kind is Kind.CAPTURE_CUT
        assert counted(content) == Packets(19 if cut else 0, truncated=cut)


async def test_there_may_be_no_file(make_lab, client):
    async with client.logged_in(await make_lab("capture-no-file", packets=2000)) as terminal:
        await terminal.expect("admin:")
        await begin(terminal, 5)
        await terminal.expect("admin:")
        got = await terminal.run("file get activelog platform/cli/x*.cap*")
    assert "No files matched filter criteria" in got


async def test_the_connection_may_be_lost_in_it(make_lab, client):
    lab = await make_lab("drop:capture")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await begin(terminal)
        await terminal.ends()
        total = await client.within(lab.until(lambda total: total.captures_now == 0))
    assert (total.cut_by_node, total.captures_ever) == (1, 1)


async def captured(terminal):
    await terminal.expect("admin:")
    await begin(terminal, 5)
    await terminal.expect("admin:")


async def test_a_file_is_deleted_without_a_question_if_that_is_said(make_lab, client):
    lab = await make_lab(packets=2000)
    async with client.logged_in(lab) as terminal:
        await captured(terminal)
        said = await terminal.run("file delete activelog platform/cli/x.cap noconfirm")
        assert said == "files: found = 1, deleted = 1\n"
        assert "no such file" in await terminal.run(LIST)
        assert "no such file" in await terminal.run(
            "file delete activelog platform/cli/x.cap noconfirm"
        )
        assert "capture.cap" in await terminal.run("file list activelog platform/cli/*")
    assert lab.counters.files_deleted == 1


@pytest.mark.parametrize(("answer", "deleted"), [("y", 1), ("n", 0), ("", 0)])
async def test_a_file_is_deleted_after_yes(make_lab, client, answer, deleted):
    lab = await make_lab(packets=2000)
    async with client.logged_in(lab) as terminal:
        await captured(terminal)
        terminal.type("file delete activelog platform/cli/x.cap\r")
        await terminal.expect("Delete the File platform/cli/x.cap?\r\n")
        await terminal.expect('Enter "y" followed by return to continue: ')
        terminal.type(answer + "\r")
        said = await terminal.expect("admin:")
        assert ("deleted = 1" in said) == bool(deleted)
    assert lab.counters.files_deleted == deleted


async def test_files_that_stay(make_lab, client):
    delete = "file delete activelog platform/cli/x.cap noconfirm"
    lab = await make_lab("keep-files*1", packets=2000)
    async with client.logged_in(lab) as terminal, client.logged_in(lab) as other:
        await captured(terminal)
        await other.expect("admin:")
        assert await other.run(delete) == "files: found = 1, deleted = 0\n"
        assert await other.run(delete) == "files: found = 1, deleted = 1\n"
        await begin(terminal)  # and one that is written to
        assert await other.run(delete) == "files: found = 1, deleted = 0\n"


async def test_files_that_were_there_before_can_go_too(make_lab, client):
    lab = await make_lab(nodes=2)
    async with client.logged_in(lab) as terminal, client.logged_in(lab, 2) as other:
        await terminal.expect("admin:")
        await other.expect("admin:")
        delete = "file delete activelog syslog/secure* noconfirm detail"
        said = await terminal.run(delete)
        assert "files: found = 3, deleted = 3\n" in said
        assert "no such file" in await terminal.run("file list activelog syslog/secure*")
        assert "secure" in await other.run("file list activelog syslog/secure*")
