"""systemd's `varlinkctl`, a client that is not ours, against the server and the whole daemon."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from rig.daemon import Daemon
from rig.example_interface import NAME, Example
from rig.varlink_peer import serving, short_path

pytestmark = pytest.mark.skipif(
    shutil.which("varlinkctl") is None, reason="varlinkctl (systemd 255 or later) is not installed"
)
ENVIRON = {**os.environ, "LC_ALL": "C"}


@pytest.fixture
def path() -> Iterator[Path]:
    with short_path() as path:
        yield path


async def varlinkctl(*arguments: str) -> subprocess.CompletedProcess:
    command = ["varlinkctl", "--no-pager", *arguments]
    return await trio.run_process(
        command,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


async def test_varlinkctl_reads_the_service_information(path: Path) -> None:
    async with serving(path, Example()):
        info = await varlinkctl("--json=short", "info", f"unix:{path}")
        methods = await varlinkctl("list-methods", f"unix:{path}")
        text = await varlinkctl("introspect", f"unix:{path}", NAME)
        own = await varlinkctl("introspect", f"unix:{path}", "org.varlink.service")
    assert json.loads(info.stdout)["product"] == "Test"
    assert f"{NAME}.Echo" in methods.stdout.decode().split()
    assert b"type Inner" in text.stdout
    assert b"# A test." in text.stdout
    assert b"error ExpectedMore()" in own.stdout
    assert [one.returncode for one in (info, methods, text, own)] == [0, 0, 0, 0]


async def test_varlinkctl_calls_and_is_answered(path: Path) -> None:
    async with serving(path, Example()):
        reply = await varlinkctl("call", f"unix:{path}", f"{NAME}.Echo", '{"text":"hello"}')
        error = await varlinkctl("call", f"unix:{path}", f"{NAME}.Refuse", '{"text":"cake"}')
        wrong = await varlinkctl("call", f"unix:{path}", f"{NAME}.Echo", '{"txt":"hello"}')
        stream = await varlinkctl(
            "call", "--more", "--json=short", f"unix:{path}", f"{NAME}.Count", '{"upto":3}'
        )
    assert json.loads(reply.stdout) == {"text": "hello"}
    assert (error.returncode, b"NotThere" in error.stderr) == (1, True)
    assert json.loads(wrong.stdout)["parameter"] == "txt"
    replies = stream.stdout.decode().replace("\x1e", "").splitlines()  # RFC 7464
    numbers = [json.loads(reply)["number"] for reply in replies]
    assert (stream.returncode, numbers) == (0, [1, 2, 3])


async def test_varlinkctl_shows_the_error_of_a_limit(path: Path) -> None:
    async with serving(path, Example(), connections=0):
        result = await varlinkctl("call", f"unix:{path}", f"{NAME}.Who", "{}")
    assert b"TooMany" in result.stderr


# The daemon


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = ["varlinkctl", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRON)


def test_varlinkctl_drives_the_daemon(daemon: Daemon) -> None:
    address = f"unix:{daemon.socket}"
    info = json.loads(run("--json=short", "info", address).stdout)
    assert (info["product"], info["interfaces"]) == (
        "cucmd",
        ["org.varlink.service", "io.cucmd.Jobs"],
    )
    text = run("introspect", address, "io.cucmd.Jobs").stdout
    assert "# Log-collection jobs over Cisco Unified CM nodes." in text
    assert "method Watch(" in text
    jobs = run("call", address, "io.cucmd.Jobs.List", '{"limit": 5}')
    assert json.loads(jobs.stdout) == {"jobs": [], "older": 0}
    watch = run("call", "--more", address, "io.cucmd.Jobs.Watch", '{"job_id": "abcdef"}')
    assert "io.cucmd.Jobs.JobNotFound" in watch.stderr
    without = run("call", address, "io.cucmd.Jobs.Watch", "{}")
    # The name of the error in systemd 257, words for it in systemd 262.
    assert re.search(r"org\.varlink\.service\.ExpectedMore|'more' flag", without.stderr)
    wrong = run("call", address, "io.cucmd.Jobs.Start", '{"nodes": [], "login": {"pass": "x"}}')
    assert json.loads(wrong.stdout)["parameter"] == "login.pass"
