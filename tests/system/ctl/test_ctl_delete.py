"""`delete` and `prune`: what is asked of a person and of the daemon, and the exit codes."""

import json

import pytest

from system.ctl.conftest import JOB_ID

pytestmark = pytest.mark.long


OTHER = "9c0100112233"


@pytest.fixture
def jobs(canned, job, summary):
    """Two jobs that can be deleted."""
    known = {JOB_ID[:4]: JOB_ID, JOB_ID: JOB_ID, OTHER[:4]: OTHER, OTHER: OTHER}
    canned.on("Status", lambda asked: {"job": job(job_id=known[asked["job_id"]])})
    canned.on(
        "Delete",
        lambda asked: {"job": summary(job_id=known[asked["job_id"]]), "bytes": 123_456_789},
    )


def deleted(canned):
    return [asked for method, asked in canned.calls if method == "Delete"]


def test_without_a_terminal_yes_is_needed(canned, ctl, jobs):
    done = ctl("delete", "3f2a")
    assert (done.returncode, done.stdout, canned.calls) == (2, "", [])
    assert "--yes" in done.stderr
    done = ctl("delete", "3f2a", "9c01", "3f2a", "--yes")
    assert done.returncode == 0
    assert deleted(canned) == [{"job_id": JOB_ID}, {"job_id": OTHER}]
    assert done.stdout.splitlines() == [
        f"job {JOB_ID}: deleted, 123.5 MB",
        f"job {OTHER}: deleted, 123.5 MB",
    ]


def test_files_alone_are_asked_for(canned, ctl, jobs):
    done = ctl("--json", "delete", "3f2a", "--yes", "--files")
    assert deleted(canned) == [{"job_id": JOB_ID, "files_only": True}]
    assert json.loads(done.stdout)["bytes"] == 123_456_789


@pytest.mark.parametrize(
    ("answer", "code", "count"), [("y", 0, 1), ("yes", 0, 1), ("n", 1, 0), ("", 1, 0)]
)
def test_on_a_terminal_it_asks(canned, terminal, jobs, answer, code, count):
    screen = terminal("delete", "3f2a")
    screen.until("[y/N]")
    assert deleted(canned) == []
    screen.type(f"{answer}\n")
    assert screen.ended() == code
    assert len(deleted(canned)) == count


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 1)])
def test_what_follows_no_answer_is_on_a_line_of_its_own(canned, terminal, jobs, typed, code):
    screen = terminal("delete", "3f2a")
    screen.until("[y/N]")
    screen.type(typed)
    assert screen.ended() == code
    assert screen.screen.splitlines()[-1] == "cucmctl: nothing was deleted"
    assert deleted(canned) == []


def test_with_a_wrong_name_among_them_nothing_is_deleted(canned, ctl, jobs):
    canned.on("Status", canned.error("JobNotFound", job_id="ffff"))
    assert ctl("delete", "3f2a", "ffff", "--yes").returncode == 5
    assert deleted(canned) == []


def test_one_that_is_busy_does_not_keep_the_others(canned, ctl, jobs):
    canned.on("Delete", canned.error("JobBusy", job_id=JOB_ID, reason="it is running"))
    assert ctl("delete", "3f2a", "9c01", "--yes").returncode == 75
    assert [asked["job_id"] for asked in deleted(canned)] == [JOB_ID, OTHER]


def test_prune_says_what_is_asked_for(canned, ctl, summary):
    canned.on("Prune", canned.reply({"jobs": [summary()], "bytes": 5_000_000}))
    done = ctl(
        *("prune", "--older-than", "30d", "--keep", "0", "--larger-than", "10G"),
        *("--label", "case=1", "--label", "site=bern", "--dry-run"),
    )
    assert done.returncode == 0
    assert canned.calls == [
        (
            "Prune",
            {
                "older_than": "30d",
                "keep": 0,
                "larger_than": 10_000_000_000,
                "labels": {"case": "1", "site": "bern"},
                "dry_run": True,
            },
        )
    ]
    assert JOB_ID in done.stdout
    assert done.stderr == "cucmctl: 1 job, 5.0 MB would be deleted\n"


