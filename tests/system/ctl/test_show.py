"""`status`, `list`, `files` and `transcript`: which jobs and files are asked for and printed."""

import json
import os

import pytest

JOB_ID = "3f2a00112233"


FILE = {
    "node": "ccm-pub",
    "path": "192.0.2.5/1/sdl/a.txt",
    "size": 5,
    "sha256": "0" * 64,
    "complete": True,
    "exported": True,
    "attempt": 1,
}


def test_files_prints_notes_of_nodes(canned, ctl, job, node):
    noted = node("ccm-pub", notes=["cm/trace/cti: not compared"])
    other = node("ccm-sub1", notes=["something else"])
    canned.on("Status", canned.reply({"job": job("partial", noted, other)}))
    canned.on("Files", canned.reply({"files": [FILE]}))
    done = ctl("files", "3f2a")
    assert done.returncode == 0
    heading, file = done.stdout.splitlines()
    assert heading == "ccm-pub  1 file, 5 B"
    assert file.endswith("  sdl/a.txt")
    assert done.stderr == "cucmctl: ccm-pub: note: cm/trace/cti: not compared\n"
    assert ctl("--json", "files", "3f2a").stderr == ""


@pytest.mark.parametrize("status", ["running", "failed"])
def test_more_files_may_come(canned, ctl, job, status):
    canned.on("Status", canned.reply({"job": job(status)}))
    canned.on("Files", canned.reply({"files": []}))
    assert ("no files yet" in ctl("files", "3f2a").stderr) == (status == "running")


def test_transcript_without_node_lists_nodes(canned, ctl, job, node):
    canned.on("Status", canned.reply({"job": job("partial", node("ccm-pub"), node("ccm-sub1"))}))
    done = ctl("transcript", "3f2a")
    assert (done.returncode, done.stdout) == (0, "ccm-pub\nccm-sub1\n")
    assert f"cucmctl transcript {JOB_ID} NODE" in done.stderr
    canned.on("Status", canned.reply({"job": job("succeeded", node("ccm-pub"))}))
    canned.on("Transcript", canned.reply({"text": "admin:\n"}))
    assert ctl("transcript", "3f2a").stdout == "admin:\n"


def test_an_empty_transcript_has_a_reason(canned, ctl):
    canned.on("Transcript", canned.reply({"text": ""}))
    done = ctl("transcript", "3f2a", "ccm-pub")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("cucmctl status 3f2a\n")


def test_status_lists_the_newest_jobs(canned, ctl, summary):
    canned.on(
        "List",
        canned.reply(
            {"jobs": [summary("running", nodes_done=1, nodes_failed=1, nodes_succeeded=0)]}
        ),
    )
    done = ctl("status")
    headings, row = done.stdout.splitlines()
    assert headings.split()[:5] == ["JOB", "STATUS", "KIND", "CREATED", "NODES"]
    assert row.split()[:2] == [JOB_ID, "running"]
    assert "  0/3  123.5 MB  " in row
    assert canned.calls == [("List", {"limit": 10})]


@pytest.fixture
def many(canned, summary):
    """An old job that hangs, one that waits, and 24 newer jobs that have ended."""
    hanging = summary("running", job_id="0" * 12)
    waiting = summary("queued", job_id="1" * 12, created_at="2026-03-01T08:30:00Z")
    ended = [
        summary(job_id=f"{number:012}", created_at="2026-03-01T09:00:00Z")
        for number in range(99, 75, -1)
    ]
    canned.on_list({"running": [hanging], "queued": [waiting], None: [*ended, waiting, hanging]})


@pytest.mark.parametrize(("verb", "newest"), [("status", 10), ("list", 20)])
def test_unfinished_jobs_are_always_listed(ctl, many, verb, newest):
    lines = ctl(verb).stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["succeeded"] * newest + ["queued", "running"]
    assert [one["status"] for one in json.loads(ctl(verb, "--json").stdout)[newest:]] == [
        "queued",
        "running",
    ]


def test_limit_counts_hidden_jobs(ctl, many):
    done = ctl("list", "--limit", "3")
    assert len(done.stdout.splitlines()) == 1 + 3
    assert "2 older jobs" in done.stderr
    for status in ("queued", "running"):
        assert f"cucmctl list --status {status}" in done.stderr
    done = ctl("list", "--limit", "3", "--json")
    assert (len(json.loads(done.stdout)), done.stderr) == (3, "")


def test_closed_pipe_is_exit_141(canned, in_shell, summary):
    canned.on("List", canned.reply({"jobs": [summary()] * 5000}))
    with in_shell("$CUCMCTL list; echo code $? >&2") as shell:
        shell.stdout.readline()
        shell.stdout.close()
        assert shell.stderr.read() == "code 141\n"


