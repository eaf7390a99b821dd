"""`status`, `list` and `cancel`: what a person sees, what a script gets."""

import json
import os

import pytest

JOB_ID = "3f2a00112233"


def test_status_shows_a_job_node_by_node(canned, ctl, job, node):
    failure = {
        "code": "command_timeout",
        "message": "TimeoutError: Timed out after 600s",
        "retryable": True,
        "hint": "allow more time: --command-timeout",
    }
    failed = node("ccm-sub1", "failed", error=failure["message"], failure=failure)
    noted = node("ccm-pub", notes=["cm/trace/cti matched nothing"])
    canned.on("Status", canned.reply({"job": job("partial", noted, failed)}))
    done = ctl("status", "3f2a")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "job 3f2a00112233: partial, 2 nodes: 1 succeeded, 1 failed",
        "created 2026-03-01 08:00:00, took 42s",
        "collects cm/trace/ccm/sdl, all of it (no window)",
        "files in /var/lib/cucmd/jobs/3f2a00112233",
        "",
        "NODE      STATUS     PHASE  FILES    SIZE  TIME",
        "ccm-pub   succeeded             4  4.0 MB   42s",
        "ccm-sub1  failed                4  4.0 MB   42s",
        "",
        "ccm-pub: note: cm/trace/cti matched nothing",
        "ccm-sub1: Timed out after 600s (command_timeout; a retry can help)",
        "  hint: allow more time: --command-timeout",
    ]
    assert canned.calls == [("Status", {"job_id": "3f2a"})]  # the daemon resolves prefixes


FILE = {
    "node": "ccm-pub",
    "path": "192.0.2.5/1/sdl/a.txt",
    "size": 5,
    "sha256": "0" * 64,
    "complete": True,
    "exported": True,
    "attempt": 1,
}


def test_files_shows_the_notes_of_their_nodes(canned, ctl, job, node):
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


def test_files_that_were_deleted_are_named_so(canned, ctl, job):
    canned.on("Status", canned.reply({"job": job("succeeded", files_deleted=True)}))
    canned.on("Files", canned.reply({"files": [FILE]}))
    done = ctl("files", "3f2a")
    assert done.returncode == 0
    assert "files were deleted" in done.stderr


LONG = f"192.0.2.5/2026-11-28_08-15-09/cm/trace/{'folder/' * 6}SDL001_100_000074.txt.gz"
CUT = {**FILE, "path": "192.0.2.5/1/sdl/b.txt", "size": 7, "complete": False, "exported": False}


@pytest.mark.parametrize("columns", [80, 200, None])
@pytest.mark.parametrize("colour", [True, False])
def test_files_are_a_table_that_fits(canned, ctl, terminal, job, columns, colour):
    """What is counted stands above it, and what does not count is marked."""
    canned.on("Status", canned.reply({"job": job()}))
    others = {**FILE, "node": "ccm-sub1"}
    canned.on("Files", canned.reply({"files": [FILE, {**FILE, "path": LONG}, CUT, others]}))
    if columns is None:
        lines = ctl("files", "3f2a").stdout.splitlines()
    else:
        screen = terminal("files", "3f2a", columns=columns, **({} if colour else {"NO_COLOR": "1"}))
        assert screen.ended() == 0
        lines = [line.rstrip() for line in screen.screen.splitlines() if line.strip()]
        assert ("\x1b[1m" in screen.raw) is colour
        assert max(map(len, lines)) <= columns
    pub, plain, long, cut, sub, _ = lines
    assert pub == "ccm-pub  2 files, 10 B; 1 that does not count"
    assert sub == "ccm-sub1  1 file, 5 B"
    assert plain.split()[:2] == ["5", "B"]
    assert plain.endswith("  sdl/a.txt")
    assert long.endswith("SDL001_100_000074.txt.gz")
    assert ("…" in long) is (columns == 80)
    assert cut.endswith("sdl/b.txt  incomplete")
    assert not any(FILE["sha256"] in line or "192.0.2.5" in line for line in lines)
    assert FILE["sha256"] in ctl("files", "3f2a", "--long").stdout


