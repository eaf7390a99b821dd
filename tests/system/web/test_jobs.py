"""Jobs over HTTP, with a real daemon and simulated nodes."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable

import msgspec
import pytest

from cucmd.protocol.jobs import Job
from rig.daemon import Daemon
from rig.lab import Lab
from rig.quiet import wait_until
from rig.web import Web

pytestmark = pytest.mark.long


MakeLab = Callable[..., Lab]


@pytest.fixture
def web(shared_web: Web) -> Web:
    return shared_web


@pytest.fixture
def daemon(_daemon_of_a_module: Daemon) -> Daemon:
    """The daemon behind `web`."""
    return _daemon_of_a_module


def request(lab: Lab, **more: object) -> dict[str, object]:
    return {
        "nodes": list(lab.nodes),
        "login": {"username": lab.username, "password": lab.password},
        "collection": {"paths": ["cm/trace/ccm/sdl"], "last": "2h"},
        **more,
    }


def ended(web: Web, job_id: str) -> Job:
    """Waits until the job is closed, and returns it."""
    with web.events(f"/jobs/{job_id}/events") as events:
        for _ in events:
            pass
    return msgspec.json.decode(web.ask("GET", f"/jobs/{job_id}").body, type=Job)


@pytest.fixture
def job(web: Web, make_lab: MakeLab) -> Job:
    """A closed job on two nodes."""
    answer = web.ask("POST", "/jobs", request(make_lab(2)))
    assert answer.status == 201
    assert answer.headers["location"] == f"/jobs/{answer.json()['job_id']}"
    return ended(web, answer.json()["job_id"])


def test_job_can_be_read(web: Web, job: Job) -> None:
    assert job.status == "succeeded"
    path = f"/jobs?status=succeeded&limit=5&target={job.nodes[0].node}"
    [listed] = web.ask("GET", path).json()["jobs"]
    assert listed["job_id"] == job.job_id
    files = web.ask("GET", f"/jobs/{job.job_id}/files").json()["files"]
    one = [file for file in files if file["node"] == job.nodes[0].node]
    assert len(files) == 2 * len(one) > 0
    named = web.ask("GET", f"/jobs/{job.job_id}/files?nodes={job.nodes[0].node}").json()["files"]
    assert named == one
    said = web.ask("GET", f"/jobs/{job.job_id}/nodes/{job.nodes[0].node}/transcript")
    assert b"file get activelog" in said.body
    verified = web.ask("POST", f"/jobs/{job.job_id}/verify").body.splitlines()
    assert json.loads(verified[-1])["files"] == len(files)


def test_export_equals_cucmctl_export(web: Web, daemon: Daemon, job: Job) -> None:
    for form in ("zip", "tar"):
        answer = web.ask("GET", f"/jobs/{job.job_id}/export.{form}")
        assert answer.headers["content-disposition"].endswith(f'"cucmd-{job.job_id}.{form}"')
        own = daemon.ctl("export", job.job_id, "--format", form, "-o", "-", text=False)
        assert answer.body == own.stdout
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        names = tar.getnames()
    one = web.ask("GET", f"/jobs/{job.job_id}/export.zip?nodes={job.nodes[0].node}")
    assert 0 < len(zipfile.ZipFile(io.BytesIO(one.body)).namelist()) < len(names)


def test_label_and_delete(web: Web, job: Job) -> None:
    path = f"/jobs/{job.job_id}"
    assert web.ask("PATCH", path, {"labels": {"case": "1"}}).json()["labels"] == {"case": "1"}
    assert web.ask("GET", "/jobs?labels=case=1").json()["jobs"]
    assert web.ask("GET", "/jobs?labels=case=2").json()["jobs"] == []
    assert web.ask("DELETE", f"{path}?files_only=true").json()["bytes"] > 0
    assert web.ask("GET", path).json()["files_deleted"] is True
    assert web.ask("DELETE", path).status == 200
    assert web.ask("GET", path).status == 404


def test_output_and_retry(web: Web, make_lab: MakeLab) -> None:
    lab = make_lab(2, "--fault", "2=hang:accept")
    asked = request(lab, commands={"lines": ["show status"]}, timeouts={"connect": 1})
    del asked["collection"]
    job = ended(web, web.ask("POST", "/jobs", asked).json()["job_id"])
    assert [one.status for one in job.nodes] == ["succeeded", "failed"]
    assert job.nodes[1].error.startswith("TimeoutError: Timed out after 1s")
    lines = web.ask("GET", f"/jobs/{job.job_id}/output").body.splitlines()
    assert {json.loads(line)["command"] for line in lines} == {"show status"}
    again = web.ask("POST", f"/jobs/{job.job_id}/retry", {"login": asked["login"]})
    assert again.json()["retries"] == 1
    stopped = web.ask("POST", f"/jobs/{job.job_id}/stop")
    assert (stopped.status, stopped.json()["field"]) == (400, "job_id")
    ended(web, job.job_id)


def test_password_is_never_repeated(web: Web, daemon: Daemon) -> None:
    secret = "Tr0ub4dor-3"
    wrong = {"nodes": ["a"], "login": {"username": "u", "pasword": secret}, "check": {}}
    answer = web.ask("POST", "/jobs", wrong)
    assert (answer.status, answer.json()["field"]) == (400, "login.pasword")
    for body in ({"nodes": [secret], "login": secret}, {secret: 1}, {"login": {"password": 1}}):
        answer = web.ask("POST", "/jobs", body)
        assert answer.status == 400
        assert secret.encode() not in answer.body or body.get("nodes")
    assert secret not in web.log.read_text()


@pytest.mark.parametrize(
    ("verb", "path", "status", "code"),
    [
        ("GET", "/jobs/000000000000", 404, "JobNotFound"),
        ("POST", "/jobs/000000000000/cancel", 404, "JobNotFound"),
        ("GET", "/jobs/000000000000/events", 404, "JobNotFound"),
        ("GET", "/jobs/000000000000/files", 404, "JobNotFound"),
        ("GET", "/jobs/000000000000/export.zip", 404, "JobNotFound"),
        ("GET", "/profiles?name=none", 404, "ProfileNotFound"),
        ("GET", "/jobs?limit=0", 400, "InvalidRequest"),
        ("GET", "/jobs?no=1", 400, "InvalidRequest"),
        ("POST", "/jobs", 400, "InvalidRequest"),
        ("PUT", "/jobs", 405, "MethodNotAllowed"),
        ("GET", "/", 404, "NoSuchPath"),
        ("GET", "/jobs/", 404, "NoSuchPath"),
    ],
)
def test_errors_are_problem_documents(
    web: Web, verb: str, path: str, status: int, code: str
) -> None:
    answer = web.ask(verb, path, headers={"x-request-id": "mine-1"})
    problem = answer.json()
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == problem["request_id"] == "mine-1"


def test_readyz_needs_the_daemon(
    make_web: Callable[..., Web], make_daemon: Callable[..., Daemon]
) -> None:
    web = make_web(daemon := make_daemon())
    assert web.ask("GET", "/readyz").status == 200
    daemon.stop()
    assert web.ask("GET", "/healthz").status == 200
    wait_until(lambda: web.ask("GET", "/readyz").status == 503)  # an answer is kept for a second
    answer = web.ask("GET", "/readyz")
    assert (answer.status, answer.json()["code"]) == (503, "DaemonUnavailable")
    assert str(daemon.socket.parent).encode() not in answer.body  # for anybody
