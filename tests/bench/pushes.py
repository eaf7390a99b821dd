"""Measures memory and speed while PUSHING nodes push at once, each from its own address.

Only one daemon runs at a time. /proc divides a page that n processes share by n, so a second daemon
would make the libraries of the first look smaller.

The receiver computes the SHA-256 of a file and writes the file to the disk. OpenSSH's server does
neither, so its time includes `sha256sum` and `sync` of the files.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from receive import MB, Server, fill, open_receiving_job, push, running_sshd
from receive import reason_to_skip as reason_to_skip  # noqa: PLC0414 - the module offers it too
from served import DaemonProcess, running_daemon_of

PUSHING = 4
SAMPLED = 3.0  # seconds; after them much data waits for the disk
ENDLESS = 1 << 40  # bytes of a sparse file, which the sender reads at no cost

_numbers = count()


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        endless, source = folder / "endless.log", folder / "source.log"
        with endless.open("wb") as file:
            file.truncate(ENDLESS)
        fill(source, options.size * MB)
        theirs = stack.enter_context(running_sshd(folder / "theirs"))
        yield [partial(_measure, version, folder, theirs, endless, source) for version in versions]


def _measure(version: Version, folder: Path, theirs: Server, endless: Path, source: Path) -> Sample:
    own = folder / str(next(_numbers))
    with running_daemon_of(version, own / "daemon") as daemon, ExitStack() as stack:
        daemon.wait_until_idle()
        rest = daemon.memory()
        servers = [
            stack.enter_context(open_receiving_job(daemon, own / f"node{number}", number))[0]
            for number in range(PUSHING)
        ]
        most = _most_memory(daemon, servers, endless)
        _push_all(servers, source)  # not counted: it fills the caches
        daemon.wait_until_idle()
        took, theirs_took = _push_all(servers, source), _push_to_openssh(theirs, source)
    size = PUSHING * source.stat().st_size
    return {
        Figure("memory at rest", "MB", aim="<= 90 MB"): rest,
        Figure(f"    for each of {PUSHING} nodes that push", "MB", aim="<= 10 MB"): (
            (most - rest) / PUSHING
        ),
        Figure(f"received from {PUSHING} nodes at once", "MB/s"): size / took,
        Figure("    beside OpenSSH's, sha256sum and sync", aim=">= 1.3"): theirs_took / took,
    }


def _most_memory(daemon: DaemonProcess, servers: Sequence[Server], source: Path) -> int:
    pushing = [push(server, source) for server in servers]
    most, ends = 0, time.monotonic() + SAMPLED
    while time.monotonic() < ends:
        most = max(most, daemon.memory())
        time.sleep(0.05)
    for process, _ in pushing:
        assert process.poll() is None, "sftp ended"
        process.terminate()
        process.wait()
    daemon.wait_until_idle()
    _remove(servers[0].folder, [name for _, name in pushing])
    return most


def _push_all(servers: Sequence[Server], source: Path) -> float:
    """Returns the seconds that all pushes take, with their logins."""
    took, names = _push_at_once(servers, source)
    _remove(servers[0].folder, names)
    return took


def _push_to_openssh(theirs: Server, source: Path) -> float:
    took, names = _push_at_once([theirs] * PUSHING, source)
    began = time.perf_counter()
    files = [theirs.folder / name for name in names]
    hashing = [subprocess.Popen(["sha256sum", one], stdout=subprocess.DEVNULL) for one in files]
    assert not any(process.wait() for process in hashing)
    subprocess.run(["sync", *files], check=True)
    took += time.perf_counter() - began
    _remove(theirs.folder, names)
    return took


def _push_at_once(servers: Sequence[Server], source: Path) -> tuple[float, list[str]]:
    began = time.perf_counter()
    pushing = [push(server, source) for server in servers]
    assert not any(process.wait() for process, _ in pushing)
    return time.perf_counter() - began, [name for _, name in pushing]


def _remove(folder: Path, names: Sequence[str]) -> None:
    """Removes the files, so that no page of them is written back during the next round."""
    for name in names:
        for arrived in folder.rglob(f"*{name}*"):
            arrived.unlink()