def test_a_transcript_without_a_node_lists_them(canned, ctl, job, node):
    canned.on("Status", canned.reply({"job": job("partial", node("ccm-pub"), node("ccm-sub1"))}))
    done = ctl("transcript", "3f2a")
    assert (done.returncode, done.stdout) == (0, "ccm-pub\nccm-sub1\n")
    assert f"cucmctl transcript {JOB_ID} NODE" in done.stderr
    canned.on("Status", canned.reply({"job": job("succeeded", node("ccm-pub"))}))
    canned.on("Transcript", canned.reply({"text": "admin:\n"}))
    assert ctl("transcript", "3f2a").stdout == "admin:\n"


def test_where_files_are_is_not_shown_to_who_cannot_open_it(canned, ctl, job, tmp_path):
    """Files below the state directory of the service are such. A path that is not there is on
    another host.
    """
    shut = tmp_path / "jobs"
    shut.mkdir()
    canned.on("Status", lambda _: {"job": job(directory=str(shut))})
    assert f"files in {shut}" in ctl("status", "3f2a").stdout
    if os.getuid():
        shut.chmod(0)
        assert "files in" not in ctl("status", "3f2a").stdout
    else:
        pytest.skip("root can open everything")


def test_status_exits_0_whatever_became_of_the_job(canned, ctl, job, node):
    canned.on("Status", canned.reply({"job": job("failed", node(status="failed"))}))
    assert ctl("status", "3f2a").returncode == 0


def test_status_without_a_job_lists_the_newest(canned, ctl, summary):
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


def test_list_asks_for_a_status_and_a_number(canned, ctl, summary):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    assert ctl("list", "--status", "running", "--limit", "3").returncode == 0
    assert canned.calls == [("List", {"status": "running", "limit": 3})]


def test_no_jobs_is_a_message_on_standard_error(canned, ctl):
    canned.on("List", canned.reply({"jobs": []}))
    done = ctl("list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(": cucmctl start --help\n")


@pytest.mark.parametrize("verb", ["status", "cancel", "watch", "wait"])
def test_an_id_may_be_typed_in_capitals(canned, ctl, job, verb):
    canned.on("Status", canned.reply({"job": job()}))
    answer = {"job_id": JOB_ID, "status": "cancelled", "cancelled": True, "message": "done"}
    canned.on("Cancel", canned.reply(answer))
    canned.watch(job())
    assert ctl(verb, "3F2A").returncode == 0
    assert canned.calls[0][1]["job_id"] == "3f2a"


@pytest.mark.parametrize(
    ("status", "message"), [("queued", "no job is queued"), ("failed", "no job has failed")]
)
def test_no_jobs_of_a_status_is_not_reported_as_no_jobs(canned, ctl, status, message):
    canned.on("List", canned.reply({"jobs": []}))
    done = ctl("list", "--status", status)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"cucmctl: {message}\n")


@pytest.fixture
def many(canned, summary):
    """Lists as the daemon has them, of an old job that hangs, one that waits and 24 that ended."""
    hanging = summary("running", job_id="0" * 12)
    waiting = summary("queued", job_id="1" * 12, created_at="2026-03-01T08:30:00Z")
    ended = [
        summary(job_id=f"{number:012}", created_at="2026-03-01T09:00:00Z")
        for number in range(99, 75, -1)
    ]
    canned.on_list({"running": [hanging], "queued": [waiting], None: [*ended, waiting, hanging]})


@pytest.mark.parametrize(("verb", "newest"), [("status", 10), ("list", 20)])
def test_what_still_runs_is_shown_however_many_newer_jobs_have_ended(ctl, many, verb, newest):
    lines = ctl(verb).stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["succeeded"] * newest + ["queued", "running"]
    assert [one["status"] for one in json.loads(ctl(verb, "--json").stdout)[newest:]] == [
        "queued",
        "running",
    ]


