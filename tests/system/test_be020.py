"""BE-020: cancellation and timeouts of jobs. The requirements, and a test for each of them.

BE-020 is the specification that the first users of this system wrote. It was made for a backend
that spoke HTTP; here the same verbs are on a Unix socket. Code that cites a row means this table.

| row | requirement | test |
| --- | --- | --- |
| 1 | Cancel of an unknown job answers with a typed not-found error that carries the job's id | `test_cancel_job_not_found` |
| 2 | Cancel of a queued job works, and none of its nodes is ever contacted | `test_cancel_job_queued` |
| 3 | The cancelled state is durable: it is there after the daemon restarts | `test_cancel_job_persists_cancelled_state` |
| 4 | Cancel ends the job: `cancelled` if no node had succeeded, `partial` if some had | `test_cancel_job_finalizes_status` |
| 5 | Cancel of a running job marks its running and pending nodes `cancelled` | `test_cancel_running_job_sets_node_cancelled` |
| 6 | Every node that cancel ended has `completed_at` | `test_cancel_sets_completed_at_for_nodes` |
| 7 | A status call right after the reply to cancel shows `cancelled` | `test_immediate_cancel_shows_cancelled_immediately` |
| 8 | After cancel no further node becomes `running` | `test_cancel_during_running_prevents_new_running_nodes` |
| 9 | The reply to cancel carries the new status | `test_cancel_updates_job_status_immediately` |
| 10 | SSH is closed cleanly on cancel, timeout and failure: input closed, disconnect sent, close awaited, within `grace`; then the transport is cut. Nothing stays open on either side | `test_cancel_closes_ssh_cleanly` |
| 11 | A connect that exceeds its timeout fails the node, with an error that names connection and timeout, and with `completed_at` | `test_connect_timeout_marks_node_failed` |
| 12 | A command that exceeds its timeout fails the node in the same way | `test_command_timeout_marks_node_failed` |
| 13 | The error names its kind and its duration: `TimeoutError: Timed out after 600s`; it may go on to say in which phase | `test_timeout_error_message_includes_details` |
| 14 | Timeouts are positive and command >= connect; a configuration that breaks this is refused with the line that is wrong | `test_timeout_configuration_values` |
| 15 | The replies to start and cancel carry a `request_id`, the caller's if it gave one; it is in the daemon's log line of that call, and that of start is in the job | `test_cancel_reply_carries_request_id` |

Also required:

- The statuses of a job are `queued`, `running`, `succeeded`, `partial`, `failed`, `cancelled`; those
  of a node are `pending`, `running`, `succeeded`, `failed`, `cancelled`.
- Connect timeout: 30 s by default, $JOB_CONNECT_TIMEOUT_SEC. Command timeout: 600 s by default for
  each `file get`, $JOB_COMMAND_TIMEOUT_SEC. Both apply to every node on its own.
- Cancel can be repeated. Cancel of a job that has ended changes nothing and says so.

Against simulated nodes over real SSH, a real daemon and its real socket; and each row once more over
HTTP, as `cucmweb` serves it: the paths are those of the specification.
"""  # noqa: E501  a row of the table is one line

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cucmctl import JobNotFound
from cucmd.protocol.jobs import Job
from rig.daemon import Daemon, running_daemon
from rig.jobs import as_ended, in_phase, node, start, statuses, until
from rig.lab import Lab
from rig.parameters import more
from rig.quiet import assert_nothing_open, wait_until
from rig.web import DaemonOverHttp, running_web

MakeLab = Callable[..., Lab]
MakeDaemon = Callable[..., Daemon]


Over = Callable[[Daemon], Daemon]


@pytest.fixture(scope="module", params=["socket", pytest.param("http", marks=pytest.mark.long)])
def over(request: pytest.FixtureRequest) -> Over:
    """Gives the daemon as the test calls it: at its socket or over HTTP."""
    return DaemonOverHttp if request.param == "http" else lambda daemon: daemon


