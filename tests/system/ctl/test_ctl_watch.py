"""`watch` and `wait` without a terminal, and the exit codes of a job's end."""

import json
import signal
import subprocess
import sys
import threading

import pytest

pytestmark = pytest.mark.long


ENDS = [("succeeded", 0), ("failed", 1), ("partial", 3), ("cancelled", 4)]


@pytest.mark.parametrize(("status", "code"), ENDS)
@pytest.mark.parametrize("verb", ["watch", "wait"])
def test_the_exit_code_is_that_of_the_end_of_the_job(canned, ctl, job, verb, status, code):
    canned.watch(job("running"), job(status))
    done = ctl(verb, "3f2a")
    assert (done.returncode, done.stderr) == (code, "")
    assert canned.calls == [("Watch", {"job_id": "3f2a"})]


def test_a_job_that_had_ended_is_over_at_once(canned, ctl, job):
    canned.watch(job("partial"))
    assert ctl("wait", "3f2a").returncode == 3


def test_wait_prints_the_end_on_standard_output(canned, ctl, job, node):
    failed = node("ccm-sub1", "failed", error="TimeoutError: Timed out after 30s")
    canned.watch(job("running"), job("partial", node(), failed))
    assert ctl("wait", "3f2a").stdout.splitlines() == [
        "job 3f2a00112233 partial: 2 nodes: 1 succeeded, 1 failed; 8 files, 8.0 MB",
        "ccm-sub1: Timed out after 30s",
        "files in /var/lib/cucmd/jobs/3f2a00112233",
        "to try the others again: cucmctl retry 3f2a00112233",
        "to hand them on: cucmctl export 3f2a00112233",
    ]
    assert json.loads(ctl("wait", "3f2a", "--json").stdout)["status"] == "partial"


def test_wait_gives_up_after_its_timeout_and_asks_only_once(canned, ctl, job):
    canned.watch(job("running"), then=threading.Event())
    done = ctl("wait", "3f2a", "--timeout", "0.2")
    assert (done.returncode, done.stdout) == (6, "")
    assert "job 3f2a00112233 " in done.stderr
    assert " 0.2 s" in done.stderr
    assert canned.calls == [("Watch", {"job_id": "3f2a"})]


def test_watch_gives_a_line_a_change(canned, ctl, job, node):
    canned.watch(
        job("queued", node(status="pending", files_received=0, bytes_received=0)),
        job("running", node(status="running", phase="connect")),
        job("running", node(status="running", phase="transfer")),
        job("running", node(status="running", phase="transfer")),  # nothing new
        job("succeeded", node()),
    )
    done = ctl("watch", "3f2a")
    *shown, conclusion, directory, words = done.stdout.splitlines()
    assert [line[9:] for line in shown[:-2]] == [
        "job 3f2a00112233: queued, 0/1 nodes done",
        "ccm-pub: running, connect, 1/4 files, 1.0/4.0 MB",
        "job 3f2a00112233: running, 0/1 nodes done",
        "ccm-pub: running, transfer, 1/4 files, 1.0/4.0 MB",
    ]
    assert shown[-2:] == [  # which was another day
        "2026-03-01 08:00:42 ccm-pub: succeeded, 4 files, 4.0 MB",
        "2026-03-01 08:00:42 job 3f2a00112233: succeeded, 1/1 nodes done",
    ]
    assert conclusion.startswith("job 3f2a00112233 succeeded: ")
    assert directory == "files in /var/lib/cucmd/jobs/3f2a00112233"
    assert words.endswith(": cucmctl export 3f2a00112233")


def test_watch_json_gives_each_reply_on_a_line(canned, ctl, job):
    canned.watch(job("running"), job("succeeded"))
    lines = [json.loads(line) for line in ctl("watch", "3f2a", "--json").stdout.splitlines()]
    assert [(line["sequence"], line["job"]["status"]) for line in lines] == [
        (0, "running"),
        (1, "succeeded"),
    ]


def test_a_watch_that_ends_before_the_job_is_no_success(canned, ctl, job):
    canned.watch(job("running"))
    done = ctl("wait", "3f2a")
    assert done.returncode == 69
    assert "job 3f2a00112233 " in done.stderr


