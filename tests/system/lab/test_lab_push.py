"""The push of a lab node: what it announced arrives, byte for byte, after its questions."""

from __future__ import annotations

import pytest

from cucmd.ssh.bridge import on_asyncio
from cucmlab.files import blocks

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
