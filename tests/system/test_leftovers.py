"""Tests the check at the end of every system test: it finds and names what is left open."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rig import leftovers
from rig.daemon import Daemon
from rig.leftovers import Holdings, assert_holds_no_more, nothing_left_here


@contextmanager
def finding(what: str) -> Iterator[None]:
    """Expects that the body leaves something open; the check waits only a short time for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leftovers, "PATIENCE", 0.2)
        with pytest.raises(AssertionError, match=what):
            yield


@contextmanager
def finds(what: str) -> Iterator[None]:
    with finding(what), nothing_left_here():
        yield


def test_a_descriptor() -> None:
    opened = []
    with finds("'pipe', 'pipe'"):
        opened += os.pipe()
    for descriptor in opened:
        os.close(descriptor)


def test_a_process() -> None:
    started = []
    with finds("'process"):
        command = [sys.executable, "-c", "input()"]
        started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    started[0].kill()
    started[0].wait()


def test_a_temporary_file() -> None:
    with finds("cucmd-left"):
        tempfile.mkdtemp(prefix="cucmd-left")


@pytest.mark.long
def test_connection_of_daemon(daemon: Daemon) -> None:
    before = Holdings.of(daemon)
    with daemon.client() as client:
        client.list()
        with finding("tasks and holds"):
            assert_holds_no_more(daemon, before)
    assert_holds_no_more(daemon, before)
