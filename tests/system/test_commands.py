"""Tests commands on lab nodes: every form, the kept output, and faults."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cucmctl import Client
from cucmd.job.work_request import How, Login, Timeouts
from cucmd.plan.resolve import MOST_COMMANDS
from cucmd.protocol.jobs import Job
from cucmd.vos.forms import FORMS
from rig.credentials import login_options
from rig.daemon import Daemon
from rig.jobs import statuses
from rig.lab import Lab, running_lab
from rig.quiet import wait_until

STATUS, SERVICES, NTP = "show status", "utils service list", "utils ntp status"
ARGUMENTS = {
    "show packages active": "*",
    "file list": "activelog syslog/* detail date reverse",
    "file search": "activelog syslog/* SdlSig reltime days 1",
    "show process load": "num 3 cpu",
    "show network eth0": "detail",
    "show process using-most cpu": "3",
    "show cert own": "tomcat/tomcat.pem",
    "utils network host": "cucm-pub detail",
    "utils network ping": "cucm-pub 2 100",
}
# A virtual machine refuses these (vos/NODES.md, section 6.9).
REFUSED = {"show memory count", "show memory modules", "show memory size"}


def login_of(lab: Lab) -> Login:
    return Login(lab.username, lab.password)


def run(client: Client, lab: Lab, *commands: str, **fields: object) -> Job:
    timeouts = Timeouts(**fields) if fields else None
    job = client.run(lab.nodes, commands, login=login_of(lab), how=How(timeouts=timeouts))
    return client.wait(job.job_id, timeout=60)


def batched(lines: list[str], most: int) -> Iterator[list[str]]:
    for begin in range(0, len(lines), most):
        yield lines[begin : begin + most]


def texts(client: Client, job: Job) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for piece in client.output(job.job_id):
        key = piece.node, piece.command
        found[key] = found.get(key, "") + piece.text
    return found


@pytest.mark.long
def test_lab_answers_every_form(daemon: Daemon) -> None:
    lines = [f"{form.head} {ARGUMENTS.get(form.head, '')}".strip() for form in FORMS]
    answered = [line for line in lines if line not in REFUSED]
    with running_lab(1) as lab, daemon.client() as client:
        said: dict[tuple[str, str], str] = {}
        for some in batched(answered, MOST_COMMANDS):
            job = run(client, lab, *some)
            assert (job.status, job.kind) == ("succeeded", "run"), job.nodes[0].error
            said |= texts(client, job)
        jobs = -(-len(answered) // MOST_COMMANDS)
        assert [command for _, command in said] == answered
        assert all(text.strip() for text in said.values())
        searched = next(line for line in answered if line.startswith("file search"))
        assert "SdlSig" in said[lab.nodes[0], searched]
        assert (lab.report()["logins"], lab.report()["commands"]) == (jobs, len(answered) + jobs)

        job = run(client, lab, *sorted(REFUSED))
        failure = job.nodes[0].failure
        assert (job.status, failure.code) == ("failed", "command_refused")
        assert failure.message.startswith("3 of 3 ")
        assert "'show memory count'" in failure.message


@pytest.mark.long
def test_run_prints_and_keeps_output(tmp_path: Path, daemon: Daemon) -> None:
    with running_lab(3) as lab:
        target = (*lab.nodes, *login_options(tmp_path, lab))
        plain = daemon.ctl("run", *target, "--", "show", "status", "--then", SERVICES)
        as_json = daemon.ctl("--json", "run", *target, "--", NTP)
    assert plain.returncode == as_json.returncode == 0, plain.stderr
    heads = [line for line in plain.stdout.splitlines() if line.startswith("=== ")]
    assert sorted(heads) == sorted(
        f"=== {node}: {command}" for node in lab.nodes for command in (STATUS, SERVICES)
    )
    assert [head.partition(": ")[2] for head in heads] == [STATUS, SERVICES] * 3  # node by node
    *outputs, last = (json.loads(line) for line in as_json.stdout.splitlines())
    assert sorted(one["output"]["node"] for one in outputs) == sorted(lab.nodes)
    parsed = {one["output"]["node"]: one["output"]["parsed"] for one in outputs}
    assert [parsed[node]["stratum"] for node in lab.nodes] == [2, 3, 3]
    assert last["job"]["status"] == "succeeded"

    job_id = plain.stderr.partition("job ")[2].split()[0]
    files = daemon.ctl("files", job_id)
    assert len([line for line in files.stdout.splitlines() if "output/001-show" in line]) == 3
    said = daemon.ctl("transcript", job_id, lab.nodes[0])
    assert f"> {STATUS}" in said.stdout
    out = tmp_path / "x"
    done = daemon.ctl("export", job_id, "--format", "dir", "-o", str(out))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["job"]["work"]["commands"] == [STATUS, SERVICES]
    assert len(manifest["files"]) == 6
    kept = [out / one["path"] for one in manifest["files"]]
    assert {str(path.parent.relative_to(out)) for path in kept} == {
        f"{node.replace(':', '_')}/output" for node in lab.nodes
    }
    assert all(path.read_text().strip() for path in kept)
    assert daemon.ctl("verify", job_id).returncode == 0
    listed = json.loads(daemon.ctl("--json", "list", "--kind", "run").stdout)
    assert len(listed) == 2
    shown = daemon.ctl("status", job_id)
    assert f"runs {STATUS}" in shown.stdout


@pytest.mark.long
def test_faults_in_middle_of_answers(daemon: Daemon) -> None:
    faults = ["1=pager-again", "2=question*1", "3=silent-answer*1", "4=drop:prepare"]
    options = [word for fault in faults for word in ("--fault", fault)]
    with running_lab(5, *options) as lab, daemon.client() as client:
        job = run(client, lab, STATUS, SERVICES, command=8, connect=8, grace=2)
        paged, asked, silent, dropped, healthy = job.nodes
        assert statuses(job) == ["succeeded", "failed", "failed", "failed", "succeeded"]
        assert [one.failure and one.failure.code for one in (asked, silent, dropped)] == [
            "command_refused",
            "command_timeout",
            "connection_lost",
        ]
        assert "Continue (y/n)?" in asked.failure.message
        assert silent.error.startswith("TimeoutError: Timed out after 8s in 'show status'")
        said = texts(client, job)
        whole = said[healthy.node, STATUS].splitlines()
        assert len(said[paged.node, STATUS].splitlines()) == len(whole)
        assert "Press <enter>" not in said[paged.node, STATUS]
        # The output before the question is kept, and all output of the next command.
        assert 0 < len(said[asked.node, STATUS].splitlines()) < len(whole)
        assert said[asked.node, SERVICES] == said[healthy.node, SERVICES]
        assert 0 < len(said[silent.node, STATUS].splitlines()) < len(whole)
        assert (silent.node, SERVICES) not in said
        typed = "".join(client.transcript(job.job_id, asked.node)).splitlines()
        sent = [line.partition(" > ")[2] for line in typed if " > " in line]
        assert sent == ["set cli pagination off", STATUS, "^C", SERVICES, "quit"]
        wait_until(lambda: lab.report()["connections_now"] == 0)
        assert lab.report()["interrupts"] == 2  # the question, and the silence
