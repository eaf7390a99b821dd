"""`cucmd lab` as a process: what it prints, how it ends, what it reports; 400 nodes in one."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest
import trio

from cucmd.lab.faults import Kind, Step
from cucmd.main import main
from cucmd.ssh.bridge import on_asyncio, open_bridge
from rig.lab import running_lab
from rig.quiet import wait_until

pytestmark = pytest.mark.long


def lab(*options: str, **given: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cucmd", "lab", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **given)


def test_it_prints_one_line_once_it_listens():
    with running_lab(2) as nodes:
        assert [address.split(":")[0] for address in nodes.nodes] == ["127.1.0.1", "127.1.0.2"]
        assert (nodes.username, nodes.password) == ("administrator", "lab-password")
        for address in nodes.nodes:
            host, port = address.split(":")
            socket.create_connection((host, int(port)), timeout=5).close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(number):
    with running_lab(1) as nodes:
        host, port = nodes.nodes[0].split(":")
        with socket.create_connection((host, int(port)), timeout=5):  # even with somebody there
            nodes.signal(number)
            assert nodes.process.wait(20) == 0


def test_the_report_counts_for_each_node():
    with running_lab(2, "--fault", "1=close-after-accept") as nodes:
        first, second = nodes.nodes
        host, port = first.split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
        wait_until(lambda: nodes.report()["cut_by_node"] == 1)
        report = nodes.report()
    assert (report["connections_now"], report["connections_ever"]) == (0, 1)
    assert report["nodes"][first]["connections_ever"] == 1
    assert report["nodes"][second]["connections_ever"] == 0
    assert report["closed_cleanly"] == report["dropped"] == report["defects"] == 0


def test_the_report_may_be_a_file(tmp_path):
    file = tmp_path / "report.json"
    with running_lab(1, "--report", str(file)) as nodes:  # the last --report counts
        nodes.signal(signal.SIGUSR1)
        wait_until(file.exists)
        assert json.loads(file.read_text())["nodes"] == {
            nodes.nodes[0]: json.loads(file.read_text())["nodes"][nodes.nodes[0]]
        }
        file.unlink()
    assert json.loads(file.read_text())["connections_ever"] == 0  # and one at the end


@pytest.mark.parametrize("path", ["no-such-folder/report.json", "."])
def test_a_report_that_cannot_be_written_is_refused_before_a_node_listens(tmp_path, path):
    done = lab("--report", str(tmp_path / path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--report {tmp_path / path}: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_host_key_may_be_kept(tmp_path):
    file = tmp_path / "key"
    with running_lab(1, "--host-key", str(file)):
        made = file.read_bytes()
    with running_lab(1, "--host-key", str(file)):
        assert file.read_bytes() == made
    assert file.stat().st_mode & 0o077 == 0


def test_an_address_in_use_is_named():
    with socket.create_server(("127.1.7.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = lab("--nodes", "1", "--address", "127.1.7.1", "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"cucmd lab: node 1, 127.1.7.1:{port}: ")


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (["--fault", "hang"], "hang:STEP"),
        (["--fault", "hang:coffee"], "'hang:coffee': expected a step of hang: accept, login"),
        (["--fault", "4=no-files"], "fault for node 4: expected a node from 1 to 3"),
        (["--nodes", "0"], "'0': expected a whole number from 1 to 10000"),
        (["--nodes", "99999"], "'99999': expected a whole number from 1 to 10000"),
        (["--port", "99999"], "--port: '99999': expected a whole number from 0 to 65535"),
        (["--port", "9" * 5000], "expected a whole number from 0 to 65535"),
        (["--max-sessions", "-1"], "'-1': expected a whole number from 1 to 10000"),
        (["--files", "1000000"], "'1000000': expected a whole number from 1 to 10000"),
        (["--size", "9" * 16], "expected a whole number from 0 to 1000000000000000"),
        (["--spread", "101"], "'101': expected a whole number from 0 to 100"),
        (["--every", "1e300"], "'1e300': expected seconds, from 0 to 86400"),
        (["--fault", "clock-ahead@" + "9" * 400], "expected a number of S up to 1000000000"),
        (["--address", "192.0.2.1"], "'192.0.2.1': expected an address in 127.0.0.0/8"),
        (["--timezone", "Mars/Base"], "'Mars/Base': expected a time zone"),
        (["--sizing-delay", "-1"], "'-1': expected seconds, from 0 to 86400"),
        (["--host-key", "/dev/null"], "expected a private key"),
    ],
)
def test_wrong_options_are_named(capsys, options, output):
    try:
        code = main(["lab", *options])
    except SystemExit as end:
        code = end.code
    assert code == 2
    shown = capsys.readouterr().err
    assert output in shown
    assert shown.startswith("cucmd lab: ")
    assert shown.count("\n") == 1


def test_help_lists_every_fault_and_every_step(capsys):
    with pytest.raises(SystemExit):
        main(["lab", "--help"])
    lines = capsys.readouterr().out.splitlines()
    words = {line.split()[0].partition(":")[0].partition("[")[0] for line in lines if line.strip()}
    assert {kind.partition("@")[0] for kind in Kind} <= {word.partition("@")[0] for word in words}
    assert set(Step) <= words
    assert max(map(len, lines)) <= 100


def test_the_defaults_are_the_documented_ones():
    from argparse import ArgumentParser

    from cucmd.lab.command import add_arguments

    parser = ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([])
    assert (str(args.address), args.port, args.nodes) == ("127.1.0.1", 2022, 3)


@pytest.mark.long
async def test_four_hundred_nodes_in_one_process(client):
    with running_lab(400) as nodes:
        nodes.addresses = nodes.nodes
        connections = []

        async def log_in(number: int) -> None:
            connection = await client.connect(nodes, number)
            connections.append(connection)
            _, terminal = await on_asyncio(
                lambda: connection.create_session(client.terminal, term_type="vt100", encoding=None)
            )
            await terminal.expect("admin:")

        async with open_bridge():
            async with trio.open_nursery() as nursery:
                for number in range(1, 401):
                    nursery.start_soon(log_in, number)
            report = await trio.to_thread.run_sync(nodes.report)
            assert (report["sessions_now"], report["sessions_most"]) == (400, 1)
            assert len({address.split(":")[0] for address in report["nodes"]}) == 400
            assert nodes.memory() < 150_000_000
            for connection in connections:
                connection.close()
        wait_until(lambda: nodes.report()["connections_now"] == 0)
        assert nodes.report()["closed_cleanly"] == 400


async def test_the_end_comes_in_the_middle_of_logins(client):
    """Cut in the middle of its login, asyncssh has work in a thread that must not outlive us."""
    with running_lab(30) as nodes:
        nodes.addresses = nodes.nodes

        async def log_in(number: int) -> None:
            try:
                (await client.connect(nodes, number)).abort()
            except OSError:
                pass  # that is the point
            except client.disconnected:
                pass

        async with open_bridge(), trio.open_nursery() as nursery:
            for number in range(1, 31):
                nursery.start_soon(log_in, number)
            await trio.to_thread.run_sync(
                lambda: wait_until(lambda: nodes.report()["connections_ever"] > 0)
            )
            nodes.signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(lambda: nodes.process.wait(20)) == 0
            nursery.cancel_scope.cancel()
