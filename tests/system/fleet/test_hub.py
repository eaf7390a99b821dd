"""The hub before two sites: its socket, with the clients of the daemon."""

import json
import socket
from base64 import b64decode
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import trio

from cucmctl import Client, Commands, InvalidRequest, JobBusy, Login, NotAtHub
from rig.fleet import LAB, Fleet, collect, ended, run
from rig.jobs import in_phase, statuses, until
from rig.lab import Lab
from rig.quiet import wait_until
from rig.varlink_peer import CORPUS, answer, dial

pytestmark = pytest.mark.long


def test_job_of_two_sites(client: Client, lab: Lab) -> None:
    job = run(client, f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[1]}")
    job = ended(client, job)
    assert job.status == "succeeded"
    assert [node.node for node in job.nodes] == [f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[1]}"]


def test_site_keeps_who_asked(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = ended(client, run(client, f"berlin/{lab.nodes[0]}", labels={"case": "1"}))
    with fleet.daemons["berlin"].client() as site:
        (there,) = site.list(labels={"hub": job.job_id})
    assert (there.asked_by, there.labels) == ("root", {"case": "1", "hub": job.job_id})
    assert job.directory.startswith("berlin:/")


def test_events_say_who_and_how(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = ended(client, run(client, f"berlin/{lab.nodes[1]}"))

    async def last(operation: str) -> dict:
        async with fleet.as_hub() as hub:
            wanted = {"last_by_subj": f"ev.berlin.{operation}"}
            found = await hub.ask("STREAM.MSG.GET.EV", wanted)
            return json.loads(b64decode(found["message"]["data"]))

    asked = trio.run(last, "start")
    assert (asked["job_id"], asked["speaker"]) == (job.job_id, "root")
    assert asked["start"]["nodes"] == [lab.nodes[1]]
    wait_until(lambda: trio.run(last, "ended")["job_id"] == job.job_id)
    end = trio.run(last, "ended")
    assert ([end["local_id"]], end["status"]) == (fleet.jobs_at("berlin", job.job_id), "succeeded")


def test_same_start_key_is_one_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    ids = {run(client, f"berlin/{lab.nodes[0]}", start_key="k").job_id for _ in range(2)}
    assert len(ids) == 1
    with fleet.daemons["berlin"].client() as site:
        ended(client, run(client, f"berlin/{lab.nodes[1]}"))  # commands of a site keep their order
        assert len(site.list(labels={"hub": ids.pop()})) == 1


def test_cancel_reaches_site(client: Client, lab: Lab) -> None:
    job = collect(client, f"berlin/{lab.nodes[2]}", f"munich/{lab.nodes[2]}")
    until(client, job.job_id, in_phase("command"))
    client.cancel(job.job_id, [f"munich/{lab.nodes[2]}"])
    until(client, job.job_id, lambda job: statuses(job) == ["running", "cancelled"])
    client.cancel(job.job_id)
    assert ended(client, job).status == "cancelled"


def test_retry_runs_again(client: Client, lab: Lab) -> None:
    job = collect(client, f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[2]}")
    until(client, job.job_id, lambda job: statuses(job) == ["succeeded", "running"])
    with pytest.raises(JobBusy):
        client.retry(job.job_id, [f"munich/{lab.nodes[2]}"])
    client.cancel(job.job_id)
    assert ended(client, job).status == "partial"
    wait_until(lambda: client.status(job.job_id).closed)
    again = client.retry(job.job_id)
    assert (again.status, again.nodes[0].status) == ("running", "succeeded")
    until(client, job.job_id, lambda job: statuses(job) == ["succeeded", "running"])
    client.cancel(job.job_id)
    assert [node.attempt for node in ended(client, job).nodes] == [1, 2]


@pytest.mark.parametrize(
    ("node", "login", "parameter"),
    [
        ("berlin/{}", Login("x", "y"), "login.password"),
        ("berlin/{}", Login("x", kept=True), "login.kept"),
        ("{}", LAB, "nodes"),
        ("paris/{}", LAB, "nodes"),
        ("berlin/", LAB, "nodes"),
    ],
)
def test_start_is_refused(
    client: Client, lab: Lab, node: str, login: Login, parameter: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.start([node.format(lab.nodes[0])], Commands(("show status",)), login=login)
    assert refused.value.parameters.parameter == parameter


def test_site_refuses_start(client: Client, lab: Lab) -> None:
    nodes = [f"berlin/{lab.nodes[0]}"]
    job = client.run(nodes, ["show status"], login=Login(credential="no"))
    (node,) = ended(client, job).nodes
    assert (node.status, node.failure.code) == ("failed", "refused_at_site")
    assert "'no'" in node.failure.message
    client.retry(job.job_id, login=LAB)
    assert ended(client, job).status == "succeeded"


def test_other_methods_name_the_site(client: Client, fleet: Fleet, lab: Lab) -> None:
    job = ended(client, run(client, f"munich/{lab.nodes[0]}"))
    with fleet.daemons["munich"].client() as site:
        (there,) = site.list(labels={"hub": job.job_id})
    for call in (lambda: [*client.files(job.job_id)], lambda: client.delete(job.job_id)):
        with pytest.raises(NotAtHub) as elsewhere:
            call()
        assert elsewhere.value.parameters.sites == (f"munich (job {there.job_id})",)
    with pytest.raises(NotAtHub) as elsewhere, client.export(job.job_id):
        pass
    with pytest.raises(NotAtHub) as elsewhere:
        client.profiles()
    assert elsewhere.value.parameters.sites == ("berlin", "munich")


def test_second_hub_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    file, text = tmp_path / "cucmhub.toml", fleet.config.read_text()
    file.write_text(text.replace(str(fleet.socket), str(fleet.socket.with_name("other.sock"))))
    done = fleet.run("serve", "--config", str(file))
    assert done.returncode == 69
    assert f"process {fleet.processes['hub'].process.pid}" in done.stderr


def test_list_filters(client: Client, lab: Lab) -> None:
    first, second = (run(client, f"berlin/{lab.nodes[0]}", labels={"n": n}) for n in "12")
    assert [job.job_id for job in client.list(labels={"n": "2"})] == [second.job_id]
    assert [job.job_id for job in client.list(before=second.job_id, limit=1)] == [first.job_id]
    ended(client, second)
    listed = client.list(target=f"berlin/{lab.nodes[0]}", status="succeeded", kind="run")
    assert second.job_id in [job.job_id for job in listed]


def test_watch_of_all_jobs(client: Client, fleet: Fleet, lab: Lab) -> None:
    with fleet.client() as other:
        changes = other.watch(changes=True)
        next(changes)
        job = run(client, f"berlin/{lab.nodes[0]}")
        own = (each.change for each in changes if each.change.job_id == job.job_id)
        change = next(own)
        nodes = {node.node: node for node in change.nodes}
        while not change.closed:
            after = next(own)
            assert after.revision >= change.revision
            change = after
            nodes |= {node.node: node for node in change.nodes}
    assert [node.status for node in nodes.values()] == ["succeeded"]


def test_cucmctl_works_unchanged(fleet: Fleet, lab: Lab) -> None:
    node, hangs = f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[2]}"
    options = ("--credential", "lab", "--last", "2h", "--path", "cm/trace/ccm/sdl")
    started = fleet.ctl("start", node, "--wait", *options)
    assert started.returncode == 0, started.stderr
    assert "cucmctl export" not in started.stderr  # the hub has no files
    job_id = started.stdout.strip()
    assert job_id in fleet.ctl("list").stdout
    shown = fleet.ctl("status", job_id)
    assert (shown.returncode, node in shown.stdout) == (0, True)
    assert fleet.ctl("watch", job_id).returncode == 0
    assert fleet.ctl("clusters").returncode == 0
    hanging = fleet.ctl("start", hangs, *options).stdout.strip()
    assert fleet.ctl("cancel", hanging).returncode == 0
    assert fleet.ctl("wait", hanging).returncode == 4


def test_run_says_where_outputs_are(fleet: Fleet, lab: Lab) -> None:
    command = ("--credential", "lab", "--", "show", "status")
    ran = fleet.ctl("run", f"berlin/{lab.nodes[0]}", *command)
    assert ran.returncode == 0, ran.stderr
    assert "berlin (job " in ran.stderr


@pytest.mark.parametrize("name", CORPUS)
def test_varlink_corpus_gets_same_answers(fleet: Fleet, name: str) -> None:
    expected = answer(dial(fleet.daemons["berlin"].socket), CORPUS[name])
    expected = expected.replace(b'"product":"cucmd"', b'"product":"cucmhub"')
    assert answer(dial(fleet.socket), CORPUS[name]) == expected


def test_local_flood_delays_no_job(client: Client, fleet: Fleet, lab: Lab) -> None:
    def call(stream: socket.socket, method: str, **flags: bool) -> None:
        call = {"method": f"io.cucmd.Jobs.{method}", "parameters": {}, **flags}
        stream.sendall(json.dumps(call).encode() + b"\0")

    with ExitStack() as stack:
        for _ in range(24):  # they never read what the hub sends
            deaf = stack.enter_context(socket.socket(socket.AF_UNIX))
            deaf.connect(str(fleet.socket))
            deaf.settimeout(0.05)
            call(deaf, "Watch", more=True)
            with suppress(TimeoutError):
                for _ in range(1000):
                    call(deaf, "List")
        before = fleet.processes["hub"].memory()
        for _ in range(10):
            job = run(client, f"berlin/{lab.nodes[0]}")
            assert client.wait(job.job_id, timeout=20).status == "succeeded"
        assert fleet.processes["hub"].memory() - before < 20_000_000
