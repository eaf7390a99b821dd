"""`watch`, `wait` and `events` without a terminal, and the exit codes for the end of a job."""

import json
import signal
import threading

import pytest

ENDS = [("succeeded", 0), ("failed", 1), ("partial", 3), ("cancelled", 4)]


@pytest.mark.parametrize(("status", "code"), ENDS)
@pytest.mark.parametrize("verb", ["watch", "wait"])
def test_exit_code_is_the_jobs(canned, ctl, job, verb, status, code):
    canned.watch(job("running"), job(status))
    done = ctl(verb, "3f2a")
    assert (done.returncode, done.stderr) == (code, "")
    assert canned.calls == [("Watch", {"job_id": "3f2a"})]


def test_wait_prints_the_end(canned, ctl, job, node):
    failed = node("ccm-sub1", "failed", error="TimeoutError: Timed out after 30s")
    canned.watch(job("running"), job("partial", node(), failed))
    first, *_, last = ctl("wait", "3f2a").stdout.splitlines()
    assert first.startswith("job 3f2a00112233 partial: ")
    assert last.endswith("cucmctl export 3f2a00112233")
    assert json.loads(ctl("wait", "3f2a", "--json").stdout)["status"] == "partial"


def test_wait_times_out(canned, ctl, job):
    canned.watch(job("running"), then=threading.Event())
    done = ctl("wait", "3f2a", "--timeout", "0.2")
    assert (done.returncode, done.stdout) == (6, "")
    assert "job 3f2a00112233 " in done.stderr
    assert " 0.2 s" in done.stderr
    assert canned.calls == [("Watch", {"job_id": "3f2a"})]


def test_early_end_is_no_success(canned, ctl, job):
    canned.watch(job("running"))
    done = ctl("wait", "3f2a")
    assert done.returncode == 69
    assert "job 3f2a00112233 " in done.stderr


@pytest.fixture
def gap_known_later(canned, job, node):
    """Prepares a job whose gap becomes known only after the end of its watch."""
    gap = {"path": "sdl", "missing": "begin", "seconds": 4200}
    pending = job("succeeded", revision=5, coverage_pending=True)
    known = job("succeeded", node(gaps=[gap]), revision=7)
    states = [
        {"sequence": 0, "missed": 0, "jobs": []},
        {"sequence": 1, "missed": 0, "change": {**pending, "job_id": "f" * 12}},
        {"sequence": 2, "missed": 0, "change": known},
    ]
    replies = [canned.reply(state, continues=True) for state in states]
    end = canned.reply({"sequence": 0, "missed": 0, "job": pending})
    canned.on_each("Watch", (end,), (*replies, threading.Event()))
    canned.on_each("Status", (canned.reply({"job": pending}),), (canned.reply({"job": known}),))


@pytest.mark.usefixtures("gap_known_later")
@pytest.mark.parametrize("verb", ["watch", "wait"])
@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 3)])
def test_end_includes_later_gaps(canned, ctl, verb, options, code):
    done = ctl(verb, "3f2a", *options)
    assert (done.returncode, done.stderr) == (code, "")
    assert "GAP  ccm-pub: sdl begins late, at least 1 h 10 min missing\n" in done.stdout
    assert [method for method, _ in canned.calls] == ["Watch", "Watch", "Status", "Status"]


@pytest.mark.usefixtures("gap_known_later")
def test_json_ends_with_gaps(ctl):
    *_, last = map(json.loads, ctl("watch", "3f2a", "--json").stdout.splitlines())
    assert last["job"]["nodes"][0]["gaps"][0]["seconds"] == 4200


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--strict",), 3)])
def test_coverage_is_awaited_briefly(canned, ctl, job, monkeypatch, options, code):
    monkeypatch.setattr("cucmctl.commands.watch.QUIET_WAIT", 0.05)
    monkeypatch.setattr("cucmctl.commands.watch.COVERAGE_WAIT", 0.1)
    pending = job("succeeded", coverage_pending=True)
    running = canned.reply({"sequence": 0, "missed": 0, "jobs": []}, continues=True)
    end = canned.reply({"sequence": 0, "missed": 0, "job": pending})
    canned.on_each("Watch", (end,), (running, threading.Event()))
    canned.on("Status", canned.reply({"job": pending}))
    done = ctl("wait", "3f2a", *options)
    assert done.returncode == code
    waits, unknown = done.stderr.splitlines()
    assert " 0.1 s" in waits
    assert "cucmctl status 3f2a00112233" in unknown


