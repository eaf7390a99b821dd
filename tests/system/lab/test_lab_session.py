"""Greeting, echo and answers of a lab node, its algorithms, and how a session ends."""

from __future__ import annotations

import asyncssh
import pytest

from cucmd.lab.options import ALGORITHMS

GREETING = """\
Command Line Interface is starting up, please wait ...\r
\r
   Welcome to the Platform Command Line Interface\r
\r
VMware Installation:\r
\t2 vCPU: Intel(R) Xeon(R) CPU E7- 2830  @ 2.13GHz\r
\tDisk 1: 146GB, Partitions aligned\r
\t8192 Mbytes RAM\r
\r
admin:"""


async def test_the_greeting_is_the_appliances(make_lab, client):
    async with client.logged_in(await make_lab(logon_message="Go away.")) as terminal:
        assert await terminal.expect("admin:") == "Go away.\r\n" + GREETING


@pytest.mark.parametrize("algorithms", list(ALGORITHMS))
async def test_only_the_algorithms_of_a_node(make_lab, client, algorithms):
    lab = await make_lab(algorithms=algorithms)
    node = ALGORITHMS[algorithms]
    taken = {
        "kex_algs": list(node.kex),
        "encryption_algs": list(node.ciphers),
        "mac_algs": list(node.macs),
        "server_host_key_algs": list(node.host_keys),
    }
    connection = await client.connect(lab, **taken)
    assert connection.get_extra_info("server_version") == f"SSH-2.0-{node.banner}"
    connection.abort()
    for name, unknown in (("kex_algs", "curve25519-sha256"), ("encryption_algs", "arcfour")):
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await client.connect(lab, **{**taken, name: [unknown]})


async def test_every_character_is_echoed_in_a_packet_of_its_own(terminal):
    terminal.packets.clear()
    terminal.type("show")
    await terminal.expect("show")
    assert terminal.packets == [b"s", b"h", b"o", b"w"]


@pytest.mark.parametrize(
    ("leave", "counted"), [("quit", (1, 0)), ("disconnect", (1, 0)), ("abort", (0, 1))]
)
async def test_a_client_that_vanishes_is_no_clean_end(terminal, lab, client, leave, counted):
    if leave == "quit":
        terminal.type("quit\n")
        await terminal.ends()
        leave = "disconnect"
    getattr(terminal, leave)()
    total = await client.within(lab.idle())
    assert (total.closed_cleanly, total.dropped) == counted


async def test_what_was_typed_before_the_end_of_input_is_answered(terminal):
    terminal.type("show version active\nshow status\n utils service list\n")
    terminal.channel.write_eof()
    await terminal.expect("Active Master Version: 12.5.1.")
    await terminal.expect("Disk/logging        69234984K")
    await terminal.expect("Cisco Tomcat[STARTED]")
    await terminal.expect("admin:")
    await terminal.ends()


@pytest.mark.parametrize("key", ["q", "\x03"])
async def test_a_pager_waits_for_its_keys(terminal, key):
    terminal.type("show status\n")
    await terminal.expect("to quit\x1b[0m")
    terminal.type("xQ7\t")
    terminal.type(key)
    assert "Disk/logging" not in await terminal.expect("admin:")
    assert "Disk/" not in await terminal.run("file list activelog syslog")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("make coffee", "No valid command entered"),
        ("show status now", "Expected 0 mandatory and up to 0 non-mandatory parameter(s)"),
        ("file get activelog no/such", "no such file or directory can be found"),
        ("file get activelog syslog/secure match 'two words'", "Executed command unsuccessfully"),
        ("file get activelog core", "No files matched filter criteria"),
    ],
)
async def test_what_cannot_be_done(terminal, command, answer):
    assert answer in await terminal.run(command)