def test_full_disk_is_exit_74(canned, in_shell, summary):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    with in_shell("$CUCMCTL list >/dev/full; echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        why = "cannot write to standard output: No space left on device"
        assert shell.stderr.read() == f"cucmctl: {why}\n"


@pytest.mark.parametrize("command", ["status", "list --json"])
def test_closed_standard_output_is_exit_74(canned, in_shell, summary, command):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    with in_shell(f"($CUCMCTL {command} >&-); echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        why = "cannot write to standard output: Bad file descriptor"
        assert shell.stderr.read() == f"cucmctl: {why}\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--label", "case=1"], "no job fits"),
        (["--target", "berlin", "--status", "failed"], "no job fits"),
        (["--since", "2026-01-01 00:00"], "no job fits"),
        (["--status", "failed"], "no job has failed"),
        (["--status", "running"], "no job is running"),
        ([], "no jobs; to start one"),
    ],
)
def test_empty_list_says_why(canned, ctl, options, said):
    canned.on("List", canned.reply({"jobs": []}))
    assert said in ctl("list", *options).stderr


def test_last_is_own_newest_job(canned, ctl, job, summary):
    """Jobs of other users are passed over, page by page."""
    theirs = [summary(job_id=f"{n:012x}", owner=os.getuid() + 1) for n in (3, 2)]
    mine = summary(job_id="9c0100112233", owner=os.getuid(), kind="check")
    canned.on("List", lambda asked: {"jobs": [mine] if asked.get("before") else theirs})
    canned.on("Status", canned.reply({"job": job(job_id=mine["job_id"])}))
    done = ctl("status", "@last")
    assert done.returncode == 0
    assert "9c0100112233: check, " in done.stderr
    assert canned.calls[1:] == [
        ("List", {"before": theirs[-1]["job_id"]}),
        ("Status", {"job_id": mine["job_id"]}),
    ]


@pytest.mark.parametrize(
    ("command", "taken"),
    [
        ("status", "check"),
        ("transcript", "check"),
        ("files", "run"),
        ("export", "run"),
        ("verify", "run"),
        ("output", "capture"),
        ("stop", "capture"),
        ("retry", "collect"),
    ],
)
def test_last_can_have_what_is_asked(canned, ctl, summary, command, taken):
    """The call is refused; only the job that it names matters here."""
    kinds = ("check", "dry_run", "run", "collect", "capture")
    of_kind = {"collect": {"status": "partial"}, "capture": {"commands": ["show status"]}}
    jobs = [
        summary(kind=kind, job_id=f"{kind:0>12}", owner=os.getuid(), **of_kind.get(kind, {}))
        for kind in kinds
    ]
    canned.on("List", canned.reply({"jobs": jobs}))
    for method in ("Status", "Files", "Export", "Verify", "Stop", "Retry"):
        canned.on(method, canned.error("JobNotFound", job_id="3f2a"))
    done = ctl(command, "@last")
    (asked,) = {fields["job_id"] for _, fields in canned.calls if "job_id" in fields}
    assert asked.endswith(taken)
    assert f"{asked}: {taken}" in done.stderr


def test_no_job_for_the_verb_is_exit_5(canned, ctl, summary):
    check = summary(kind="check", owner=os.getuid())
    canned.on("List", lambda asked: {"jobs": [] if asked.get("before") else [check]})
    done = ctl("export", "@last")
    assert (done.returncode, done.stdout) == (5, "")
    assert "export" in done.stderr


def test_list_passes_over_checks(canned, ctl, summary):
    """The lines are filled with older jobs. --all, --kind and --json include checks."""
    kinds = ["check", "discover", "collect", "check", "run", "collect"]
    jobs = [summary(job_id=f"{n:012x}", kind=kind) for n, kind in enumerate(kinds)]

    def page(asked):
        begin = 0 if "before" not in asked else 1 + int(asked["before"], 16)
        asked_for = jobs[begin : begin + min(2, asked.get("limit", 2))]
        return {"jobs": asked_for, "older": len(jobs) - begin - len(asked_for)}

    canned.on("List", page)
    done = ctl("list", "--limit", "2")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == [
        jobs[2]["job_id"],
        jobs[4]["job_id"],
    ]
    assert "not shown (3)" in done.stderr
    for options in (("--all",), ("--all", "--json")):
        shown = ctl("list", *options)
        assert all(job["job_id"] in shown.stdout for job in jobs)
        assert "not shown" not in shown.stderr
    assert jobs[0]["job_id"] in ctl("list", "--json").stdout
    assert jobs[0]["job_id"] in ctl("list", "--kind", "check").stdout