def test_no_files_are_not_awaited(canned, ctl, job, node, monkeypatch):
    monkeypatch.setattr("cucmctl.commands.watch.QUIET_WAIT", 0.05)
    monkeypatch.setattr("cucmctl.commands.watch.COVERAGE_WAIT", 0.1)
    refused = node(status="failed", files_received=0, error="the password was refused")
    pending = job("failed", refused, coverage_pending=True)
    running = canned.reply({"sequence": 0, "missed": 0, "jobs": []}, continues=True)
    end = canned.reply({"sequence": 0, "missed": 0, "job": pending})
    canned.on_each("Watch", (end,), (running, threading.Event()))
    canned.on("Status", canned.reply({"job": pending}))
    done = ctl("wait", "3f2a")
    assert (done.returncode, done.stderr) == (1, "")


STRICT = [("start", "a", "--path", "sdl"), ("retry", "3f2a"), ("watch",)]


@pytest.mark.parametrize("words", STRICT)
def test_strict_needs_an_end(canned, ctl, words):
    assert ctl(*words, "--strict").returncode == 2
    assert not canned.calls


def test_watch_includes_older_running_jobs(canned, ctl, summary):
    hanging = summary("running", job_id="0" * 12)
    ended = [summary(job_id=f"{number:012}") for number in range(99, 75, -1)]
    canned.on_list({"running": [hanging], "queued": []})
    first = canned.reply({"sequence": 0, "missed": 0, "jobs": ended[:20]}, continues=True)
    canned.on("Watch", first, canned.error("ShuttingDown"))
    shown = ctl("watch").stdout.splitlines()
    assert len(shown) == 21
    assert "job 000000000000: running, 3/3" in shown[-1]
    json_lines = ctl("watch", "--json").stdout.splitlines()
    assert len(json.loads(json_lines[0])["jobs"]) == 20  # each reply as it came


def test_ctrl_c_leaves_the_job(canned, process, job):
    canned.watch(job("running"), then=threading.Event())
    with process("watch", "3f2a") as one:
        one.stdout.readline()  # the first state
        one.send_signal(signal.SIGINT)
        stderr = one.communicate()[1]
    assert one.returncode == 130
    assert stderr.endswith(": cucmctl cancel 3f2a00112233\n")
    assert [method for method, _ in canned.calls] == ["Watch"]


def test_events_are_a_line_each(canned, ctl, job, node, summary):
    change = {
        **{name: job("running")[name] for name in ("job_id", "status", "cancelled")},
        **{"started_at": None, "completed_at": None, "nodes": [node(status="failed")]},
        **{"revision": 7, "closed": False},
    }
    canned.on("List", canned.reply({"jobs": []}))
    canned.on("Status", canned.error("JobNotFound", job_id="3f2a00112233"))
    canned.on(
        "Watch",
        canned.reply({"sequence": 0, "missed": 0, "jobs": [summary("running")]}, continues=True),
        canned.reply({"sequence": 1, "missed": 0, "change": change}, continues=True),
        canned.reply({"sequence": 9, "missed": 8, "jobs": []}, continues=True),
        canned.error("InternalError"),
    )
    lines = [json.loads(line) for line in ctl("events").stdout.splitlines()]
    assert [line["event"] for line in lines] == ["state", "change", "missed", "gone"]
    assert (lines[1]["job_id"], lines[1]["job"]["revision"]) == (change["job_id"], 7)
    assert lines[2]["count"] == 8
    assert all(line["time"] for line in lines)
    assert ("Watch", {"changes": True}) in canned.calls


@pytest.mark.long
def test_events_outlive_a_restart(canned, ctl, job):
    def state(revision, status="running", **more):
        body = {"sequence": 0, "missed": 0, "job": job(status, revision=revision)}
        return canned.reply(body, **more)

    running = (state(5, continues=True), None)
    canned.on_each("Watch", running, (None,), running, (state(7, "failed"),))
    done = ctl("events", "3f2a")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["job"]["revision"] for line in lines] == [5, 7]
    said = [line for line in done.stderr.splitlines() if line.startswith("cucmctl: ")]
    assert ["went away" in line for line in said] == [True, False, True, False]
    watched = [parameters["job_id"] for method, parameters in canned.calls if method == "Watch"]
    assert watched[1:] == ["3f2a00112233"] * 3, "a prefix may fit another job by then"
