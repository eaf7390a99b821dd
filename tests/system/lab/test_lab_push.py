"""The push of a lab node: what it announced arrives, byte for byte, after its questions."""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime

import pytest

from cucmd.lab.files import blocks
from cucmd.lab.options import Extra

pytestmark = pytest.mark.long


def content(path: str, size: int) -> bytes:
    return b"".join(blocks(1, path, size))


async def test_files_arrive_below_the_nodes_own_folders(terminal, inbox, client):
    output = await client.get(terminal, inbox)
    await terminal.expect("Transfer completed.\r\nadmin:")
    files = inbox.files()
    assert f"Number of files affected: {len(files)}\r\n" in output
    assert f"Total size in Bytes: {sum(map(len, files.values()))}\r\n" in output
    for name, found in files.items():
        top, _, path = name.partition("/cm/")
        assert top.startswith("127.1.0.1/20")  # <ip>/<timestamp>, which begins with the year
        assert found == content(f"cm/{path}", len(found))


async def test_files_carry_their_dates(terminal, inbox, client):
    await client.get(terminal, inbox, "syslog/messages")
    await terminal.expect("Transfer completed")
    (file,) = (path for path in inbox.folder.rglob("messages*"))
    age = datetime.now(UTC).timestamp() - file.stat().st_mtime
    assert 40 < age < 60  # 45 s, and what the push has taken


async def test_compress_sends_one_archive(terminal, inbox, client):
    await client.get(terminal, inbox, "cm/trace/cti recurs compress")
    await terminal.expect("Transfer completed")
    ((name, found),) = inbox.files().items()
    assert name.rpartition("/")[2].startswith("active_")
    with tarfile.open(fileobj=io.BytesIO(found)) as archive:
        members = archive.getmembers()
        assert len(members) == 6 + 3
        for member in members:
            path = member.name.removeprefix("active/")
            assert archive.extractfile(member).read() == content(path, member.size)


@pytest.mark.parametrize(
    ("node", "sizing", "end"),
    [
        (1, "gathering files info ...done.\r\nSub-directories", "Transfer completed.\r\n"),
        (2, "...\r\n Get file: active/syslog/secure\r\ndone.\r\n", "Transfer completed.\r\n"),
        (3, "gathering files info ...done.\r\nSub-directories", "Transfer completed\r\n"),
    ],
)
async def test_both_forms_of_the_sizing_and_of_the_end(make_lab, inbox, client, node, sizing, end):
    async with client.prompted(await make_lab(nodes=3), node) as terminal:
        assert sizing in await client.get(terminal, inbox, "syslog/secure")
        await terminal.expect(end)


@pytest.mark.parametrize("extra", [Extra.BEFORE, Extra.AFTER])
async def test_one_more_question(make_lab, client, extra):
    async with client.prompted(await make_lab(extra_question=extra)) as terminal:
        terminal.type("file get activelog syslog/secure\n")
        before = await terminal.expect("Please answer 'y' for <yes> or 'n' for <no>: ")
        assert ("Total size" in before) is (extra is Extra.AFTER)
        terminal.type("y\n")
        await terminal.expect("proceed [y/n]? ")
        assert "SFTP" not in await terminal.run("n")


@pytest.mark.parametrize(
    ("question", "wrong"),
    [("proceed [y/n]? ", "perhaps"), ("IP: ", "300.1.1.1"), ("port [22]: ", "70000")],
)
async def test_a_wrong_answer_is_asked_again(terminal, inbox, question, wrong):
    terminal.type("file get activelog syslog/secure\n")
    for asked, answer in inbox.answers():
        await terminal.expect(asked)
        if asked.endswith(question):
            break
        terminal.type(answer + "\n")
    terminal.type(wrong + "\n")
    await terminal.expect(question)


async def test_the_password_echoes_as_stars(terminal, inbox):
    terminal.type("file get activelog syslog/secure\n")
    for question, answer in inbox.answers()[:-1]:
        await terminal.expect(question)
        terminal.type(answer + "\n")
    assert await terminal.expect("\r\n") == "*" * len(inbox.password) + "\r\n"


async def test_the_receivers_key_is_asked_about_once(make_lab, inbox, client):
    async with client.prompted(await make_lab(ask_host_key=True)) as terminal:
        await client.get(terminal, inbox, "syslog/secure")
        output = await terminal.expect("Are you sure you want to continue connecting (yes/no)? ")
        assert inbox.key.convert_to_public().get_fingerprint() in output
        terminal.type("perhaps\n")
        await terminal.expect("Please type 'yes' or 'no': ")
        terminal.type("yes\n")
        await terminal.expect("Transfer completed.\r\nadmin:")
        await client.get(terminal, inbox, "syslog/secure")
        assert "Are you sure" not in await terminal.expect("Transfer completed.\r\nadmin:")


async def test_a_receiver_with_another_key_gets_nothing(terminal, lab, inbox, client):
    """The node stalls (vos/NODES.md, section 5.4); Ctrl-C gets the prompt back."""
    await client.get(terminal, inbox, "syslog/secure")
    await terminal.expect("Transfer completed.\r\nadmin:")
    await client.reopen(inbox)
    await client.get(terminal, inbox, "syslog/secure")
    await client.within(lab.until(lambda total: total.pushes_refused == 1))
    terminal.type("\x03")
    await terminal.expect("^C\r\nadmin:")
    assert len(inbox.files()) == 1


@pytest.mark.parametrize("leave", ["\x03", None])
async def test_a_push_ends_with_ctrl_c_and_with_its_session(make_lab, inbox, client, leave):
    lab = await make_lab("upload-stalled")
    async with client.prompted(lab) as terminal:
        await client.get(terminal, inbox)
        await client.within(lab.until(lambda total: total.bytes_pushed > 0))
        if leave:
            terminal.type(leave)
            await terminal.expect("^C\r\nadmin:")
            await client.within(lab.until(lambda total: total.pushes_now == 0))
    await client.within(lab.idle())
    assert lab.counters.files_pushed == 0