def test_a_limit_holds_and_what_it_hides_is_counted(ctl, many):
    done = ctl("list", "--limit", "3")
    assert len(done.stdout.splitlines()) == 1 + 3
    assert "2 older jobs" in done.stderr
    for status in ("queued", "running"):
        assert f"cucmctl list --status {status}" in done.stderr
    done = ctl("list", "--limit", "3", "--json")
    assert (len(json.loads(done.stdout)), done.stderr) == (3, "")


def test_all_that_run_are_listed(canned, ctl, summary):
    running = [summary("running", job_id=f"{number:012}") for number in range(30, 0, -1)]
    canned.on_list({"running": running})
    assert len(ctl("list", "--status", "running").stdout.splitlines()) == 1 + 30


def test_json_is_one_value_on_standard_output(canned, ctl, job, summary):
    canned.on("Status", canned.reply({"job": job()}))
    canned.on("List", canned.reply({"jobs": [summary()]}))
    assert json.loads(ctl("--json", "status", "3f2a").stdout)["nodes"][0]["node"] == "ccm-pub"
    (listed,) = json.loads(ctl("list", "--json").stdout)
    expected = summary()
    assert listed["collection"].items() >= expected.pop("collection").items()
    assert listed.items() >= expected.items()
    canned.on("List", canned.reply({"jobs": []}))
    assert ctl("list", "--json").stdout == "[]\n"


def test_cancel_prints_the_message_of_the_reply(canned, ctl):
    answer = {
        **{"job_id": JOB_ID, "status": "partial", "cancelled": False},
        **{"message": "all is well", "request_id": "81bf"},
    }
    canned.on("Cancel", canned.reply(answer))
    done = ctl("cancel", "3f2a")
    assert (done.returncode, done.stdout, done.stderr) == (0, "all is well\n", "")
    assert json.loads(ctl("cancel", "3f2a", "ccm-sub1", "--json").stdout) == answer
    assert canned.calls == [
        ("Cancel", {"job_id": "3f2a"}),
        ("Cancel", {"job_id": "3f2a", "nodes": ["ccm-sub1"]}),
    ]


def test_texts_of_a_node_cannot_steer_a_terminal(canned, ctl, job, node):
    evil = "\x1b]0;mine\x07\x1b[2J\r\n\x9b31m\u202eok\x00"
    failure = {"code": evil, "message": evil, "retryable": False, "hint": evil}
    one = node(evil, "failed", error=evil, failure=failure, notes=[evil])
    two = node(evil, "running", phase=evil)
    canned.on("Status", canned.reply({"job": job("running", one, two, directory=evil)}))
    shown = ctl("status", "3f2a").stdout
    assert all(line.isprintable() for line in shown.split("\n"))
    assert r"\x1b]0;mine\x07" in shown
    as_json = ctl("status", "3f2a", "--json").stdout
    assert as_json.removesuffix("\n").isprintable()
    assert json.loads(as_json)["nodes"][0]["node"] == evil  # and yet nothing of it is lost


def test_a_reader_that_closes_is_no_error(canned, in_shell, summary):
    canned.on("List", canned.reply({"jobs": [summary()] * 5000}))
    with in_shell("$CUCMCTL list; echo code $? >&2") as shell:
        shell.stdout.readline()
        shell.stdout.close()
        assert shell.stderr.read() == "code 141\n"


def test_help_too_may_go_to_such_a_reader(in_shell):
    with in_shell("($CUCMCTL --help; echo code $? >&2) | true") as shell:
        assert shell.stderr.read() in ("code 141\n", "code 0\n")  # whichever was quicker


