"""Each fault of the lab does what its line of help describes, to a client without faults."""

from __future__ import annotations

import errno
import socket
from datetime import UTC, datetime, timedelta

import asyncssh
import pytest
import trio

from cucmd.lab.faults import Kind, Step
from cucmd.lab.options import ALGORITHMS
from cucmd.lab.tree import Shape

pytestmark = pytest.mark.long

QUESTIONS = {
    Step.PROCEED: "proceed [y/n]? ",
    Step.ADDRESS: "SFTP server IP: ",
    Step.PORT: "SFTP server port [22]: ",
    Step.USER: "User ID: ",
    Step.PASSWORD: "Password: ",
    Step.DIRECTORY: "Download directory: ",
}
GET_STEPS = [Step.COMMAND, Step.SIZING, *QUESTIONS, Step.TRANSFER, Step.COMPLETED]


def address(lab, number=1):
    host, port = lab.addresses[number - 1].split(":")
    return host, int(port)


async def walk(terminal, inbox, until=None):
    """Types a `file get` and answers up to the question of a step, which is left unanswered."""
    terminal.type("file get activelog syslog/secure\n")
    await terminal.expect("syslog/secure\r\n")
    if until in (Step.COMMAND, Step.SIZING):
        return
    for (question, answer), step in zip(inbox.answers(), QUESTIONS, strict=True):
        await terminal.expect(question)
        if step is until:
            return
        terminal.type(answer + "\n")


async def test_refused(make_lab, client):
    lab = await make_lab("1=refuse-tcp", nodes=2)
    with pytest.raises(ConnectionRefusedError):
        await client.connect(lab)
    (await client.connect(lab, 2)).abort()


async def test_no_answer_to_a_syn(make_lab):
    lab = await make_lab("drop-syn")
    with socket.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex(address(lab)) == errno.EINPROGRESS
        with trio.move_on_after(0.3) as scope:
            await trio.lowlevel.wait_writable(sock)
    assert scope.cancelled_caught


@pytest.mark.parametrize("fault", ["close-after-accept", "drop:accept"])
async def test_closed_after_accept(make_lab, client, fault):
    lab = await make_lab(fault)
    with pytest.raises((asyncssh.ConnectionLost, ConnectionResetError)):
        await client.connect(lab)
    total = await client.within(lab.idle())
    assert (total.connections_ever, total.cut_by_node) == (1, 1)


async def test_garbage_instead_of_ssh(make_lab, client):
    lab = await make_lab("not-ssh")
    stream = await trio.open_tcp_stream(*address(lab))
    async with stream:
        assert len(await stream.receive_some(10_000)) > 100
    total = await client.within(lab.until(lambda total: total.closed_cleanly == 1))
    assert total.connections_now == 0


async def test_accepted_and_then_silence(make_lab, client):
    lab = await make_lab("hang:accept")
    stream = await trio.open_tcp_stream(*address(lab))
    async with stream:
        with trio.move_on_after(0.2) as scope:
            await stream.receive_some(1)
    assert scope.cancelled_caught
    await client.within(lab.until(lambda total: total.closed_cleanly == 1))


async def test_no_common_key_exchange(make_lab, client):
    lab = await make_lab("kex")
    with pytest.raises(asyncssh.KeyExchangeFailed):
        await client.connect(lab, kex_algs=list(ALGORITHMS["current"].kex))


async def test_the_key_changes_at_the_second_connection(make_lab, client):
    lab = await make_lab("key-changed")
    keys = []
    for _ in range(3):
        connection = await client.connect(lab)
        keys.append(connection.get_server_host_key().get_fingerprint())
        connection.abort()
    assert keys[0] != keys[1] == keys[2]


async def test_login_refused_so_many_times(make_lab, client):
    lab = await make_lab("refuse-login*2")
    for _ in range(2):
        with pytest.raises(asyncssh.PermissionDenied):
            await client.connect(lab, preferred_auth="password")
    (await client.connect(lab)).abort()


async def test_lockout(make_lab, client):
    lab = await make_lab("lockout@2")
    for password in ("wrong", "wrong", None):
        given = {} if password is None else {"password": password}
        with pytest.raises(asyncssh.PermissionDenied):
            await client.connect(lab, preferred_auth="password", **given)


@pytest.mark.parametrize("step", [step for step in Step if step not in (Step.ACCEPT, Step.CAPTURE)])
async def test_dropped_at(make_lab, inbox, client, step):
    lab = await make_lab(f"drop:{step}")
    try:
        async with client.logged_in(lab) as terminal:
            if step not in (Step.BANNER, Step.PROMPT):
                await terminal.expect("admin:")
                if step is Step.PREPARE:
                    terminal.type("show status\n")
                else:
                    await walk(terminal, inbox, step)
            await terminal.ends()
    except (asyncssh.ConnectionLost, asyncssh.ChannelOpenError):
        assert step in (Step.LOGIN, Step.BANNER, Step.PROMPT)
    total = await client.within(lab.until(lambda total: total.cut_by_node == 1))
    assert (total.closed_cleanly, total.dropped, total.defects) == (0, 0, 0)
    await client.within(lab.idle())


