"""The push of a lab node: what it announced arrives, byte for byte, after its questions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cucmd.ssh.bridge import on_asyncio
from cucmlab.files import blocks
from cucmlab.options import Extra

pytestmark = pytest.mark.long


async def test_files_arrive_below_the_nodes_own_folders(terminal, inbox):
    output = await inbox.get(terminal)
    await terminal.expect("Transfer completed.\r\nadmin:")
    files = inbox.files()
    assert f"Number of files affected: {len(files)}\r\n" in output
    assert f"Total size in Bytes: {sum(map(len, files.values()))}\r\n" in output
    for name, found in files.items():
        top, _, path = name.partition("/cm/")
        assert top.startswith("127.1.0.1/20")  # <ip>/<timestamp>, which begins with the year
        assert found == b"".join(blocks(1, f"cm/{path}", len(found)))


async def test_files_carry_their_dates(terminal, inbox):
    await inbox.get(terminal, "syslog/messages")
    await terminal.expect("Transfer completed")
    (file,) = (path for path in inbox.folder.rglob("messages*"))
    age = datetime.now(UTC).timestamp() - file.stat().st_mtime
    assert 40 < age < 60  # 45 s, and what the push has taken


@pytest.mark.parametrize(
    ("number", "sizing", "end"),
    [
        (2, "...\r\n Get file: active/syslog/secure\r\ndone.\r\n", "Transfer completed.\r\n"),
        (3, "gathering files info ...done.\r\nSub-directories", "Transfer completed\r\n"),
    ],
)
async def test_both_forms_of_the_sizing_and_of_the_end(open_terminal, inbox, number, sizing, end):
    terminal = await open_terminal(nodes=3, number=number)
    assert sizing in await inbox.get(terminal, "syslog/secure")
    await terminal.expect(end)


@pytest.mark.parametrize("extra", [Extra.BEFORE, Extra.AFTER])
async def test_one_more_question(open_terminal, extra):
    terminal = await open_terminal(extra_question=extra)
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
    output = await inbox.get(terminal, "syslog/secure")
    assert f"Password: {'*' * len(inbox.password)}\r\n" in output
    await terminal.expect("Transfer completed")


async def test_the_receivers_key_is_asked_about_once_and_may_not_change(open_terminal, inbox):
    """With another key the node stalls (vos/NODES.md, section 5.4); Ctrl-C gets the prompt back."""
    terminal = await open_terminal(ask_host_key=True)
    await inbox.get(terminal, "syslog/secure")
    output = await terminal.expect("Are you sure you want to continue connecting (yes/no)? ")
    assert inbox.key.convert_to_public().get_fingerprint() in output
    terminal.type("perhaps\n")
    await terminal.expect("Please type 'yes' or 'no': ")
    terminal.type("yes\n")
    await terminal.expect("Transfer completed.\r\nadmin:")
    await inbox.get(terminal, "syslog/secure")
    assert "Are you sure" not in await terminal.expect("Transfer completed.\r\nadmin:")
    await on_asyncio(inbox.close)
    await on_asyncio(inbox.listen)
    await inbox.get(terminal, "syslog/secure")
    await terminal.until(lambda total: total.pushes_refused == 1)
    terminal.type("\x03")
    await terminal.expect("^C\r\nadmin:")
    assert len(inbox.files()) == 2


@pytest.mark.parametrize("key", ["\x03", None])
async def test_a_push_ends_with_ctrl_c_and_with_its_session(open_terminal, inbox, key):
    terminal = await open_terminal("upload-stalled")
    await inbox.get(terminal)
    await terminal.until(lambda total: total.bytes_pushed > 0)
    if key:
        terminal.type(key)
        await terminal.expect("^C\r\nadmin:")
    else:
        terminal.connection.close()
    total = await terminal.until(lambda total: total.pushes_now == 0)
    assert total.files_pushed == 0
