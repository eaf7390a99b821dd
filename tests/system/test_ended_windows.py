"""Tests windows that have ended, on an OpenSSH node with a log that grows all the time.

The node chooses files by their last change (vos/NODES.md, section 5.1). A log that grew at the end
of the window has changed since.
"""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from os import utime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cucmd.job.work_request import Collection, Files, Login
from cucmd.protocol.jobs import Node
from rig.daemon import Daemon, running_daemon
from rig.jobs import node
from rig.openssh_node import OpenSshNode, needs_openssh, openssh_node

pytestmark = [pytest.mark.long, needs_openssh]

ZONE = ZoneInfo("Asia/Kolkata")  # half an hour off, without summer time
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ISO = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")
MESSAGES, LOG4J = "syslog/messages*", "cm/trace/cdrrep/log4j"
# The time span of each file of LOG4J.
LENGTH = 20 * MINUTE


def stamps(begin: datetime, end: datetime, form: str) -> str:
    """Returns one line per minute, by the node's clock."""
    lines = int((end - begin) / MINUTE)
    moments = (begin + number * MINUTE for number in range(lines + 1))
    return "".join(f"{moment.astimezone(ZONE):{form}}\n" for moment in moments)


SYSLOG_FORM = "%b %d %H:%M:%S cucm-pub local7 6 : a line"
LOG4J_FORM = "%Y-%m-%d %H:%M:%S,000 INFO  [main] a line"


@contextmanager
def busy_node(folder: Path, now: datetime) -> Iterator[OpenSshNode]:
    """Yields a node whose system log begins five hours ago and grows all the time.

    The newest rotated log ends where the system log begins. The traces are files of 20 minutes, of
    the last six hours.
    """
    with openssh_node(folder, "127.3.0.31", zone=str(ZONE)) as one:
        syslog, traces = one.root / "syslog", one.root / LOG4J
        syslog.mkdir(parents=True)
        traces.mkdir(parents=True)
        begin = now - timedelta(hours=5)
        (syslog / "messages.1").write_text(stamps(begin - 60 * MINUTE, begin, SYSLOG_FORM))
        utime(syslog / "messages.1", (begin.timestamp(),) * 2)
        (syslog / "messages").write_text(stamps(begin, now, SYSLOG_FORM))
        for number in range(18):
            first = now - (18 - number) * LENGTH
            file = traces / f"cdrrep{number:05}.log"
            file.write_text(stamps(first, first + LENGTH - MINUTE, LOG4J_FORM))
            utime(file, ((first + LENGTH - MINUTE).timestamp(),) * 2)
        with written_all_the_time(syslog / "messages"):
            yield one


@contextmanager
def written_all_the_time(file: Path) -> Iterator[None]:
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.05):
            with file.open("a") as log:
                log.write(stamps(now := datetime.now(UTC), now, SYSLOG_FORM))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@pytest.fixture(scope="module")
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[OpenSshNode]:
    with busy_node(tmp_path_factory.mktemp("busy") / "node", now) as one:
        yield one


@pytest.fixture
def daemon(shared_daemon: Daemon) -> Daemon:
    return shared_daemon


def collected(
    daemon: Daemon,
    busy: OpenSshNode,
    since: datetime,
    until: datetime,
    tmp_path: Path,
    **request: object,
) -> tuple[Node, list[str], Path]:
    """Collects. Returns the node after its files were read, their names, and the export."""
    written_for, only = request.pop("written_for", None), request.pop("only", None)
    collection = Collection(since=since.isoformat(), until=until.isoformat(), **request)
    login = Login(busy.username, busy.password)
    with daemon.client() as client:
        files = Files(collection, only=only, written_for=written_for)
        job = client.start([busy.address], files, login=login)
        client.wait(job.job_id)
        # An export waits until the daemon has read the files.
        exported = tmp_path / job.job_id
        done = daemon.ctl("export", job.job_id, "-o", str(exported), "--format", "dir")
        assert done.returncode == 0, done.stderr
        job = client.status(job.job_id)
        names = [Path(file.path).name for file in client.files(job.job_id)]
    return node(job, 0), sorted(names), exported


def gaps(one: Node) -> list[tuple[str, str, str | None]]:
    return [(gap.path, gap.missing, gap.written_for) for gap in one.gaps or ()]