def test_a_daemon_that_goes_away_ends_the_watch_if_it_is_not_waited_for(canned, ctl, job):
    canned.on(
        "Watch", canned.reply({"sequence": 0, "missed": 0, "job": job("running")}, continues=True),
        None,
    )  # fmt: skip  # two steps
    done = ctl("watch", "3f2a", "--reconnect", "0")
    assert done.returncode == 69
    assert "ccm-pub: running" in done.stdout
    assert canned.connections == 1


def test_watch_of_all_jobs_shows_each_as_it_changes(canned, ctl, job, summary):
    canned.on(
        "Watch",
        canned.reply({"sequence": 0, "missed": 0, "jobs": [summary()]}, continues=True),
        canned.reply({"sequence": 1, "missed": 0, "job": job("running")}, continues=True),
        canned.error("ShuttingDown"),
    )
    done = ctl("watch")
    assert [line[9:] for line in done.stdout.splitlines()] == [
        "job 3f2a00112233: succeeded, 3/3 nodes done",
        "3f2a00112233 ccm-pub: running, transfer, 1/4 files, 1.0/4.0 MB",
        "job 3f2a00112233: running, 0/1 nodes done",
    ]
    assert done.returncode == 75
    assert canned.calls == [("Watch", {})]


def test_watch_of_all_jobs_shows_what_runs_though_many_newer_have_ended(canned, ctl, summary):
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


@pytest.mark.parametrize("verb", ["watch", "wait"])
def test_ctrl_c_leaves_the_job_and_prints_how_to_cancel_it(canned, environ, job, verb):
    canned.watch(job("running"), then=threading.Event())
    command = [sys.executable, "-m", "cucmctl", "--socket", str(canned.path), verb, "3f2a"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    ) as process:
        if verb == "watch":
            process.stdout.readline()  # it has had the first state
        else:
            canned.until_called("Watch")
        process.send_signal(signal.SIGINT)
        stderr = process.communicate()[1]
    assert process.returncode == 130
    name = "3f2a00112233" if verb == "watch" else stderr.split()[2]
    assert stderr.endswith(f": cucmctl cancel {name}\n")
    assert [method for method, _ in canned.calls] == ["Watch"]


@pytest.mark.parametrize(("columns", "encoding"), [(80, "utf-8"), (200, "utf-8"), (80, "ascii")])
def test_failures_are_of_a_persons_size(canned, terminal, job, node, columns, encoding):
    """A failure has a mark, the node, a clause, the code; the hint below it; no word is broken."""
    said = "cm/trace/sdl: the node went back to its prompt and gave no reason; cm/x: it did so too"
    hint = "the transcript shows the node's answer; try the command in the node's own shell"
    failure = {"code": "command_refused", "message": said, "retryable": True, "hint": hint}
    failed = node("ccm-sub1.example.org", "failed", error=said, failure=failure)
    silent = node("ccm-sub2", "failed", error="TimeoutError: Timed out after 30s")
    canned.watch(job("failed", failed, silent))
    screen = terminal("wait", "3f2a", columns=columns, PYTHONIOENCODING=encoding)
    assert screen.ended() == 1
    lines = [line.rstrip() for line in screen.screen.splitlines() if line.strip()]
    assert max(map(len, lines)) <= columns
    mark = "✗" if encoding == "utf-8" else "x"
    marked = [line for line in lines if line.startswith(f"{mark} ")]
    assert [line.split()[1] for line in marked] == ["ccm-sub1.example.org:", "ccm-sub2:"]
    whole = " ".join(" ".join(lines).split())
    assert "gave no reason, and 1 more path (command_refused; a retry can help)" in whole
    assert f"hint: {hint}" in whole
    assert "TimeoutError" not in whole
    (beginning,) = (line for line in lines if line.startswith("  hint: "))
    following = lines[lines.index(beginning) + 1]
    assert following.startswith("    ") is (columns == 80)
    assert [line.partition(": ")[2] for line in lines[-2:]] == [
        "cucmctl retry 3f2a00112233",
        "cucmctl export 3f2a00112233",
    ]