@pytest.fixture(scope="module")
def _daemon_of_a_module(over: Over, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Runs one daemon for all tests at the socket, and one with a `cucmweb` for all tests over
    HTTP.
    """
    folder = tmp_path_factory.mktemp("shared")
    with running_daemon(folder / "cucmd") as daemon:
        if over is not DaemonOverHttp:
            yield daemon
            return
        with running_web(folder / "web", daemon.socket) as web:
            assert web.ask("GET", "/readyz").status == 200  # it is connected to the daemon
            yield DaemonOverHttp(daemon, web)


@pytest.fixture
def daemon(
    over: Over, _daemon_of_a_module: Daemon, request: pytest.FixtureRequest
) -> Iterator[Daemon]:
    """Checks after each test that the daemon holds nothing. Over HTTP the check follows the last
    test.
    """
    if over is not DaemonOverHttp:
        yield request.getfixturevalue("shared_daemon")
        return
    yield _daemon_of_a_module
    _daemon_of_a_module.forget_host_keys()


def test_cancel_job_not_found(daemon: Daemon) -> None:
    with daemon.client() as client, pytest.raises(JobNotFound) as caught:
        client.cancel("000000000000")
    assert caught.value.parameters.job_id == "000000000000"


@pytest.mark.long
def test_cancel_job_queued(make_daemon: MakeDaemon, over: Over, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "1=hang:command")
    daemon = over(make_daemon("jobs = 1\n"))
    with daemon.client() as client:
        first = start(client, lab, lab.nodes[:1], grace=1)
        until(client, first.job_id, in_phase("command"))
        queued = start(client, lab, lab.nodes[1:])
        assert queued.status == "queued"
        reply = client.cancel(queued.job_id)
        after = client.status(queued.job_id)
    assert (reply.status, reply.cancelled) == ("cancelled", True)
    assert statuses(after) == ["cancelled"]
    assert after.started_at is None
    assert lab.report()["nodes"][lab.nodes[1]]["connections_ever"] == 0


@pytest.mark.long
def test_cancel_job_persists_cancelled_state(tmp_path: Path, over: Over, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--fault", "hang:command")
    with running_daemon(tmp_path / "cucmd") as daemon, over(daemon).client() as client:
        job = start(client, lab)
        until(client, job.job_id, in_phase("command"))
        client.cancel(job.job_id)
        daemon.kill()  # a kill: what the reply says must be on the disk
    with running_daemon(tmp_path / "cucmd") as daemon, over(daemon).client() as client:
        after = client.status(job.job_id)
    assert (after.status, after.cancelled, statuses(after)) == ("cancelled", True, ["cancelled"])


@pytest.mark.long
def test_cancel_job_finalizes_status(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "2=hang:command")
    with daemon.client() as client:
        some = start(client, lab, grace=1)
        until(client, some.job_id, lambda job: "succeeded" in statuses(job))
        reply = client.cancel(some.job_id)
        assert reply.status == "partial"
        assert some.job_id in reply.message
        assert reply.message.endswith(" partial")
        none = start(client, lab, lab.nodes[1:], grace=1)
        until(client, none.job_id, in_phase("command"))
        assert client.cancel(none.job_id).status == "cancelled"
        assert client.status(some.job_id).completed_at is not None


def test_cancel_running_job_sets_node_cancelled(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(3, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab, concurrency=2)
        until(client, job.job_id, lambda job: statuses(job) == ["running", "running", "pending"])
        client.cancel(job.job_id)
        assert statuses(client.status(job.job_id)) == ["cancelled"] * 3


def test_cancel_sets_completed_at_for_nodes(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(3, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab, concurrency=2)
        until(client, job.job_id, lambda job: "running" in statuses(job))
        client.cancel(job.job_id)
        after = client.status(job.job_id)
    assert all(one.completed_at is not None for one in after.nodes)
    assert after.completed_at is not None


def test_immediate_cancel_shows_cancelled_immediately(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(8, "--banner-delay", "5")
    with daemon.client() as client:
        job = start(client, lab)
        client.cancel(job.job_id)
        after = client.status(job.job_id)
    assert (after.status, set(statuses(after))) == ("cancelled", {"cancelled"})


def test_cancel_during_running_prevents_new_running_nodes(
    daemon: Daemon, make_lab: MakeLab
) -> None:
    lab = make_lab(6, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab, concurrency=2, grace=1)
        # A node is `running` before the daemon connects to it.
        until(client, job.job_id, lambda job: phases(job).count("command") == 2)
        client.cancel(job.job_id)
        wait_until(lambda: lab.report()["connections_now"] == 0)
        job = client.status(job.job_id)
        assert statuses(job) == ["cancelled"] * 6, [node.error for node in job.nodes]
    contacted = [one["connections_ever"] > 0 for one in lab.report()["nodes"].values()]
    assert contacted.count(True) == 2


def phases(job: Job) -> list[str | None]:
    return [one.phase for one in job.nodes]


def test_cancel_updates_job_status_immediately(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab)
        until(client, job.job_id, in_phase("command"))
        reply = client.cancel(job.job_id)
        assert (reply.job_id, reply.status, reply.cancelled) == (job.job_id, "cancelled", True)
        assert "2 of 2 nodes" in reply.message
        again = client.cancel(job.job_id)
        assert (again.status, again.cancelled) == ("cancelled", True)
        assert again.message not in {"", reply.message}


def test_cancel_of_a_finished_job_changes_nothing_and_says_so(
    daemon: Daemon, make_lab: MakeLab
) -> None:
    lab = make_lab(2)
    with daemon.client() as client:
        before = client.wait(start(client, lab).job_id)
        whole = client.cancel(before.job_id)
        one = client.cancel(before.job_id, lab.nodes[:1])
        assert as_ended(client.status(before.job_id)) == as_ended(before)
    assert (whole.status, whole.cancelled) == ("succeeded", False)
    assert "nothing changed" in whole.message
    assert (one.status, one.cancelled) == ("succeeded", False)
    assert "nothing changed" in one.message
    assert lab.nodes[0] in one.message


@pytest.mark.parametrize("ending", ["cancel", *more("timeout", "failure")])
def test_cancel_closes_ssh_cleanly(daemon: Daemon, make_lab: MakeLab, ending: str) -> None:
    fault = {"cancel": "trickle@2000", "timeout": "silent:sizing", "failure": "announce-more"}
    lab = make_lab(1, "--fault", fault[ending])
    before = daemon.descriptors()
    with daemon.client() as client:
        job = start(client, lab, connect=2, command=2 if ending == "timeout" else 60, grace=3)
        if ending == "cancel":
            until(client, job.job_id, lambda job: node(job, 0).bytes_received > 0)
            client.cancel(job.job_id)
        else:
            assert client.wait(job.job_id).status == "failed"
    wait_until(lambda: lab.report()["connections_now"] == 0)
    report = lab.report()
    assert report["closed_cleanly"] == report["connections_ever"]
    assert report["dropped"] == 0
    assert_nothing_open(daemon, before)


@pytest.mark.long
def test_connect_timeout_marks_node_failed(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "1=hang:accept")
    with daemon.client() as client:
        job = start(client, lab, connect=1)
        after = client.wait(job.job_id)
    failed, other = after.nodes
    assert (failed.status, failed.failure.code) == ("failed", "connect_timeout")
    assert "connection" in failed.error
    assert "timeout" in failed.error
    assert failed.completed_at is not None
    assert (other.status, after.status) == ("succeeded", "partial")


@pytest.mark.long
def test_command_timeout_marks_node_failed(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "1=hang:command")
    with daemon.client() as client:
        job = start(client, lab, connect=1, command=2, grace=1)
        after = client.wait(job.job_id)
    failed, other = after.nodes
    assert (failed.status, failed.failure.code) == ("failed", "command_timeout")
    assert "command" in failed.error
    assert failed.completed_at is not None
    assert (other.status, after.status) == ("succeeded", "partial")


@pytest.mark.long
def test_timeout_error_message_includes_details(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "1=hang:accept", "--fault", "2=hang:command")
    with daemon.client() as client:
        after = client.wait(start(client, lab, connect=1, command=2.5, grace=1).job_id)
    connect, command = after.nodes
    assert connect.error.startswith("TimeoutError: Timed out after 1s")
    assert command.error.startswith("TimeoutError: Timed out after 2.5s")


def test_timeout_configuration_values(tmp_path: Path) -> None:
    import subprocess
    import sys

    config = tmp_path / "wrong.toml"
    config.write_text("[timeouts]\nconnect = 60\nlogin = 10\ncommand = 30\n")
    command = [sys.executable, "-m", "cucmd", "check", "--config", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 78
    assert f"{config}:4" in result.stderr
    assert "command" in result.stderr
    config.write_text("[timeouts]\nconnect = 0\n")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 78
    assert f"{config}:2" in result.stderr


def test_cancel_reply_carries_request_id(daemon: Daemon, make_lab: MakeLab) -> None:
    lab = make_lab(1, "--fault", "hang:command")
    with daemon.client() as client:
        job = start(client, lab, request_id="case 698123456/1")
        own = client.cancel(job.job_id, request_id="case 698123456/2")
        made = client.cancel(job.job_id)
        assert client.status(job.job_id).request_id == "case 698123456/1"
    assert own.request_id == "case 698123456/2"
    assert made.request_id
    log = daemon.log.read_text()
    for request_id in ("case 698123456/1", own.request_id, made.request_id):
        assert f"request {request_id}" in log