def test_prune_counts_the_jobs_that_the_reply_leaves_out(canned, ctl, summary):
    canned.on("Prune", canned.reply({"jobs": [summary()], "bytes": 5_000_000, "more": 7}))
    assert "8 jobs, 5.0 MB deleted" in ctl("prune", "--keep", "3", "--yes").stderr


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_prune_shows_what_it_would_delete_and_asks(canned, terminal, summary, answer, code):
    canned.on("Prune", canned.reply({"jobs": [summary()], "bytes": 5_000_000, "more": 7}))
    screen = terminal("prune", "--keep", "3")
    screen.until("delete 8 jobs, 5.0 MB? [y/N]")
    assert JOB_ID in screen.screen
    assert [asked.get("dry_run") for _, asked in canned.calls] == [True]
    screen.type(f"{answer}\n")
    assert screen.ended() == code
    dry_runs = [asked.get("dry_run", False) for _, asked in canned.calls]
    assert dry_runs == ([True, True, False] if answer else [True])


def test_prune_asks_again_where_another_job_has_ended_before_the_answer(canned, terminal, summary):
    one, other = summary(), summary(job_id=OTHER)
    later = canned.reply({"jobs": [other, one], "bytes": 9_000_000})
    canned.on_each("Prune", (canned.reply({"jobs": [one], "bytes": 5_000_000}),), (later,))
    screen = terminal("prune", "--label", "case=1")
    screen.until("delete 1 job, 5.0 MB? [y/N]")
    assert OTHER not in screen.screen
    screen.type("y\n")
    screen.until("delete 2 jobs, 9.0 MB? [y/N]")
    assert OTHER in screen.screen
    assert all(asked.get("dry_run") for _, asked in canned.calls)
    screen.type("y\n")
    assert screen.ended() == 0
    assert [asked.get("dry_run", False) for _, asked in canned.calls] == [True, True, True, False]


def test_prune_does_not_ask_again_where_a_job_has_gone_before_the_answer(canned, terminal, summary):
    both = canned.reply({"jobs": [summary(job_id=OTHER), summary()], "bytes": 9_000_000})
    canned.on_each("Prune", (both,), (canned.reply({"jobs": [summary()], "bytes": 5_000_000}),))
    screen = terminal("prune", "--label", "case=1")
    screen.until("delete 2 jobs, 9.0 MB? [y/N]")
    screen.type("y\n")
    assert screen.ended() == 0
    assert len(canned.calls) == 3


def test_where_nothing_would_be_pruned_nobody_is_asked_and_nothing_is(canned, terminal):
    canned.on("Prune", canned.reply({"jobs": [], "bytes": 0}))
    screen = terminal("prune", "--keep", "3")
    assert screen.ended() == 0
    assert "[y/N]" not in screen.screen
    assert [asked.get("dry_run") for _, asked in canned.calls] == [True]


def test_prune_in_json_is_the_reply(canned, ctl, summary):
    reply = {"jobs": [summary()], "bytes": 5_000_000}
    canned.on("Prune", canned.reply(reply))
    done = ctl("--json", "prune", "--keep", "3", "--yes")
    assert json.loads(done.stdout)["jobs"][0]["job_id"] == JOB_ID
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--dry-run",),
        ("--keep", "3"),
        ("--keep", "-1"),
        ("--keep", "x"),
        ("--larger-than", "10X"),
        ("--larger-than", ""),
        ("--label", "case"),
    ],
)
def test_a_prune_that_is_not_meant_reaches_no_daemon(canned, ctl, options):
    done = ctl("prune", *options)
    assert (done.returncode, canned.calls) == (2, [])


def test_an_age_that_the_daemon_refuses_is_named_as_it_was_typed(canned, ctl):
    canned.on("Prune", canned.error("InvalidRequest", parameter="older_than", reason="is wrong"))
    done = ctl("prune", "--older-than", "old", "--yes")
    assert (done.returncode, done.stderr) == (65, "cucmctl: --older-than: is wrong\n")


def test_a_job_without_files_says_so(canned, ctl, job):
    canned.on("Status", canned.reply({"job": job(files_deleted=True)}))
    assert "files were deleted" in ctl("status", "3f2a").stdout