@pytest.mark.parametrize(("began", "ended"), [(150, 120), (30, 0)])
def test_profile_gets_growing_log(
    daemon: Daemon, busy: OpenSshNode, now: datetime, tmp_path: Path, began: int, ended: int
) -> None:
    """The window begins and ends within the log, or ends now."""
    since, until = now - began * MINUTE, now - ended * MINUTE
    one, files, _ = collected(
        daemon, busy, since, until, tmp_path, profile="event-viewer", only=["messages"]
    )
    assert (one.status, files) == ("succeeded", ["messages"])
    assert one.coverage is not None
    assert one.coverage.startswith("covers ")
    assert gaps(one) == []


def test_gap_names_longer_window(
    daemon: Daemon, busy: OpenSshNode, now: datetime, tmp_path: Path
) -> None:
    since, until = now - 150 * MINUTE, now - 120 * MINUTE
    paths = {"paths": (MESSAGES, LOG4J)}
    one, files, exported = collected(daemon, busy, since, until, tmp_path, **paths)
    assert one.status == "succeeded"
    assert "messages" not in files
    assert gaps(one) == [(MESSAGES, "all", "6h")]
    assert f"nothing came of {MESSAGES}" in (exported / "summary.txt").read_text()
    assert "--written-for 6h" in (exported / "summary.txt").read_text()
    one, files, _ = collected(daemon, busy, since, until, tmp_path, written_for="6h", **paths)
    assert "messages" in files
    assert gaps(one) == []


def test_late_retry_keeps_window(busy: OpenSshNode, now: datetime, tmp_path: Path) -> None:
    """The retry comes hours later: the test moves back all times of the job in the database."""
    state = tmp_path / "cucmd"
    files = Files(Collection(profile="event-viewer", last="30m"), only=["messages"])
    with running_daemon(state) as daemon, daemon.client() as client:
        wrong = Login(busy.username, "wrong")
        job = client.wait(client.start([busy.address], files, login=wrong).job_id)
        assert node(job, 0).failure.code == "auth_failed"
    move_back(daemon.state / "cucmd.db", 2 * HOUR)
    with running_daemon(state) as daemon, daemon.client() as client:
        login = Login(busy.username, busy.password)
        client.wait(client.retry(job.job_id, login=login).job_id)
        assert daemon.ctl("export", job.job_id, "-o", str(tmp_path / "out")).returncode == 0
        job = client.status(job.job_id)
        (file,) = client.files(job.job_id)
    assert Path(file.path).name == "messages", "it has changed since the window"
    one = node(job, 0)
    assert abs(datetime.fromisoformat(job.collection.until) - (now - 2 * HOUR)) < 10 * MINUTE
    assert one.coverage.startswith("covers ")
    assert gaps(one) == []


def move_back(database: Path, by: timedelta) -> None:
    def moved(text: str) -> str:
        return ISO.sub(lambda one: (datetime.fromisoformat(one[0]) - by).isoformat(), text)

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.create_function("moved", 1, moved)
        for table in ("job", "node"):
            connection.execute(f"UPDATE {table} SET detail = moved(detail)")


@contextmanager
def lost(file: Path, folder: Path) -> Iterator[None]:
    """Takes a file away from the node while the body runs."""
    kept = file.rename(folder / file.name)
    try:
        yield
    finally:
        kept.rename(file)


def test_missing_file_is_a_gap(
    daemon: Daemon, busy: OpenSshNode, now: datetime, tmp_path: Path
) -> None:
    since, until = now - 5 * HOUR, now - HOUR
    with lost(busy.root / LOG4J / "cdrrep00010.log", tmp_path):
        one, _, exported = collected(daemon, busy, since, until, tmp_path, paths=(LOG4J,))
    missing = [(gap.missing, (gap.seconds or 0) // 60) for gap in one.gaps or ()]
    assert missing == [("middle", 21)], one.coverage
    (log,) = one.logs or ()
    assert (log.log, len(log.spans)) == (f"{LOG4J}/cdrrep*.log", 2)
    first, second, *_, last = (begun.phase for begun in one.phases or ())
    assert (first, second, last) == ("connect", "login", "close")
    assert "has nothing from" in (exported / "summary.txt").read_text()
    assert daemon.ctl("wait", "@last").returncode == 0
    strict = daemon.ctl("wait", "@last", "--strict")
    assert (strict.returncode, "GAP" in strict.stdout) == (3, True)
    assert "cdrrep*.log: " in daemon.ctl("status", "@last", "--long").stdout
