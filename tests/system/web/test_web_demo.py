"""`cucmweb demo` serves the page with simulated nodes, and leaves nothing behind."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = pytest.mark.long


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Yields the folder in which the demo makes its own. Its path is shorter than one of pytest."""
    with TemporaryDirectory(prefix="cucmd-") as folder:
        yield Path(folder)


@pytest.fixture
def port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_serves_until_a_signal(temporary: Path, port: str, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "cucmweb", "demo", "--port", port]
    environ = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as demo:
        assert demo.stdout is not None
        said = next(line for line in demo.stdout if line.startswith("Open "))
        token = re.findall(r"token (\S+)", said)[0]
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)) as web:
            web.request("GET", "/jobs", headers={"authorization": f"Bearer {token}"})
            assert web.getresponse().status == 200
        demo.send_signal(number)
        assert "removed" in demo.stdout.read()
    assert demo.returncode == 0
    assert list(temporary.iterdir()) == []


def test_demo_says_why_it_does_not_start(temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "cucmweb", "demo", "--port", port]
        environ = {**os.environ, "TMPDIR": str(temporary)}
        done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert list(temporary.iterdir()) == []
