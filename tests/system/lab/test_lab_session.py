"""Echo and answers of a lab node, its algorithms and channels, and how a session ends."""

from __future__ import annotations

import pytest

from cucmd.ssh.bridge import on_asyncio


@pytest.mark.parametrize("asked", [{}, {"command": "show status"}, {"subsystem": "sftp"}])
async def test_a_channel_without_a_terminal_gets_one_line(make_lab, connect, asked):
    lab = await make_lab()
    connection = await connect(lab, lab.addresses[0])
    done = await on_asyncio(lambda: connection.run(**asked))
    assert done.stdout == "Command Line Interface is starting up, please wait ...\r\n\r\n"
    assert (done.stderr, done.exit_status) == ("", 1)
    connection.close()


async def test_every_character_is_echoed_in_a_packet_of_its_own(terminal):
    terminal.packets.clear()
    terminal.type("show")
    await terminal.expect("show")
    assert terminal.packets == [b"s", b"h", b"o", b"w"]


@pytest.mark.parametrize(("leave", "counted"), [("close", (1, 0)), ("abort", (0, 1))])
async def test_a_client_that_vanishes_is_no_clean_end(terminal, leave, counted):
    getattr(terminal.connection, leave)()
    total = await terminal.until(lambda total: total.connections_now == 0)
    assert (total.closed_cleanly, total.dropped) == counted


async def test_what_was_typed_before_the_end_of_input_is_answered(terminal):
    terminal.type("show version active\nshow status\n utils service list\n")
    terminal.channel.write_eof()
    await terminal.expect("Active Master Version: 12.5.1.")
    await terminal.expect("Disk/logging        69234984K")
    await terminal.expect("Cisco Tomcat[STARTED]")
    await terminal.expect("admin:")
    await terminal.until(lambda total: total.sessions_now == 0)
    assert terminal.channel.get_exit_status() == 0


@pytest.mark.parametrize("key", ["q", "\x03"])
async def test_a_pager_waits_for_its_keys(terminal, key):
    terminal.type("show status\n")
    await terminal.expect("to quit\x1b[0m")
    terminal.type("xQ7\t")
    terminal.type(key)
    assert "Disk/logging" not in await terminal.expect("admin:")
    assert "Disk/" not in await terminal.run("file list activelog syslog")
