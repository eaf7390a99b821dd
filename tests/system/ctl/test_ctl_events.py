"""`events`: an object a line for what happens to jobs."""

import json

import pytest


def test_states_changes_and_what_was_missed_are_a_line_each(canned, ctl, job, node, summary):
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
    done = ctl("events")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == [
        *("state", "change", "missed"),
        "gone",  # it is in no list, and it is asked for
    ]
    assert lines[1]["job"]["nodes"][0]["status"] == "failed"
    assert (lines[1]["job_id"], lines[1]["job"]["revision"]) == (change["job_id"], 7)
    assert lines[2]["count"] == 8
    assert all(line["time"] for line in lines)
    assert ("Watch", {"changes": True}) in canned.calls


def test_a_daemon_that_goes_away_ends_it_with_69(canned, ctl, summary):
    first = canned.reply({"sequence": 0, "missed": 0, "jobs": [summary()]}, continues=True)
    canned.on("List", canned.reply({"jobs": []}))
    canned.on("Watch", first, None)
    done = ctl("events", "--reconnect", "0")
    assert (done.returncode, len(done.stdout.splitlines())) == (69, 1)


@pytest.mark.parametrize("named", [True, False])
def test_it_outlives_a_restart_and_says_so(canned, ctl, job, summary, named):
    def state(revision, status="running", **more):
        body = {"job": job(status, revision=revision)}
        if not named:
            body = {"jobs": [summary(status, revision=revision)] if status == "running" else []}
        return canned.reply({"sequence": 0, "missed": 0, **body}, **more)

    end = state(7, "failed") if named else canned.error("InternalError")
    ended = (end,) if named else (state(7, "failed", continues=True), end)
    canned.on("List", canned.reply({"jobs": [summary("failed", revision=7)]}))
    canned.on("Status", canned.reply({"job": job("failed", revision=7)}))
    first, same = state(5, continues=True), state(5, continues=True)
    canned.on_each("Watch", (first, None), (None,), (same, None), ended)
    done = ctl("events", *(["3f2a"] if named else []))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["event"], line["job"]["revision"]) for line in lines] == [
        ("state", 5),
        ("state", 7),
    ]
    assert done.returncode == (0 if named else 70)
    said = [line for line in done.stderr.splitlines() if line.startswith("cucmctl: ")]
    assert ["went away" in line for line in said[:4]] == [True, False, True, False]
    watched = [parameters for method, parameters in canned.calls if method == "Watch"]
    assert all(parameters["changes"] for parameters in watched)
    if named:  # by its whole id: the beginning of it may fit another job by then
        assert [parameters["job_id"] for parameters in watched[1:]] == ["3f2a00112233"] * 3
