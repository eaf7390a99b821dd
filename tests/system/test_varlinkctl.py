"""Tests systemd's `varlinkctl`, a foreign client, against the server and the whole daemon."""

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
from rig.varlink_peer import serving

pytestmark = pytest.mark.skipif(
    shutil.which("varlinkctl") is None, reason="varlinkctl (systemd 255 or later) is not installed"
)
ENVIRON = {**os.environ, "LC_ALL": "C"}


async def varlinkctl(*arguments: str) -> subprocess.CompletedProcess:
    command = ["varlinkctl", "--no-pager", *arguments]
    return await trio.run_process(
        command,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )


async def test_varlinkctl_reads_the_service_information(socket_path: Path) -> None:
    async with serving(socket_path, Example()):
        info = await varlinkctl("--json=short", "info", f"unix:{socket_path}")
        methods = await varlinkctl("list-methods", f"unix:{socket_path}")
        text = await varlinkctl("introspect", f"unix:{socket_path}", NAME)
        own = await varlinkctl("introspect", f"unix:{socket_path}", "org.varlink.service")
    assert json.loads(info.stdout)["product"] == "Test"
    assert f"{NAME}.Echo" in methods.stdout.decode().split()
    assert b"type Inner" in text.stdout
    assert b"# A test." in text.stdout
    assert b"error ExpectedMore()" in own.stdout
    assert [one.returncode for one in (info, methods, text, own)] == [0, 0, 0, 0]


async def test_varlinkctl_calls_and_is_answered(socket_path: Path) -> None:
    async with serving(socket_path, Example()):
        reply = await varlinkctl("call", f"unix:{socket_path}", f"{NAME}.Echo", '{"text":"hello"}')
        error = await varlinkctl("call", f"unix:{socket_path}", f"{NAME}.Refuse", '{"text":"cake"}')
        wrong = await varlinkctl("call", f"unix:{socket_path}", f"{NAME}.Echo", '{"txt":"hello"}')
        stream = await varlinkctl(
            "call", "--more", "--json=short", f"unix:{socket_path}", f"{NAME}.Count", '{"upto":3}'
        )
    assert json.loads(reply.stdout) == {"text": "hello"}
    assert (error.returncode, b"NotThere" in error.stderr) == (1, True)
    assert json.loads(wrong.stdout)["parameter"] == "txt"
    replies = stream.stdout.decode().replace("\x1e", "").splitlines()  # RFC 7464
    numbers = [json.loads(reply)["number"] for reply in replies]
    assert (stream.returncode, numbers) == (0, [1, 2, 3])


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
    # varlinkctl cannot parse some definitions, such as an empty struct, but shows the text.
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
    """Calls methods of a daemon."""

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
        """Starts a stream that does not end."""
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
    """Returns the next reply."""
    return json.loads(lines.readline().replace("\x1e", ""))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Runs two nodes; node 2 refuses the first command."""
    with running_lab(2, "--files", "3", "--fault", "2=refuse-command*1") as lab:
        yield lab


def ended(call: Varlinkctl, job_id: str) -> dict:
    """Returns the last change in a watch of the job."""
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
def test_running_job_is_watched_and_cancelled(daemon: Daemon) -> None:
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
def test_case_from_start_to_delete(daemon: Daemon, lab: Lab) -> None:
    """It calls every method for what a job has collected."""
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
def test_commands_run_on_discovered_cluster(tmp_path: Path) -> None:
    """It calls every method for clusters, commands and checks."""
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
