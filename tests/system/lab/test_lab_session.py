"""Greeting, echo, pager and answers of a lab node, and which logins and channels it accepts."""

from __future__ import annotations

import asyncssh
import pytest
import trio

from cucmd.lab.options import ALGORITHMS, Auth, Prompt
from cucmd.lab.tree import Shape
from cucmd.ssh.bridge import on_asyncio

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


async def test_the_greeting_is_the_appliances(lab, client):
    async with client.logged_in(lab) as terminal:
        assert await terminal.expect("admin:") == GREETING


async def test_a_logon_message_comes_first(make_lab, client):
    async with client.logged_in(await make_lab(logon_message="Go away.")) as terminal:
        assert await terminal.expect("admin:") == "Go away.\r\n" + GREETING


async def test_a_slow_greeting_is_slow(make_lab, client):
    lab = await make_lab(banner_delay=0.3)
    started = trio.current_time()
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
    assert trio.current_time() - started > 0.3


@pytest.mark.parametrize("offered", ["password", "keyboard-interactive"])
@pytest.mark.parametrize("auth", list(Auth))
async def test_what_logs_in(make_lab, client, auth, offered):
    lab = await make_lab(auth=auth)
    if auth in (offered, Auth.BOTH):
        (await client.connect(lab, preferred_auth=offered)).abort()
        await client.within(lab.until(lambda total: total.logins == 1))
    else:
        with pytest.raises(asyncssh.PermissionDenied):
            await client.connect(lab, preferred_auth=offered)


async def test_a_wrong_password_is_refused(lab, client):
    with pytest.raises(asyncssh.PermissionDenied):
        await client.connect(lab, password="not-it", preferred_auth="password")
    total = await client.within(lab.until(lambda total: total.closed_cleanly == 1))
    assert (total.logins_refused, total.dropped, total.connections_now) == (1, 0, 0)


ONE_LINE = b"Command Line Interface is starting up, please wait ...\r\n\r\n"


@pytest.mark.parametrize("wanted", [{}, {"command": "show status"}, {"subsystem": "sftp"}])
async def test_without_a_terminal_there_is_one_line_and_the_end(lab, client, wanted):
    connection = await client.connect(lab)
    result = await client.within(
        on_asyncio(lambda: connection.run(encoding=None, stdin=asyncssh.DEVNULL, **wanted))
    )
    assert result.stdout == ONE_LINE
    connection.abort()


@pytest.mark.parametrize("wanted", [{"command": "show status"}, {"subsystem": "sftp"}])
async def test_with_a_terminal_there_is_the_command_line_whatever_was_wanted(lab, client, wanted):
    connection = await client.connect(lab)
    _, terminal = await client.within(
        on_asyncio(
            lambda: connection.create_session(
                client.terminal, term_type="vt100", encoding=None, **wanted
            )
        )
    )
    assert await terminal.expect("admin:") == GREETING
    connection.abort()


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
    for name in ("kex_algs", "encryption_algs"):
        unknown = {"kex_algs": ["curve25519-sha256"], "encryption_algs": ["arcfour"]}[name]
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await client.connect(lab, **{**taken, name: unknown})


async def test_the_eleventh_session_is_refused(make_lab, client):
    lab = await make_lab(max_sessions=2)
    async with client.logged_in(lab) as first, client.logged_in(lab) as second:
        await first.expect("admin:")
        await second.expect("admin:")
        with pytest.raises(asyncssh.ChannelOpenError):
            async with client.logged_in(lab):
                pass
    assert lab.counters.sessions_most == 2


async def test_every_character_is_echoed_in_a_packet_of_its_own(terminal):
    terminal.packets.clear()
    terminal.type("show")
    await terminal.expect("show")
    assert terminal.packets == [b"s", b"h", b"o", b"w"]


async def test_quit_ends_the_session(terminal, lab, client):
    terminal.type("quit\n")
    await terminal.ends()
    terminal.disconnect()
    total = await client.within(lab.idle())
    assert (total.closed_cleanly, total.dropped) == (1, 0)


