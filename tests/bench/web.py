"""Measures `GET /jobs/{id}` over HTTP beside `Status` on the daemon's socket, and event streams.

One client each asks for an ended job of two nodes, and keeps its connection. Then 500 event streams
are open for a job whose nodes send files. One of the streams is not read; a process of its own
reads the others.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from figures import Figure, Measures, Sample
from installed import Version
from rig.lab import Lab, running_lab
from rig.web import Web, running_web
from served import DaemonProcess, Wire, clean_environ, running_daemon_of
from status import p99

NODES = 2
STREAMS = 500
CALLS = 1000  # each way; cucmweb ends a connection after so many
CONFIG = f"[limits]\nstreams_per_caller = {STREAMS}\n"
# Earlier versions also limit the requests of a caller in a second.
_LIMITS_REQUESTS = "import cucmweb.config as c; print(hasattr(c.WebLimits, 'requests'))"


def config_for(version: Version) -> str:
    """Returns a configuration of `cucmweb` in which no limit is in the way of the measurement."""
    asked = [version.bin / "python", "-c", _LIMITS_REQUESTS]
    run = subprocess.run(asked, capture_output=True, env=clean_environ(), check=True, text=True)
    return CONFIG + "requests = 1_000_000\n" * (run.stdout.strip() == "True")


def reason_to_skip(versions: Sequence[Version], module: str = "cucmweb.serve") -> str | None:
    for version in versions:
        asked = [version.bin / "python", "-c", f"import {module}"]
        if subprocess.run(asked, capture_output=True, env=clean_environ(), check=False).returncode:
            return f"{version.name} has no {module}"
    return None


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    """Starts a daemon and a `cucmweb` of each version, with a job that has ended."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        lab = stack.enter_context(running_lab(NODES, "--files", "2", "--size", "1000"))
        slow = stack.enter_context(running_lab(NODES, "--fault", "trickle@20000"))
        measures = []
        for place, version in enumerate(versions):
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            program = str(version.bin / "cucmweb")
            config = config_for(version)
            running = running_web(folder / f"web{place}", daemon.socket, config, program=program)
            web = stack.enter_context(running)
            wire = stack.enter_context(daemon.wire())
            job_id = wire.start(lab, lab.nodes)
            assert wire.wait(job_id)["status"] == "succeeded"
            measures.append(partial(_measure, daemon, web, wire, job_id, slow, options.seconds))
        yield measures


def _measure(
    daemon: DaemonProcess, web: Web, wire: Wire, job_id: str, slow: Lab, seconds: float
) -> Sample:
    daemon.wait_until_idle()
    by_socket = [_time_call(partial(wire.job, job_id)) for _ in range(CALLS)]
    used = web.cpu()
    with web.raw() as sock:
        by_http = [_time_call(partial(_get_job, sock, job_id)) for _ in range(CALLS)]
    used = web.cpu() - used
    with _open_streams(web, wire, slow) as running:
        beside, of_streams = [], web.cpu()
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            beside.append(_time_call(partial(wire.job, running)))
        of_streams = web.cpu() - of_streams
        memory = web.memory()
    streams = f"`Status` on the socket beside {STREAMS} event streams"
    return {
        Figure("`Status` on the socket, calls of one client", "/s"): CALLS / sum(by_socket),
        Figure("`GET /jobs/{id}` over HTTP, calls of one client", "/s"): CALLS / sum(by_http),
        Figure("`Status` on the socket, 99th percentile", "ms", aim="< 5 ms"): p99(by_socket),
        Figure("`GET /jobs/{id}` over HTTP, 99th percentile", "ms"): p99(by_http),
        Figure("    processor time of cucmweb for each", "ms", decides=True): used / CALLS,
        Figure(f"{streams}, 99th percentile", "ms", aim="< 20 ms"): p99(beside),
        Figure("    processor time of cucmweb for each second", "s"): of_streams / seconds,
        Figure("    memory of cucmweb", "MB"): memory,
    }


def _time_call(call: Callable[[], object]) -> float:
    """Returns the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _get_job(sock: socket.socket, job_id: str) -> dict[str, Any]:
    """Returns the job. Like `Wire` it costs less than a client of Python's library."""
    sock.sendall(request(f"/jobs/{job_id}"))
    reply, whole = b"", None
    while whole is None or len(reply) < whole.end() + int(whole[1]):
        data = sock.recv(1 << 20)
        assert data, reply
        reply += data
        whole = re.match(rb"HTTP/1.1 200 .*?content-length: (\d+)\r\n.*?\r\n\r\n", reply, re.DOTALL)
    return json.loads(reply[whole.end() :])


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: localhost", *headers, "", ""]).encode()


@contextmanager
def _open_streams(web: Web, wire: Wire, slow: Lab) -> Iterator[str]:
    """Starts a job and opens its streams; yields the id of the job."""
    job_id = wire.start(slow, slow.nodes)
    asked = request(f"/jobs/{job_id}/events", "connection: close")
    with ExitStack() as stack:
        readers = [stack.enter_context(web.raw(asked)) for _ in range(STREAMS)]
        assert {reader.recv(12) for reader in readers} == {b"HTTP/1.1 200"}
        # daemon: if the measurement fails, Python must not wait for this process before it exits.
        reading = get_context("fork").Process(target=read_all, args=(readers[1:],), daemon=True)
        reading.start()
        yield job_id
        wire.call("Cancel", job_id=job_id)
        wire.wait(job_id)
        reading.join()


def read_all(readers: Sequence[socket.socket]) -> None:
    """Reads all streams until each has ended."""
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ, reader)
        while selector.get_map():
            for key, _ in selector.select():
                if not key.data.recv(1 << 16):
                    selector.unregister(key.data)
