"""systemd's `varlinkctl`, a client that is not ours, against the server and the whole daemon."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
import trio

from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.example_interface import NAME, Example
from rig.jobs import SDL
from rig.lab import Lab, free_port, running_lab
from rig.quiet import wait_until
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
    introspected = run("introspect", address, "io.cucmd.Jobs")
    text = introspected.stdout
    # What it cannot parse, an empty struct among it, it says here and shows the text all the same.
    assert introspected.stderr == ""
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


class Varlinkctl:
    """Calls of a daemon's methods."""

    def __init__(self, daemon: Daemon) -> None:
        self._address = f"unix:{daemon.socket}"

    def __call__(self, method: str, **parameters: object) -> dict:
        (reply,) = self._replies(method, parameters)
        return reply

    def more(self, method: str, **parameters: object) -> list[dict]:
        return self._replies(method, parameters, "--more")

    def error(self, method: str, **parameters: object) -> str:
        done = self._run(method, parameters)
        assert done.returncode != 0
        return done.stdout + done.stderr

    def begin(self, method: str, **parameters: object) -> subprocess.Popen[str]:
        """Starts a stream without an end."""
        call = ("call", self._address, f"io.cucmd.Jobs.{method}", json.dumps(parameters))
        command = ["varlinkctl", "--no-pager", "--json=short", "-E", *call]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRON)

    def _replies(self, method: str, parameters: dict, *options: str) -> list[dict]:
        done = self._run(method, parameters, *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.replace("\x1e", "").splitlines()]

    def _run(self, method: str, parameters: dict, *options: str) -> subprocess.CompletedProcess:
        call = ("call", self._address, f"io.cucmd.Jobs.{method}", json.dumps(parameters))
        return run("--json=short", *options, *call)


