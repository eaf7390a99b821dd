"""The push of a lab node: what it announced arrives, byte for byte."""

from __future__ import annotations

import hashlib
import io
import tarfile
from datetime import UTC, datetime

import pytest

from cucmd.lab import tree
from cucmd.lab.options import Extra, Form
from cucmd.lab.tree import Shape

pytestmark = pytest.mark.long

PLACES = "127.1.0.1/20"  # <ip>/<timestamp>, which begins with the year


def content(node: int, path: str, size: int) -> bytes:
    return b"".join(tree.blocks(node, path, size))


async def test_files_arrive_below_the_nodes_own_folders(terminal, inbox, client):
    output = await client.get(terminal, inbox)
    await terminal.expect("Transfer completed.\r\nadmin:")
    files = inbox.files()
    assert f"Number of files affected: {len(files)}\r\n" in output
    assert f"Total size in Bytes: {sum(map(len, files.values()))}\r\n" in output
    for name, found in files.items():
        top, _, path = name.partition("/cm/")
        assert top.startswith(PLACES)
        assert found == content(1, f"cm/{path}", len(found))


async def test_only_the_window_that_was_asked_for(terminal, inbox, client):
    output = await client.get(terminal, inbox, "cm/trace/ccm/sdl reltime minutes 20")
    await terminal.expect("Transfer completed")
    assert "Number of files affected: 3" in output  # a trace each seven minutes
    assert len(inbox.files()) == 3


async def test_files_carry_their_dates(terminal, inbox, client):
    await client.get(terminal, inbox, "syslog/messages")
    await terminal.expect("Transfer completed")
    (file,) = (path for path in inbox.folder.rglob("messages*"))
    age = datetime.now(UTC).timestamp() - file.stat().st_mtime
    assert 40 < age < 40 + client.patience


async def test_compress_sends_one_archive(terminal, inbox, client):
    await client.get(terminal, inbox, "cm/trace/cti recurs compress")
    await terminal.expect("Transfer completed")
    ((name, found),) = inbox.files().items()
    assert name.rpartition("/")[2].startswith("active_")
    assert name.endswith(".tgz")
    with tarfile.open(fileobj=io.BytesIO(found)) as archive:
        members = archive.getmembers()
        assert len(members) == 6 + 3
        for member in members:
            path = member.name.removeprefix("active/")
            assert archive.extractfile(member).read() == content(1, path, member.size)


async def test_two_pushes_never_share_a_folder(terminal, inbox, client):
    for _ in range(2):
        await client.get(terminal, inbox, "syslog/secure")
        await terminal.expect("Transfer completed.\r\nadmin:")
    assert len(inbox.files()) == 2


async def test_a_node_comes_from_its_own_address(make_lab, inbox, client):
    lab = await make_lab(nodes=2)
    async with client.logged_in(lab, 2) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        await terminal.expect("Transfer completed.")
    assert inbox.addresses == ["127.1.0.2"]


async def test_the_final_dot_is_not_always_there(make_lab, inbox, client):
    async with client.logged_in(await make_lab(nodes=3), 3) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        await terminal.expect("Transfer completed\r\n")


@pytest.mark.parametrize("form", [Form.OLDER, Form.NEWER])
async def test_both_forms_of_the_sizing(make_lab, inbox, client, form):
    async with client.logged_in(await make_lab(form=form)) as terminal:
        await terminal.expect("admin:")
        output = await client.get(terminal, inbox, "syslog/secure")
    older = "gathering files info ...done.\r\nSub-directories"
    newer = "gathering files info ...\r\n Get file: active/syslog/secure\r\ndone.\r\n"
    assert ((older in output), (newer in output)) == (form is Form.OLDER, form is Form.NEWER)


@pytest.mark.parametrize("extra", [Extra.BEFORE, Extra.AFTER])
async def test_one_more_question(make_lab, inbox, client, extra):
    async with client.logged_in(await make_lab(extra_question=extra)) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        before = await terminal.expect("Please answer 'y' for <yes> or 'n' for <no>: ")
        assert ("Total size" in before) is (extra is Extra.AFTER)
        terminal.type("y\n")
        await terminal.expect("proceed [y/n]? ")


