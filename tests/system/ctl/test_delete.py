"""`delete` and `prune`: questions, requests and exit codes."""

import os
import signal
import sys

import pytest

from system.ctl.conftest import JOB_ID

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


def test_yes_deletes_without_asking(canned, ctl, jobs):
    done = ctl("delete", "3f2a", "9c01", "3f2a", "--yes")
    assert done.returncode == 0
    assert deleted(canned) == [{"job_id": JOB_ID}, {"job_id": OTHER}]
    assert done.stdout.splitlines() == [
        f"job {JOB_ID}: deleted, 123.5 MB",
        f"job {OTHER}: deleted, 123.5 MB",
    ]


@pytest.mark.parametrize(("answer", "code", "count"), [("yes", 0, 1), ("", 1, 0)])
def test_delete_asks_on_a_terminal(canned, terminal, jobs, answer, code, count):
    screen = terminal("delete", "3f2a")
    screen.until("[y/N]")
    assert deleted(canned) == []
    screen.type(f"{answer}\n")
    assert screen.ended() == code
    assert len(deleted(canned)) == count


@pytest.mark.parametrize(("typed", "code"), [("\x03", 130), ("\x04", 1)])
def test_no_answer_deletes_nothing(canned, terminal, jobs, typed, code):
    screen = terminal("delete", "3f2a")
    screen.until("[y/N]")
    screen.type(typed)
    assert screen.ended() == code
    assert screen.screen.splitlines()[-1] == "cucmctl: nothing was deleted"
    assert deleted(canned) == []


def test_viewers_are_not_asked(canned, terminal, jobs):
    canned.on("Credentials", canned.error("org.varlink.service.PermissionDenied"))
    screen = terminal("delete", "3f2a")
    assert screen.ended() == 77
    assert "[y/N]" not in screen.screen


# Runs `cucmctl` so that a Ctrl-C interrupts no call of the kernel: SIGUSR1 makes another thread
# receive SIGINT. Python notes the signal and handles it in the main thread, once that thread runs.
# The same happens if the signal comes right before the main thread calls the kernel.
LATE_SIGNAL = """
import signal, sys, threading
from cucmctl.__main__ import command
def interrupt():
    signal.sigwait([signal.SIGUSR1])
    signal.raise_signal(signal.SIGINT)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
threading.Thread(target=interrupt, daemon=True).start()
sys.argv[1:] = sys.argv[sys.argv.index("cucmctl") + 1 :]
command()
"""


def test_ctrl_c_before_reading_counts(canned, terminal, jobs):
    screen = terminal("delete", "3f2a", within=[sys.executable, "-c", LATE_SIGNAL])
    screen.until("[y/N]")
    os.kill(screen.process.pid, signal.SIGUSR1)
    assert screen.ended() == 130
    assert deleted(canned) == []


def test_wrong_name_deletes_nothing(canned, ctl, jobs):
    canned.on("Status", canned.error("JobNotFound", job_id="ffff"))
    assert ctl("delete", "3f2a", "ffff", "--yes").returncode == 5
    assert deleted(canned) == []


def test_busy_job_does_not_stop_others(canned, ctl, jobs):
    canned.on("Delete", canned.error("JobBusy", job_id=JOB_ID, reason="it is running"))
    assert ctl("delete", "3f2a", "9c01", "--yes").returncode == 75
    assert [asked["job_id"] for asked in deleted(canned)] == [JOB_ID, OTHER]


def test_prune_sends_its_options(canned, ctl, summary):
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


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_prune_shows_jobs_and_asks(canned, terminal, summary, answer, code):
    canned.on("Prune", canned.reply({"jobs": [summary()], "bytes": 5_000_000, "more": 7}))
    screen = terminal("prune", "--keep", "3")
    screen.until("delete 8 jobs, 5.0 MB? [y/N]")
    assert JOB_ID in screen.screen
    assert [asked.get("dry_run") for _, asked in canned.calls] == [True]
    screen.type(f"{answer}\n")
    assert screen.ended() == code
    dry_runs = [asked.get("dry_run", False) for _, asked in canned.calls]
    assert dry_runs == ([True, True, False] if answer else [True])


def test_prune_asks_again_for_more_jobs(canned, terminal, summary):
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
