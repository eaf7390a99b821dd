"""Builders of jobs and nodes, and clocks and time zones that a test sets."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from cucmctl.text.remarks import remarks
from cucmd.job.work_request import Collection, Timeouts
from cucmd.protocol.jobs import Job, Node, WatchReply

BEGAN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def make_node(node="ccm-pub", status="running", **fields):
    ended = status in ("succeeded", "failed", "cancelled")
    values = {
        "phase": "transfer" if status == "running" else None,
        "attempt": 1,
        "error": None,
        "failure": None,
        "notes": (),
        "started_at": None if status == "pending" else BEGAN,
        "completed_at": BEGAN + timedelta(seconds=42) if ended else None,
        "files_announced": None,
        "bytes_announced": None,
        "files_received": 0,
        "bytes_received": 0,
    }
    return Node(node=node, status=status, **{**values, **fields})


def make_job(*nodes, status="running", **fields):
    values = {
        "job_id": "3f2a00112233",
        "cancelled": False,
        "closed": False,
        "revision": 1,
        "kind": "collect",
        "created_at": BEGAN,
        "started_at": BEGAN,
        "completed_at": None if status == "running" else BEGAN + timedelta(seconds=42),
        "directory": "/var/lib/cucmd/jobs/3f2a00112233",
        "collection": Collection(),
        "timeouts": Timeouts(),
        "concurrency": 8,
        "resumable": False,
        "retries": 0,
    }
    nodes = nodes or (make_node(),)
    return Job(status=status, nodes=nodes, **{**values, **fields})


def remarks_of(*nodes, columns=None, **fields):
    """Returns the remarks about a job with these nodes and fields."""
    return list(remarks(make_job(*nodes, **fields), columns=columns))


@pytest.fixture
def began():
    return BEGAN


@pytest.fixture
def node():
    return make_node


@pytest.fixture
def job():
    return make_job


@pytest.fixture
def change():
    """Makes a reply of a watch."""
    return lambda job=None, jobs=None, missed=0: WatchReply(0, missed, job, jobs)


@pytest.fixture
def clock():
    """A clock that stands until it is set: `clock.now = 5.0`."""

    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def in_zone(monkeypatch):
    """`in_zone("Europe/Berlin")` sets the local time zone."""

    def _in_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield _in_zone
    monkeypatch.undo()
    time.tzset()
