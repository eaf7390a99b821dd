"""`cucmd lab` as a process: how it ends, what it reports, and which options are wrong."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import asyncssh
import pytest
import trio

from cucmd.main import main
from cucmd.ssh.bridge import open_bridge
from rig.lab import running_lab
from rig.quiet import wait_until

pytestmark = pytest.mark.long


def lab(*options: str, **given: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cucmd", "lab", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **given)


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
        (["--fault", "hang:coffee"], "'hang:coffee': expected a step of hang: accept, login"),
        (["--fault", "4=no-files"], "fault for node 4: there are 3"),
        (["--files", "1000000"], "--files: Expected `int` <= 10000"),
        (["--port", "9" * 5000], "--port: Integer value out of range"),
        (["--sizing-delay", "-1"], "--sizing-delay: Expected `float` >= 0"),
        (["--address", "192.0.2.1"], "'192.0.2.1': expected an address in 127.0.0.0/8"),
        (["--timezone", "Mars/Base"], "'Mars/Base': expected a time zone"),
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


async def test_the_end_comes_in_the_middle_of_logins(client):
    """Cut in the middle of its login, asyncssh has work in a thread that must not outlive us."""
    with running_lab(30) as nodes:
        nodes.addresses = nodes.nodes

        async def log_in(number: int) -> None:
            try:
                (await client.connect(nodes, number)).abort()
            except (OSError, asyncssh.DisconnectError):
                pass  # that is the point

        async with open_bridge(), trio.open_nursery() as nursery:
            for number in range(1, 31):
                nursery.start_soon(log_in, number)
            await trio.to_thread.run_sync(
                lambda: wait_until(lambda: nodes.report()["connections_ever"] > 0)
            )
            nodes.signal(signal.SIGTERM)
            assert await trio.to_thread.run_sync(lambda: nodes.process.wait(20)) == 0
            nursery.cancel_scope.cancel()