def reply_in(lines: IO[str]) -> dict:
    """Returns the next one."""
    return json.loads(lines.readline().replace("\x1e", ""))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Node 2 refuses the first command."""
    with running_lab(2, "--files", "3", "--fault", "2=refuse-command*1") as lab:
        yield lab


def ended(call: Varlinkctl, job_id: str) -> dict:
    """Returns the last change of a watch of the job."""
    first, *later = call.more("Watch", job_id=job_id, changes=True)
    assert first["job"]["job_id"] == job_id
    assert [reply.get("job") for reply in later] == [None] * len(later)
    revisions = [reply["change"]["revision"] for reply in later]
    assert revisions == sorted(revisions)
    return later[-1]["change"] if later else first["job"]


def closed(call: Varlinkctl, job_id: str) -> dict:
    wait_until(lambda: call("Status", job_id=job_id)["job"]["closed"])
    return call("Status", job_id=job_id)["job"]


def request_of(lab: Lab, nodes: list[str]) -> dict:
    return {
        "nodes": nodes,
        "login": {"username": lab.username, "password": lab.password},
        "collection": {"paths": [SDL], "last": "2h"},
    }


@pytest.mark.long
def test_a_running_job_is_watched_and_cancelled(daemon: Daemon) -> None:
    call = Varlinkctl(daemon)
    with running_lab(1, "--fault", "silent:command") as silent:
        job_id = call("Start", **request_of(silent, silent.nodes))["job"]["job_id"]
        with call.begin("Watch", job_id=job_id, changes=True) as watch:
            assert watch.stdout is not None
            assert reply_in(watch.stdout)["job"]["job_id"] == job_id
            wait_until(lambda: call("Status", job_id=job_id)["job"]["status"] == "running")
            call("Cancel", job_id=job_id)
            *_, last = watch.stdout
    assert json.loads(last.replace("\x1e", ""))["change"]["status"] == "cancelled"
    assert watch.returncode == 0


@pytest.mark.long
def test_a_case_from_start_to_delete(daemon: Daemon, lab: Lab) -> None:
    """It calls every method about what a job has collected."""
    call = Varlinkctl(daemon)
    request = {**request_of(lab, lab.nodes), "labels": {"case": "1"}, "start_key": "k"}
    job_id = call("Start", **request)["job"]["job_id"]
    assert call("Start", **request)["job"]["job_id"] == job_id
    assert ended(call, job_id)["status"] == "partial"
    assert closed(call, job_id)["labels"] == {"case": "1"}

    login = request["login"]
    again = call("Retry", job_id=job_id, nodes=[lab.nodes[1]], login=login, start_key="l")["job"]
    assert (again["job_id"], again["retries"], again["closed"]) == (job_id, 1, False)
    assert call("Retry", job_id=job_id, login=login, start_key="l", nodes=[lab.nodes[1]])
    assert ended(call, job_id)["status"] == "succeeded"
    assert closed(call, job_id)["retries"] == 1

    *files, last = call.more("Files", job_id=job_id)
    assert last == {"files": []}
    found = [file for reply in files for file in reply["files"]]
    assert len([file for file in found if file["exported"] and file["complete"]]) == 6
    of_one = call.more("Files", job_id=job_id, nodes=lab.nodes[:1])
    assert {file["node"] for reply in of_one for file in reply["files"]} == {lab.nodes[0]}
    verified = call.more("Verify", job_id=job_id)[-1]
    assert (verified["files"], verified["wrong"]) == (6, [])
    said = call.more("Transcript", job_id=job_id, node=lab.nodes[0], follow=True)
    assert f"file get activelog {SDL}" in "".join(reply["text"] for reply in said)
    labelled = call("Label", job_id=job_id, labels={"case": "", "site": "bern"})["job"]
    assert labelled["labels"] == {"site": "bern"}
    assert "upgrade" in call.error("Export", job_id=job_id)

    deleted = call("Delete", job_id=job_id, files_only=True)
    assert (deleted["job"]["job_id"], deleted["bytes"] > 0) == (job_id, True)
    assert call("Status", job_id=job_id)["job"]["files_deleted"]
    call("Delete", job_id=job_id)
    assert "JobNotFound" in call.error("Status", job_id=job_id)


@pytest.mark.long
def test_a_cluster_is_asked_and_commands_are_run_on_it(tmp_path: Path) -> None:
    """It calls every method about what the daemon knows, about commands, and about checks."""
    with ExitStack() as stack:
        lab = stack.enter_context(running_lab(2, "--port", free_port()))
        login = {"username": lab.username, "password": lab.password}
        config = (
            CONFIG
            + named_credential(tmp_path / "given", "lab", **login)
            + f'[clusters.berlin]\npublisher = "{lab.nodes[0]}"\n'
        )
        call = Varlinkctl(stack.enter_context(running_daemon(tmp_path, config)))

        (credential,) = call("Credentials")["credentials"]
        assert (credential["name"], credential["tied"]) == ("lab", False)
        (profile,) = call("Profiles", name="callmanager")["profiles"]
        assert profile["paths"]
        assert "ProfileNotFound" in call.error("Profiles", name="nobody")
        (cluster,) = call("Clusters")["clusters"]
        assert (cluster["name"], cluster["nodes_total"]) == ("berlin", 1)

        request = {"nodes": lab.nodes[:1], "login": {"credential": "lab"}, "start_key": "d"}
        request |= {"discovery": {}}
        job_id = call("Start", **request)["job"]["job_id"]
        assert call("Start", **request)["job"]["job_id"] == job_id
        assert ended(call, job_id)["status"] == "succeeded"
        found = closed(call, job_id)["nodes"][0]["found"]
        assert [member["node"] for member in found["members"]] == lab.nodes
        (cluster,) = call("Clusters", name="berlin")["clusters"]
        assert (cluster["nodes_total"], cluster["job_id"]) == (2, job_id)
        assert [node["node"] for node in cluster["nodes"]] == lab.nodes

        commands = ["show status", "utils service list"]
        request = {"nodes": ["berlin"], "discovered": ["berlin"], "start_key": "r"}
        request |= {"login": login, "commands": {"lines": commands}}
        job_id = call("Start", **request)["job"]["job_id"]
        assert call("Start", **request)["job"]["job_id"] == job_id
        assert ended(call, job_id)["status"] == "succeeded"
        *printed, last = call.more("Output", job_id=job_id)
        assert last.get("output") is None
        whole = [one["output"] for one in printed if one["output"]["ended"]]
        assert sorted((one["node"], one["command"]) for one in whole) == sorted(
            (node, command) for node in lab.nodes for command in commands
        )
        assert all(one["complete"] and one["parsed"] for one in whole)
        of_one = call.more("Output", job_id=job_id, nodes=lab.nodes[1:])
        assert {one["output"]["node"] for one in of_one[:-1]} == {lab.nodes[1]}
        refused = call.error(
            "Start", **{**request, "commands": {"lines": ["utils system restart"]}}
        )
        assert "InvalidRequest" in refused

        request = {"nodes": ["berlin"], "discovered": ["berlin"], "start_key": "c"}
        request |= {"login": login, "check": {"receiver": True}}
        job_id = call("Start", **request)["job"]["job_id"]
        assert call("Start", **request)["job"]["job_id"] == job_id
        assert ended(call, job_id)["status"] == "succeeded"
        seen = [node["checked"] for node in closed(call, job_id)["nodes"]]
        assert [(one["host_key"], one["receiver"]) for one in seen] == [("known", "ok")] * 2
        assert "InvalidRequest" in call.error(
            "Start", **request, commands={"lines": ["show status"]}
        )


@pytest.mark.long
def test_packets_are_captured_and_a_capture_is_stopped(daemon: Daemon) -> None:
    with running_lab(2, "--packets", "400") as lab:
        call = Varlinkctl(daemon)
        login = {"username": lab.username, "password": lab.password}
        request = {"nodes": lab.nodes, "login": login, "start_key": "c"}
        request |= {"capture": {"port": 5060, "count": 25, "size": 80}}
        job_id = call("Start", **request)["job"]["job_id"]
        assert call("Start", **request)["job"]["job_id"] == job_id
        assert ended(call, job_id)["status"] == "succeeded"
        job = closed(call, job_id)
        assert job["kind"] == "capture"
        assert (job["capture"]["count"], job["capture"]["size"]) == (25, 80)
        assert [one["capture"]["packets"] for one in job["nodes"]] == [25, 25]

        request = {**request, "start_key": "s", "capture": {"port": 5060, "duration": 600.0}}
        job_id = call("Start", **request)["job"]["job_id"]
        wait_until(lambda: lab.report()["captures_now"] == 2)
        stopped = call("Stop", job_id=job_id, request_id="mine")
        assert (stopped["job"]["job_id"], stopped["request_id"]) == (job_id, "mine")
        ended(call, job_id)
        job = closed(call, job_id)
        assert [one["capture"]["how"] for one in job["nodes"]] == ["stop", "stop"]
        assert "InvalidRequest" in call.error("Stop", job_id=job_id)
        assert "InvalidRequest" in call.error(
            "Start", **{**request, "capture": {"duration": 1201.0}}
        )


@pytest.mark.long
def test_jobs_are_listed_pruned_and_watched(daemon: Daemon, lab: Lab) -> None:
    call = Varlinkctl(daemon)
    request = request_of(lab, lab.nodes[:1])
    jobs = []
    for case in ("1", "2", "3"):  # each ends before the next: a prune goes by their ends
        labels = {"case": case, "site": "bern"}
        jobs.append(call("Start", **request, labels=labels)["job"]["job_id"])
        ended(call, jobs[-1])
        closed(call, jobs[-1])

    def listed(**which: object) -> tuple[list[str], int]:
        reply = call("List", **which)
        return [job["job_id"] for job in reply["jobs"]], reply["older"]

    assert listed() == (jobs[::-1], 0)
    assert listed(limit=1) == (jobs[2:], 2)
    assert listed(before=jobs[2], limit=1) == ([jobs[1]], 1)
    assert listed(labels={"case": "2", "site": "bern"}) == ([jobs[1]], 0)
    assert listed(target=lab.nodes[0], status="succeeded", before=jobs[1]) == ([jobs[0]], 0)
    assert listed(since="2099-01-01T00:00:00Z") == ([], 0)
    assert listed(status="failed") == ([], 0)
    assert '"status"' in call.error("List", status="finished")

    meant = call("Prune", keep=1, labels={"site": "bern"}, dry_run=True)
    assert [job["job_id"] for job in meant["jobs"]] == jobs[1::-1]
    assert listed() == (jobs[::-1], 0)
    assert "InvalidRequest" in call.error("Prune")
    assert call("Prune", keep=1, labels={"site": "bern"}) == meant
    assert listed() == (jobs[2:], 0)


@pytest.mark.long
def test_all_jobs_are_watched_from_those_that_run(daemon: Daemon, lab: Lab) -> None:
    call = Varlinkctl(daemon)
    before = call("Start", **request_of(lab, lab.nodes[:1]))["job"]["job_id"]
    ended(call, before)
    closed(call, before)
    watching = call.begin("Watch", changes=True)
    with watching, watching.stdout as lines:
        assert not reply_in(lines)["jobs"], "none runs"
        job_id = call("Start", **request_of(lab, lab.nodes[:1]))["job"]["job_id"]
        # One of the earlier job may still come: what its files cover is read after it is closed.
        changes = iter(lambda: reply_in(lines)["change"], None)
        of_this = (change for change in changes if change["job_id"] == job_id)
        last = next(change for change in of_this if change["closed"])
        assert last["status"] == "succeeded"
        watching.terminate()


@pytest.mark.long
def test_the_configuration_is_read_again(daemon: Daemon) -> None:
    call = Varlinkctl(daemon)
    assert call("Reload") == {"after_restart": []}
    config = daemon.folder / "cucmd.toml"
    config.write_text(config.read_text() + '[profiles.x]\npaths = ["a"]\n[varlink\n')
    assert "ReloadFailed" in call.error("Reload")