def test_a_full_disk_under_standard_output_is_reported(canned, in_shell, summary):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    with in_shell("$CUCMCTL list >/dev/full; echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        why = "cannot write to standard output: No space left on device"
        assert shell.stderr.read() == f"cucmctl: {why}\n"


@pytest.mark.parametrize("command", ["status", "list --json", "status 3f2a", "wait 3f2a"])
def test_a_closed_standard_output_is_reported(canned, in_shell, job, summary, command):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    canned.on("Status", canned.reply({"job": job()}))
    canned.watch(job())
    with in_shell(f"($CUCMCTL {command} >&-); echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        why = "cannot write to standard output: Bad file descriptor"
        assert shell.stderr.read() == f"cucmctl: {why}\n"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("list --limit x 2>&-", "code 2\n"),
        ("list --json <&-", "[]\ncode 0\n"),
    ],
)
def test_closed_standard_streams_do_no_harm(canned, in_shell, command, shown):
    canned.on("List", canned.reply({"jobs": []}))
    with in_shell(f"$CUCMCTL {command}; echo code $?") as shell:
        assert shell.stdout.read() == shown
        assert shell.stderr.read() == ""


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
def test_why_a_list_is_empty(canned, ctl, options, said):
    canned.on("List", canned.reply({"jobs": []}))
    assert said in ctl("list", *options).stderr


@pytest.mark.parametrize(
    ("zone", "theirs"),
    [(None, ""), ("UTC", " (06:00 to 08:00 UTC)"), ("Europe/Rome", ""), ("../x", "")],
)
def test_the_window_is_in_one_zone_with_that_of_the_nodes_in_brackets(
    canned, ctl, environ, job, node, zone, theirs
):
    window = {"last": "2h", "since": "2026-03-01T06:00:00Z", "until": "2026-03-01T08:00:00Z"}
    of = {"paths": ["a"], **window}
    canned.on("Status", lambda _: {"job": job("succeeded", node(zone=zone), collection=of)})
    shown = ctl("status", "3f2a", env={**environ, "TZ": "Europe/Berlin"}).stdout.splitlines()
    (line,) = (line for line in shown if line.startswith("window  Sun 01 Mar"))
    assert line.endswith(f"07:00 to 09:00 CET{theirs}")
    of["since"] = "2026-02-28T22:00:00Z"
    shown = ctl("status", "3f2a", env={**environ, "TZ": "Europe/Berlin"}).stdout
    assert "23:00 to Sun 01 Mar" in shown


@pytest.mark.parametrize("colour", [True, False])
def test_what_is_missing_of_the_window_stands_first(canned, terminal, ctl, job, node, colour):
    """It says how much, too, and stands so below a job that has succeeded."""
    gap = {"path": "calllogs", "missing": "begin", "at": "2026-03-01T22:57:09Z", "seconds": 1929}
    less = node(
        "ccm-pub", coverage="begins 22:57 (UTC)", gaps=[gap], extent={"besides": []}, zone="UTC"
    )
    whole = node("ccm-sub1", coverage="covers 22:00 to 23:00 (UTC)", notes=["something"])
    canned.on("Status", canned.reply({"job": job("succeeded", whole, less)}))
    said = ctl("status", "3f2a").stdout.partition("\n\n")[2].partition("\n\n")[2].splitlines()
    assert said[0].startswith("GAP  ccm-pub: calllogs begins ")
    assert said[0].endswith(", 32 min missing")
    assert sum("begins" in line for line in said) == 1
    screen = terminal("status", "3f2a", **({} if colour else {"NO_COLOR": "1"}))
    assert screen.ended() == 0
    assert ("\x1b[33mGAP  ccm-pub" in screen.raw) is colour
    assert said[0] in screen.screen


def test_last_is_the_newest_job_of_whoever_asks(canned, ctl, job, summary):
    """Named on standard error; those of others are passed over, page by page."""
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


def test_who_has_started_nothing_has_no_last_job(canned, ctl, summary):
    theirs = [summary(owner=os.getuid() + 1)]
    canned.on("List", lambda asked: {"jobs": [] if asked.get("before") else theirs})
    done = ctl("delete", "@last", "--yes")
    assert (done.returncode, done.stdout) == (5, "")


def test_a_list_passes_over_checks_and_discoveries(canned, ctl, summary):
    """And fills its lines with what is behind them; --all, --kind and --json have them."""
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
