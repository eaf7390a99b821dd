"""Measures the page of `cucmweb`: its largest views, and many open pages of a running job.

The daemon has 10,000 jobs, one of them with 400 nodes. The views are those that a browser gets
first, before its event stream. Then each open page reads the event stream of a job whose nodes
send files all the time.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from figures import Figure, Measures, Sample
from installed import Version
from rig.lab import Lab, running_lab
from rig.web import Web, running_web
from served import DaemonProcess, Wire, clean_environ, running_daemon_of
from web import config_for, read_all, request
from web import reason_to_skip as web_reason

JOBS, NODES = 10_000, 400
VIEWS = 20  # of each kind
PAGES = 50


reason_to_skip = partial(web_reason, module="cucmweb.page.pages")


@contextmanager
def prepared(versions: Sequence[Version], options: Namespace) -> Iterator[Measures]:
    """Starts a daemon with many jobs and a `cucmweb` of each version."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cucmd-bench-")))
        slow = stack.enter_context(running_lab(8, "--fault", "trickle@20000"))
        measures = []
        for place, version in enumerate(versions):
            script = [version.bin / "python", Path(__file__).with_name("many_jobs.py")]
            database = folder / str(place) / "state" / "cucmd.db"
            writing = [*script, database, str(JOBS), str(NODES)]
            written = subprocess.run(
                writing, capture_output=True, env=clean_environ(), check=True, text=True
            )
            daemon = stack.enter_context(running_daemon_of(version, folder / str(place)))
            config, program = config_for(version), str(version.bin / "cucmweb")
            running = running_web(folder / f"web{place}", daemon.socket, config, program=program)
            web = stack.enter_context(running)
            job_id = written.stdout.strip()
            measures.append(partial(_measure, daemon, web, job_id, slow, options.seconds))
        yield measures


def _measure(daemon: DaemonProcess, web: Web, job_id: str, slow: Lab, seconds: float) -> Sample:
    sample = {}
    daemon.wait_until_idle()
    views = {f"job of {NODES} nodes": f"/ui/jobs/{job_id}", f"list of {JOBS} jobs": "/ui/"}
    for name, path in views.items():
        used = web.cpu()
        size = _view(web, path)
        # In the first round this is the first view of its kind since the start. The daemon is left
        # out, because it still closes the jobs that it has found.
        first = web.cpu() - used
        used, of_daemon = web.cpu(), daemon.cpu()
        for _ in range(VIEWS):
            _view(web, path)
        each = (web.cpu() - used) / VIEWS
        sample |= {
            Figure(f"view of a {name}", "kB", aim="< 300 kB"): size,
            Figure(
                f"    processor time of cucmweb for the first, {name}", "ms", aim="< 300 ms"
            ): first,
            Figure(f"    processor time of cucmweb, {name}", "ms", decides=True): each,
            Figure(f"    processor time of both, {name}", "ms", aim="< 300 ms"): each
            + (daemon.cpu() - of_daemon) / VIEWS,
        }
    with _open_pages(web, daemon.wire(), slow):
        used, of_daemon, began = web.cpu(), daemon.cpu(), time.perf_counter()
        time.sleep(seconds)
        passed = time.perf_counter() - began
        used, of_daemon = web.cpu() - used, daemon.cpu() - of_daemon
        memory = web.memory()
    pages = f"{PAGES} open pages of a running job, each second"
    return sample | {
        Figure(f"{pages}: processor time of cucmweb", "ms", decides=True): used / passed,
        Figure("    processor time of the daemon", "ms"): of_daemon / passed,
        Figure("    memory of cucmweb", "MB"): memory,
    }


def _view(web: Web, path: str) -> int:
    """Returns the bytes of a view."""
    answer = web.ask("GET", path)
    assert answer.status == 200, answer
    return len(answer.body)


@contextmanager
def _open_pages(web: Web, calls: Wire, slow: Lab) -> Iterator[None]:
    """Opens the pages of a job that runs, each with its event stream."""
    with ExitStack() as stack:
        wire = stack.enter_context(calls)
        job_id = wire.start(slow, slow.nodes)
        asked = request(f"/ui/jobs/{job_id}/stream", "connection: close")
        readers = [stack.enter_context(web.raw(asked)) for _ in range(PAGES)]
        assert {reader.recv(12) for reader in readers} == {b"HTTP/1.1 200"}
        # daemon: if the measurement fails, Python must not wait for this process before it exits.
        reading = get_context("fork").Process(target=read_all, args=(readers,), daemon=True)
        reading.start()
        yield
        wire.call("Cancel", job_id=job_id)
        wire.wait(job_id)
        reading.terminate()
        reading.join()
