"""`cucmd lab` with clients that people have: OpenSSH's `ssh` and `sftp`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rig.lab import Lab, running_lab
from rig.quiet import wait_until
from system.ctl.terminal import Terminal

ONE_LINE = b"Command Line Interface is starting up, please wait ...\r\n\r\n"
PAGER = "Press <enter> for 1 line, <space> for one page, or <q> to quit"
# What OpenSSH makes of "Comm": four letters where the length of a packet is expected.
TOO_LONG = f"Received message too long {int.from_bytes(b'Comm', 'big')}"

needs_openssh = pytest.mark.skipif(
    not (shutil.which("ssh") and shutil.which("sftp")), reason="needs OpenSSH's ssh and sftp"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(1) as lab:
        yield lab


@pytest.fixture(autouse=True)
def nothing_stays_open(lab: Lab) -> Iterator[None]:
    yield
    wait_until(lambda: lab.report()["connections_now"] == 0)
    report = lab.report()
    assert (report["sessions_now"], report["defects"]) == (0, 0)


def openssh(lab: Lab, program: str, *options: str) -> list[str]:
    """Returns a command line, up to the host. OpenSSH's own configuration of this machine is left
    out.
    """
    host, port = lab.nodes[0].split(":")
    return [
        *(str(shutil.which(program)), *options, "-F", "none", "-P" if program == "sftp" else "-p"),
        *(port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *("-o", "PubkeyAuthentication=no", "-o", "LogLevel=ERROR", f"{lab.username}@{host}"),
    ]


@pytest.fixture
def answers(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """The environment of an `ssh` that gets the password without a terminal."""
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {lab.password}\n")
    askpass.chmod(0o700)
    return {**os.environ, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}


def run(command: list[str], environ: dict[str, str], keys: bytes = b"") -> tuple[int, bytes, str]:
    """Exit status, standard output, standard error."""
    done = subprocess.run(
        command, input=keys, capture_output=True, timeout=30, check=False, env=environ
    )
    return done.returncode, done.stdout, done.stderr.decode()


@needs_openssh
@pytest.mark.parametrize("enter", [b"\n", b"\r"])
def test_ssh_with_a_terminal_and_no_window(lab: Lab, answers: dict[str, str], enter: bytes) -> None:
    keys = enter.join([b"show version active", b"show status", b" quit", b""])
    code, shown, problems = run(openssh(lab, "ssh", "-tt"), answers, keys)
    assert (code, problems) == (0, "")
    assert b"\r\nActive Master Version: 12.5.1" in shown
    assert PAGER.encode() in shown
    assert shown.rpartition(b"Disk/logging")[2].endswith(b"admin:quit\r\n")


@needs_openssh
@pytest.mark.parametrize("command", [[], ["show status"]])
def test_ssh_without_a_terminal(lab: Lab, answers: dict[str, str], command: list[str]) -> None:
    code, shown, problems = run([*openssh(lab, "ssh", "-T"), *command], answers)
    assert (shown, problems) == (ONE_LINE, "")
    assert code != 0


@needs_openssh
def test_sftp_takes_the_banner_for_a_packet(lab: Lab, answers: dict[str, str]) -> None:
    code, _, problems = run(openssh(lab, "sftp"), answers)
    assert TOO_LONG in problems
    assert code != 0


@needs_openssh
def test_ssh_in_a_window(lab: Lab, answers: dict[str, str]) -> None:
    environ = {**answers, "TERM": "vt100"}
    with closing(Terminal(openssh(lab, "ssh"), environ, columns=100, rows=7)) as terminal:
        terminal.until("admin:")
        terminal.type("show status\r")
        terminal.until(PAGER)
        terminal.type("q")
        terminal.until_again("admin:")
        terminal.type("quit\r")
        assert terminal.ended() == 0