@pytest.mark.parametrize("step", [Step.PREPARE, *GET_STEPS])
async def test_silence_ends_with_ctrl_c_and_hanging_does_not(make_lab, inbox, client, step):
    for kind in (Kind.SILENT, Kind.HANG):
        lab = await make_lab(f"{kind}:{step}")
        async with client.logged_in(lab) as terminal:
            await terminal.expect("admin:")
            if step is Step.PREPARE:
                terminal.type("show status\n")
            else:
                await walk(terminal, inbox, step)
            await client.within(lab.until(lambda total: total.faults_used == 1))
            terminal.type("\x03")
            if kind is Kind.SILENT:
                await terminal.expect("^C\r\nadmin:")
            else:
                with trio.move_on_after(0.05) as scope:
                    await terminal.expect("admin:")
                assert scope.cancelled_caught
        total = await client.within(lab.idle())
        assert (total.closed_cleanly, total.dropped, total.defects) == (1, 0, 0)


@pytest.mark.parametrize("step", [Step.BANNER, Step.PROMPT, Step.PREPARE, *GET_STEPS])
async def test_garbage_at(make_lab, inbox, client, step):
    lab = await make_lab(f"garbage:{step}@6000")
    async with client.logged_in(lab) as terminal:
        if step not in (Step.BANNER, Step.PROMPT):
            await terminal.expect("admin:")
            if step is Step.PREPARE:
                terminal.type("show status\n")
            else:
                await walk(terminal, inbox, step)
        with trio.fail_after(client.patience):
            while len(terminal.received) < 6000:
                await terminal.more()
        noise = terminal.received[-5000:]
        assert b"\n" not in noise
        assert len(set(noise)) > 200
    assert lab.counters.defects == 0


@pytest.mark.parametrize("step", QUESTIONS)
async def test_asked_for_ever(make_lab, inbox, client, step):
    async with client.logged_in(await make_lab(f"reask:{step}")) as terminal:
        await terminal.expect("admin:")
        await walk(terminal, inbox, step)
        for _ in range(5):
            terminal.type(dict(inbox.answers())[QUESTIONS[step]] + "\n")
            await terminal.expect(QUESTIONS[step])


@pytest.mark.parametrize("step", GET_STEPS)
async def test_silently_back_to_the_prompt(make_lab, inbox, client, step):
    async with client.logged_in(await make_lab(f"silent-return:{step}")) as terminal:
        await terminal.expect("admin:")
        await walk(terminal, inbox, step)
        output = await terminal.expect("admin:")
    assert "completed" not in output
    assert "unsuccessfully" not in output


@pytest.mark.parametrize(
    ("fault", "output"),
    [
        ("no-files", "No files matched filter criteria\r\n"),
        ("invalid-path", "no such file or directory can be found\r\nExecuted command unsuccess"),
    ],
)
async def test_nothing_to_send(make_lab, client, fault, output):
    async with client.logged_in(await make_lab(fault)) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        assert output in await terminal.expect("admin:")


async def test_an_invalid_directory(make_lab, inbox, client):
    async with client.logged_in(await make_lab("invalid-directory")) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        await terminal.expect("Invalid download directory specified.\r\nadmin:")


@pytest.mark.parametrize(
    "fault",
    ["endless-banner", "no-prompt", "prompt-no-echo", "no-echo"],
)
async def test_a_greeting_without_a_prompt(make_lab, client, fault):
    lab = await make_lab(fault)
    async with client.logged_in(lab) as terminal:
        if fault == "endless-banner":
            for _ in range(1000):
                await terminal.expect("WARNING: DNS unreachable\r\n")
        elif fault == "no-prompt":
            await terminal.expect("8192 Mbytes RAM\r\n\r\n")
        else:
            await terminal.expect("admin:")
            terminal.type("set cli pagination off\n")
        if fault == "no-echo":
            assert await terminal.expect("off\r\n") == "Automatic pagination is turned off\r\n"
    await client.within(lab.idle())


async def test_a_greeting_that_ends_in_a_question(make_lab, client):
    lab = await make_lab("login-question")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("Current password: ")
        assert lab.counters.cut_by_node == 0
        terminal.type("\r")
        await client.within(lab.until(lambda total: total.cut_by_node == 1))


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("prompt-storm:command", "admin:\r\n"),
        ("escape-storm", "\x1b]0;owned"),
        ("endless-line", "|AppInfo"),
        ("endless-list", " Get file: active/syslog/secure\r\n"),
    ],
)
async def test_endless_output_ends_with_ctrl_c(make_lab, client, fault, sign):
    lab = await make_lab(fault)
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        terminal.type("file get activelog syslog/secure\n")
        for _ in range(500):
            await terminal.expect(sign)
        terminal.type("\x03")
        await terminal.expect("^C\r\nadmin:")