async def test_what_was_typed_before_the_end_of_input_is_answered(terminal, lab, client):
    terminal.type("show version active\nshow status\n utils service list\n")
    terminal.channel.write_eof()
    await terminal.expect("Active Master Version: 12.5.1.")
    await terminal.expect("Disk/logging        69234984K")
    await terminal.expect("Cisco Tomcat[STARTED]")
    await terminal.expect("admin:")
    await terminal.ends()
    assert lab.counters.inputs_closed == 1
    terminal.disconnect()
    total = await client.within(lab.idle())
    assert (total.closed_cleanly, total.dropped) == (1, 0)


async def test_the_end_of_input_at_a_pager_is_the_end(terminal):
    terminal.type("show status\n")
    terminal.channel.write_eof()
    await terminal.expect("to quit\x1b[0m")
    await terminal.ends()


async def test_a_client_that_vanishes_is_no_clean_end(terminal, lab, client):
    terminal.abort()
    total = await client.within(lab.idle())
    assert (total.closed_cleanly, total.dropped) == (0, 1)


async def test_ctrl_c_at_the_prompt_gives_another_prompt(terminal):
    terminal.type("half a comm\x03")
    await terminal.expect("^C\r\nadmin:")


async def test_the_cluster_as_its_publisher_sees_it(make_lab, client):
    async with client.logged_in(await make_lab(nodes=2)) as terminal:
        await terminal.expect("admin:")
        publisher, subscriber, *table = (await terminal.run("show network cluster")).splitlines()
    assert publisher.startswith("127.1.0.1 cucm-pub.lab.example cucm-pub Publisher callmanager")
    assert publisher.endswith("DBPub authenticated")
    assert subscriber.startswith("127.1.0.2 cucm-sub1.lab.example cucm-sub1 Subscriber")
    assert " DBSub authenticated using TCP since " in subscriber
    assert table == ["", "Server Table (processnode) Entries", "-" * 34, "127.1.0.1", "127.1.0.2"]


async def test_show_version_and_services(terminal):
    output = await terminal.run("show version active")
    assert output.startswith("Active Master Version: 12.5.1.")
    assert "Cisco Tomcat[STARTED]\n" in await terminal.run("utils service list")


async def test_file_list(make_lab, client):
    lab = await make_lab(shape=Shape(files=3, size=1_234_567))
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        output = await terminal.run("file list activelog cm/trace/ccm/sdl detail")
        *files, footer = output.splitlines()
        assert footer == "dir count = 0, file count = 3"
        assert all(line[20:33] == "    1,234,567" for line in files)
        assert [line[35:] for line in files] == [
            "SDL001_100_000074.txt.gz",
            "SDL001_100_000075.txt.gz",
            "SDL001_100_000076.txt.gzo",
        ]
        output = await terminal.run("file list activelog cm/trace/ccm")
        assert "<dir>   sdl" in output
        assert "dir count = 3, file count = 0" in output


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("make coffee", "No valid command entered"),
        ("show status now", "Expected 0 mandatory and up to 0 non-mandatory parameter(s)"),
        ("file list activelog no/such", "no such file or directory can be found"),
        ("file get activelog no/such", "no such file or directory can be found"),
        ("file get activelog syslog/secure reltime 2", "Executed command unsuccessfully"),
        ("file get activelog syslog/secure match 'two words'", "Executed command unsuccessfully"),
        ("file get activelog core", "No files matched filter criteria"),
        ("file get activelog syslog/secure abstime 00:00:01/01/20 00:00:01/02/20", "No files"),
    ],
)
async def test_what_cannot_be_done(terminal, command, answer):
    assert answer in await terminal.run(command)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [(Prompt.PLAIN, "\r\nadmin:"), (Prompt.ESCAPE, "\x1b[Kadmin:"), (Prompt.COUNTER, "1 admin:")],
)
async def test_prompts(make_lab, client, prompt, shown):
    async with client.logged_in(await make_lab(prompt=prompt)) as terminal:
        assert (await terminal.expect("admin:")).endswith(shown)


async def test_a_prompt_that_needs_an_empty_line_comes_twice(make_lab, client):
    async with client.logged_in(await make_lab(prompt=Prompt.NUDGE)) as terminal:
        await terminal.expect("8192 Mbytes RAM\r\n\r\n")
        terminal.type("\n")
        assert await terminal.expect("admin:\r\nadmin:") == "\r\nadmin:\r\nadmin:"