async def test_no_means_no(terminal):
    terminal.type("file get activelog syslog/secure\n")
    await terminal.expect("proceed [y/n]? ")
    assert "SFTP" not in await terminal.run("n")


@pytest.mark.parametrize(
    ("question", "wrong", "right"),
    [
        ("proceed [y/n]? ", "perhaps", "y"),
        ("SFTP server IP: ", "300.1.1.1", "127.0.0.1"),
        ("SFTP server port [22]: ", "70000", "22"),
        ("User ID: ", "", "someone"),
    ],
)
async def test_a_wrong_answer_is_asked_again(terminal, inbox, question, wrong, right):
    terminal.type("file get activelog syslog/secure\n")
    for asked, answer in inbox.answers():
        await terminal.expect(asked)
        if asked == question:
            break
        terminal.type(answer + "\n")
    terminal.type(wrong + "\n")
    await terminal.expect(question)
    terminal.type(right + "\n")
    await terminal.expect(": ")


async def test_the_password_echoes_as_stars(terminal, inbox):
    terminal.type("file get activelog syslog/secure\n")
    for question, answer in inbox.answers()[:-1]:
        await terminal.expect(question)
        terminal.type(answer + "\n")
    assert await terminal.expect("\r\n") == "*" * len(inbox.password) + "\r\n"


async def test_a_folder_that_is_not_there(terminal, inbox, client):
    await client.get(terminal, inbox, directory="/nowhere")
    await terminal.expect("Invalid download directory specified.\r\nadmin:")
    assert inbox.files() == {}


async def test_the_receivers_key_is_asked_about_once(make_lab, inbox, client):
    async with client.logged_in(await make_lab(ask_host_key=True)) as terminal:
        await terminal.expect("admin:")
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


async def test_ctrl_c_stops_the_push_and_gives_the_prompt_back(make_lab, inbox, client):
    lab = await make_lab("trickle@100000", shape=Shape(size=10_000_000))
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        await client.within(lab.until(lambda total: total.bytes_pushed > 0))
        terminal.type("\x03")
        await terminal.expect("^C\r\nadmin:")
        await client.within(lab.until(lambda total: total.pushes_now == 0))
        assert "No valid command" in await terminal.run("still there")
    assert lab.counters.interrupts == 1
    assert lab.counters.files_pushed == 0


async def test_leaving_in_the_middle_stops_the_push(make_lab, inbox, client):
    lab = await make_lab("upload-stalled")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        await client.within(lab.until(lambda total: total.bytes_pushed > 0))
    await client.within(lab.idle())
    assert lab.counters.files_pushed == 0


@pytest.mark.long
async def test_a_big_file_costs_no_memory(make_lab, inbox, client):
    size = 40_000_000
    async with client.logged_in(await make_lab(f"big-file@{size}")) as terminal:
        await terminal.expect("admin:")
        output = await client.get(terminal, inbox, "syslog/secure")
        assert f"Total size in Bytes: {size}" in output
        await terminal.expect("Transfer completed.")
    ((_, found),) = inbox.files().items()
    wanted = hashlib.sha256()
    for block in tree.blocks(1, "syslog/secure", size):
        wanted.update(block)
    assert hashlib.sha256(found).digest() == wanted.digest()


async def test_a_receiver_that_is_not_there_means_silence_then_the_prompt(make_lab, inbox, client):
    async with client.logged_in(await make_lab(unreachable_silence=0.1)) as terminal:
        await terminal.expect("admin:")
        await client.close(inbox)
        await client.get(terminal, inbox)
        assert "completed" not in await terminal.expect("admin:")


async def test_the_end_of_input_at_the_host_key_question(make_lab, inbox, client):
    lab = await make_lab(ask_host_key=True)
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox, "syslog/secure")
        terminal.channel.write_eof()
        await terminal.expect("continue connecting (yes/no)? ")
        await terminal.ends()
        terminal.disconnect()
    total = await client.within(lab.idle())
    assert (total.defects, inbox.files()) == (0, {})
