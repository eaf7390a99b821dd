"""`events`: an object a line for what happens to jobs."""

import json


def test_states_changes_and_what_was_missed_are_a_line_each(canned, ctl, job, node, summary):
    change = {
        **{name: job("running")[name] for name in ("job_id", "status", "cancelled")},
        **{"started_at": None, "completed_at": None, "nodes": [node(status="failed")]},
        **{"revision": 7, "closed": False},
    }
    canned.on(
        "Watch",
        canned.reply({"sequence": 0, "missed": 0, "jobs": [summary("running")]}, continues=True),
        canned.reply({"sequence": 1, "missed": 0, "change": change}, continues=True),
        canned.reply({"sequence": 9, "missed": 8, "jobs": []}),
    )
    done = ctl("events")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["state", "change", "missed"]
    assert lines[1]["job"]["nodes"][0]["status"] == "failed"
    assert (lines[1]["job_id"], lines[1]["job"]["revision"]) == (change["job_id"], 7)
    assert lines[2]["count"] == 8
    assert all(line["time"] for line in lines)
    assert canned.calls == [("Watch", {"changes": True})]


def test_a_daemon_that_goes_away_ends_it_with_69(canned, ctl, summary):
    first = canned.reply({"sequence": 0, "missed": 0, "jobs": [summary()]}, continues=True)
    canned.on("Watch", first, None)
    done = ctl("events")
    assert (done.returncode, len(done.stdout.splitlines())) == (69, 1)
