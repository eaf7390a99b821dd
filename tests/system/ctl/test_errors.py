"""Errors of a call: the exit code, and one line on standard error."""

import os

import pytest

VARLINK = "org.varlink.service"
UNREACHED = {"code": "connection_refused", "message": "refused", "retryable": True}
# Error, its fields, the exit code, and a part of the message.
ERRORS = [
    ("JobNotFound", {"job_id": "beef"}, 5, "no job 'beef'; cucmctl list"),
    ("JobNotFound", {"job_id": "2cf"}, 5, "no job '2cf': the beginning of an id needs at least 4"),
    ("NodeNotFound", {"job_id": "3f2a", "node": "x"}, 5, "'x'; cucmctl status 3f2a"),
    ("NodeNotFound", {"job_id": "3f2a", "node": "x", "candidates": ["x+a", "x+b"]}, 5, "x+a, x+b"),
    ("ProfileNotFound", {"profile": "x"}, 5, "no profile 'x'"),
    ("CredentialNotFound", {"credential": "x"}, 5, "no credential 'x'"),
    ("CredentialNotFound", {"credential": "x", "cluster": "b"}, 5, "cluster 'b'"),
    ("InvalidRequest", {"parameter": "timeouts.job", "reason": "why"}, 65, "--job-timeout: why\n"),
    (f"{VARLINK}.InvalidParameter", {"parameter": "job_id"}, 65, "JOB: "),
    ("InvalidRequest", {"parameter": "x", "reason": "\x1b[2J\r"}, 65, "x: \\x1b[2J\\r\n"),
    ("LimitReached", {"limit": "jobs", "maximum": 16}, 75, "jobs is reached (16); try later"),
    ("ShuttingDown", {}, 75, "try later"),
    ("StorageFailed", {"reason": "disk full"}, 75, "disk full"),
    (f"{VARLINK}.PermissionDenied", {}, 77, "[access]"),
    ("ScanFailed", {"node": "x", "failure": UNREACHED}, 1, "x: refused\n"),
    ("ReloadFailed", {"reason": "x.toml:1: y"}, 1, "x.toml:1: y\n"),
    (
        "NotAtHub",
        {"method": "Files", "sites": ["berlin"]},
        1,
        "answer Files; ask the daemon there: berlin\n",
    ),
    ("InternalError", {}, 70, "a defect of the daemon"),
    (f"{VARLINK}.MethodNotFound", {"method": "X.Y"}, 70, "no X.Y; is it older than cucmctl?"),
    ("Newer", {"why": "x"}, 70, "io.cucmd.Jobs.Newer {'why': 'x'}\n"),
]


@pytest.mark.parametrize(("name", "parameters", "code", "text"), ERRORS)
def test_refusals_have_exit_codes(canned, ctl, name, parameters, code, text):
    canned.on("Status", canned.error(name, **parameters))
    done = ctl("status", "beef", "--json")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("cucmctl: ")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr


def test_unknown_fields_are_shown_raw(canned, ctl):
    canned.on("Status", canned.error("JobNotFound", id=7))
    done = ctl("status", "beef")
    assert done.returncode == 70
    assert done.stderr.endswith(" io.cucmd.Jobs.JobNotFound {'id': 7}\n")


@pytest.mark.parametrize("verb", ["status", "watch", "wait beef"])
def test_missing_daemon_is_exit_69(ctl, tmp_path, verb):
    path = tmp_path / "none"
    done = ctl(*verb.split(), "--socket", str(path))
    assert (done.returncode, done.stdout) == (69, "")
    why = f"no daemon at {path} (No such file or directory); does cucmd run?"
    assert done.stderr == f"cucmctl: {why}\n"


def test_lost_daemon_is_exit_69(canned, ctl):
    canned.on("Status", None)
    done = ctl("status", "beef")
    assert done.returncode == 69
    assert str(canned.path) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "frame", [b"HTTP/1.1 400\r\n\0", b"\xff\0", b"[]\0", b'{"parameters":1}\0']
)
def test_other_service_is_exit_69(canned, ctl, frame):
    canned.on("Status", frame)
    done = ctl("status", "beef")
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1


def test_arguments_must_be_utf8(ctl, canned):
    done = ctl("cancel", "3f2a", os.fsdecode(b"node\xff"))
    assert done.returncode == 2
    assert done.stderr.startswith("cucmctl: NODE: 'node\\udcff' ")
    assert canned.calls == []
