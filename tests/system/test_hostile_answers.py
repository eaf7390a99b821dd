"""A node whose answers were made to be slow to read holds up nobody.

Seconds of others are bounded generously: on a quiet machine their worst call takes some tens of
milliseconds meanwhile, and before answers were read in proportion to their length it took 25 s.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.asked import Login, Packets
from cucmd.protocol.jobs import Job
from cucmd.vos.forms import FORMS
from rig.daemon import Daemon
from rig.jobs import in_phase, until
from rig.lab import Lab, running_lab
from rig.manager import Manager
from rig.meanwhile import another_client
from rig.parameters import mostly_more
from rig.quiet import assert_nothing_at_work, wait_until

WORST = 1.5  # seconds that a call of another client may take
WATCHDOG = 5.0

Begin = Callable[[Client, Sequence[str], Login], Job]


def running(command: str) -> Begin:
    return lambda client, nodes, login: client.run(nodes, [command], login=login)


PARSED = [" ".join((form.head, *("tomcat" for _ in form.slots))) for form in FORMS if form.parser]
NOT_PARSED = ["utils diagnose test", "file list activelog syslog detail"]

BEGIN: dict[str, Begin] = {
    "check": lambda client, nodes, login: client.check(nodes, login=login, receiver=True),
    "discovery": lambda client, nodes, login: client.discover(nodes[0], login=login),
    "health": lambda client, nodes, login: client.health(nodes, login=login),
    "capture": lambda client, nodes, login: client.capture(nodes, Packets(duration=1), login=login),
    **{command: running(command) for command in PARSED + NOT_PARSED},
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2, module="rig.hostile_lab") as lab:
        yield lab


def login(lab: Lab) -> Login:
    return Login(lab.username, lab.password)


def lists(client: Client) -> object:
    return client.list(limit=1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("what", mostly_more(BEGIN))
def test_others_are_answered_while_it_is_read(shared_daemon: Daemon, lab: Lab, what: str) -> None:
    with another_client(shared_daemon, lists, WORST), shared_daemon.client() as client:
        job = client.wait(BEGIN[what](client, lab.nodes, login(lab)).job_id, timeout=120)
        if job.kind == "run":
            assert job.status == "succeeded", job
        if job.kind in ("run", "health"):
            ends = [one for one in client.output(job.job_id) if one.ended]
            assert {one.node for one in ends} == set(lab.nodes)
            for one in ends:
                is_parsed = one.node == lab.nodes[0] and one.command in PARSED
                assert (one.parsed is not None) == is_parsed, (one.node, one.command)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("what", mostly_more(BEGIN))
def test_a_cancel_is_heard_and_nothing_works_on(shared_daemon: Daemon, lab: Lab, what: str) -> None:
    with shared_daemon.client() as client:
        with another_client(shared_daemon, lists, WORST):
            job_id = BEGIN[what](client, lab.nodes, login(lab)).job_id
            until(client, job_id, in_phase("prepare" if what == "capture" else "command"))
            began = time.monotonic()
            assert client.cancel(job_id).cancelled
            assert time.monotonic() - began < WORST
        assert_nothing_at_work(shared_daemon, job_id, just_ended=True)
        wait_until(lambda: client.status(job_id).closed)


@pytest.mark.timeout(180)
def test_the_watchdog_is_fed_meanwhile(lab: Lab) -> None:
    with tempfile.TemporaryDirectory(prefix="cucmd-") as folder:
        manager = Manager(Path(folder), WATCHDOG)
        try:
            manager.start()
            manager.until("READY=1")
            ended = threading.Event()
            fed = [time.monotonic()]

            def watch() -> None:
                while not ended.is_set():
                    manager.until("WATCHDOG=1")
                    fed.append(time.monotonic())

            thread = threading.Thread(target=watch)
            thread.start()
            try:
                with Client(manager.path) as client:
                    for what in ("check", "discovery", "utils service list"):
                        job = BEGIN[what](client, lab.nodes, login(lab))
                        client.wait(job.job_id, timeout=120)
            finally:
                ended.set()
                thread.join()
            assert max(later - earlier for earlier, later in pairwise(fed)) < WATCHDOG
            assert manager.stop() == 0
        finally:
            manager.close()