async def test_an_endless_file_list(make_lab, client):
    async with client.logged_in(await make_lab("endless-list")) as terminal:
        await terminal.expect("admin:")
        await terminal.run("set cli pagination off")
        terminal.type("file list activelog syslog/secure detail\n")
        for _ in range(500):
            await terminal.expect("  secure\r\n")


async def test_ctrl_c_ignored(make_lab, inbox, client):
    lab = await make_lab("ignore-ctrl-c", "trickle@200000")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox, "syslog/secure")
        await client.within(lab.until(lambda total: total.bytes_pushed > 0))
        terminal.type("\x03")
        await terminal.expect("Transfer completed.")
    assert lab.counters.interrupts == 1


# fault -> files announced, files whole at the receiver, bytes there less bytes announced
UPLOADS = {
    "announce-more@2": (4, 2, -40_000),
    "announce-fewer@3": (2, 5, 60_000),
    "upload-short@5": (2, 2, -5),
    "zero-byte": (2, 2, 0),
    "duplicate-names": (3, 2, -20_000),
    "big-file@300000": (2, 2, 0),
}


@pytest.mark.parametrize("fault", UPLOADS)
async def test_what_is_announced_and_what_comes(make_lab, inbox, client, fault):
    announced, whole, difference = UPLOADS[fault]
    async with client.logged_in(await make_lab(fault)) as terminal:
        await terminal.expect("admin:")
        output = await client.get(terminal, inbox, "cm/log/informix recurs")
        await terminal.expect("Transfer completed")
    files = inbox.files()
    size = int(output.partition("Total size in Bytes: ")[2].split()[0])
    assert f"Number of files affected: {announced}\r\n" in output
    assert (len(files), sum(map(len, files.values())) - size) == (whole, difference)


async def test_an_archive_that_is_cut(make_lab, inbox, client):
    """It is closed, and said to be completed, all the same."""
    async with client.logged_in(await make_lab("archive-cut@2000*1")) as terminal:
        await terminal.expect("admin:")
        for _ in range(2):
            await client.get(terminal, inbox, "syslog/secure compress")
            await terminal.expect("Transfer completed")
    cut, whole = sorted(map(len, inbox.files().values()))
    assert cut == whole - 2000


@pytest.mark.parametrize(
    ("fault", "arrived"), [("upload-wrong-password", None), ("upload-cut@1000", 1000)]
)
async def test_an_upload_that_fails(make_lab, inbox, client, fault, arrived):
    lab = await make_lab(fault)
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox, "syslog/secure")
        assert "completed" not in await terminal.expect("admin:")
    await client.within(lab.idle())
    assert [len(found) for found in inbox.files().values()] == ([arrived] if arrived else [])


async def test_an_upload_that_stalls(make_lab, inbox, client):
    lab = await make_lab("upload-stalled@1000")
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox, "syslog/secure")
        await client.within(lab.until(lambda total: total.bytes_pushed == 1000))
        assert lab.counters.pushes_now == 1


async def test_a_trickle_keeps_its_rate(make_lab, inbox, client):
    lab = await make_lab("trickle@4000", shape=Shape(size=1500))
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        started = trio.current_time()
        await client.get(terminal, inbox, "syslog/secure")
        await terminal.expect("Transfer completed.")
        assert trio.current_time() - started > 0.3


@pytest.mark.parametrize(("fault", "hours"), [("clock-ahead", 1), ("clock-back@7200", -2)])
async def test_a_clock_that_is_set_as_a_push_begins(make_lab, inbox, client, fault, hours):
    async with client.logged_in(await make_lab(f"{fault}*1")) as terminal:
        await terminal.expect("admin:")
        before = datetime.now(UTC)
        for _ in range(2):  # it was set once, and stays so
            await client.get(terminal, inbox, "syslog/secure")
            await terminal.expect("Transfer completed")
    stamps = [path.split("/")[1] for path in inbox.files()]
    shown = [datetime.strptime(stamp, "%Y-%m-%d_%H-%M-%S").replace(tzinfo=UTC) for stamp in stamps]
    assert [round((moment - before) / timedelta(hours=1)) for moment in shown] == [hours, hours]


@pytest.mark.parametrize("fault", ["slow-greeting@0.1", "unreachable"])
async def test_the_receiver_out_of_reach(make_lab, inbox, client, fault):
    lab = await make_lab(fault)
    async with client.logged_in(lab) as terminal:
        await terminal.expect("admin:")
        await client.get(terminal, inbox)
        if fault == "unreachable":
            terminal.type("\x03")
        assert "completed" not in await terminal.expect("admin:")
    assert lab.counters.pushes_ever == 0


async def test_each_node_has_its_own_faults(make_lab, inbox, client):
    lab = await make_lab("2=no-prompt", nodes=3)
    for number in (1, 3):
        async with client.logged_in(lab, number) as terminal:
            await terminal.expect("admin:")
            await client.get(terminal, inbox)
            await terminal.expect("Transfer completed")
    async with client.logged_in(lab, 2) as terminal:
        await terminal.expect("8192 Mbytes RAM\r\n\r\n")
