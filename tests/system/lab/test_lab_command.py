"""Tests `cucmd lab` as a process: how it ends, what it reports, and wrong options."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from cucmd.main import main
from rig.lab import running_lab

pytestmark = pytest.mark.long


def lab(*options: str, **given: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cucmd", "lab", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **given)


def test_ctrl_c_ends_lab():
    with running_lab(1) as nodes:
        nodes.signal(signal.SIGINT)
        assert nodes.process.wait(20) == 0


def test_used_address_is_named():
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
        (["--fault", "4=no-files"], "--fault: node 4: "),
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
