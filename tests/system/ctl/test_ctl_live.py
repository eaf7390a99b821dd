"""`watch` on a terminal: what a person sees, and the terminal as it was afterwards."""

import re
import signal
import sys
import termios
import threading
from datetime import UTC, datetime, timedelta

import pytest

from system.ctl.terminal import Terminal


@pytest.fixture
def go_on():
    """Until this is set, the daemon sends nothing more."""
    return threading.Event()


@pytest.fixture
def cluster(job, node):
    """Makes a job on three nodes, half-way."""
    return job(
        "running",
        node("ccm-pub", "running"),
        node("ccm-sub1", "failed", error="TimeoutError: Timed out after 600s"),
        node("ccm-sub2", "pending", files_received=0, bytes_received=0),
    )


def assert_clean(screen):
    """Asserts that the terminal has its own screen, its cursor and its settings back."""
    assert screen.alternate is None
    assert screen.cursor_shown
    assert screen.settings == screen.before
    assert screen.unknown == []


def test_watch_shows_a_line_a_node(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("Ctrl-C ends the view; the job goes on")
    head, amounts, first, second, third = [line.rstrip() for line in screen.screen.splitlines()[:5]]
    assert head == "job 3f2a00112233 running  3 nodes: 1 running, 1 pending, 1 failed"
    assert amounts.endswith(" so far  5.0 MB")
    assert first.startswith("ccm-pub  transfer  ━━╌")
    assert first.split()[-3:] == ["1/4", "1.0/4.0", "MB"]
    filled, empty = first.count("━"), first.count("╌")
    assert filled == (filled + empty) // 4  # a quarter of what was announced
    assert second.startswith("ccm-sub1 failed ")
    assert second.endswith(" 600s")
    assert third == "ccm-sub2 pending"


def ago(seconds):
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("nodes", [1, 3, 40])
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 50)])
def test_time_amounts_and_silence_are_seen_on_any_screen(
    canned, terminal, job, node, go_on, columns, rows, nodes
):
    many = [node(f"ccm-sub{n}", "running", heard_at=ago(0)) for n in range(nodes - 1)]
    # Some time passes until it is shown: of these, half a minute may.
    many.append(node("ccm-pub", "running", phase="command", heard_at=ago(3630)))
    canned.watch(job("running", *many, started_at=ago(7230)), then=go_on)
    screen = terminal("watch", "3f2a", columns=columns, rows=rows)
    screen.until_frame(columns, rows)
    screen.until("Ctrl-C ends the view")
    head, amounts, *shown = [line.rstrip() for line in screen.screen.splitlines()]
    assert head.startswith(f"job 3f2a00112233 running  {nodes} node")
    assert re.fullmatch(r"2h00m so far  \d+\.0 MB", amounts)
    silent = [line for line in shown if "silent 1h00m" in line]
    assert len(silent) == 1, "the node that hangs has a line, however many there are"
    assert silent[0].startswith("ccm-pub")
    hidden = max(0, nodes - (rows - 4))
    named = [line for line in shown if line.startswith("ccm-")]
    assert len(named) == (nodes - hidden - 1 if hidden else nodes)
    assert (f"and {hidden + 1} more" in screen.screen) == bool(hidden)


def test_what_was_printed_above_stays(canned, terminal, job, cluster):
    canned.watch(cluster, job("succeeded"))
    screen = terminal("watch", "3f2a", within=["/bin/sh", "-c", 'echo above; exec "$@"', "sh"])
    assert screen.ended() == 0
    lines = screen.screen.splitlines()
    assert lines[0] == "above"
    assert lines[-1].endswith(": cucmctl export 3f2a00112233")


def test_the_view_fits_80_columns_and_follows_a_resize(canned, terminal, job, node, go_on):
    many = [node(f"node-{number}.a-long-name.example.org", "running") for number in range(40)]
    canned.watch(job("running", *many), then=go_on)
    screen = terminal("watch", "3f2a", COLUMNS="200", LINES="100")  # as some shells export
    for columns, rows in ((80, 24), (44, 12), (130, 50), (80, 24)):
        screen.resize(columns, rows)
        screen.raw = ""
        screen.until_frame(columns, rows)
        assert "job 3f2a" in screen.screen
        if rows == 24:
            assert "21 more" in screen.screen
    screen.type("\x03")
    assert screen.ended() == 130
    assert_clean(screen)


def test_the_end_of_the_job_ends_the_view_and_stays_on_the_screen(
    canned, terminal, job, node, cluster
):
    canned.watch(cluster, job("partial", node(), node("ccm-sub1", "failed", error="no such host")))
    screen = terminal("watch", "3f2a")
    assert screen.ended() == 3
    assert_clean(screen)
    assert "1 succeeded, 1 failed" in screen.screen
    assert "ccm-sub1: no such host" in screen.screen


def test_the_summary_of_a_job_of_40_nodes_is_in_view_at_its_end(canned, terminal, job, node):
    refused = [node(f"ccm-sub{n}", "failed", error="refused the login") for n in range(40)]
    canned.watch(job("running", node()), job("failed", *refused))
    screen = terminal("watch", "3f2a")
    assert screen.ended() == 1
    in_view = screen.screen.rstrip().splitlines()[-23:]
    assert any(line.endswith(" 40 failed") for line in in_view)
    assert sum("refused the login" in line for line in screen.screen.splitlines()) == 1


def test_ctrl_c_leaves_the_terminal_clean_and_the_job_running(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("ccm-sub2 pending")
    assert screen.settings[3] & termios.NOFLSH, "the kernel may drop what restores the terminal"
    screen.type("\x03\x03")  # people press it twice
    assert screen.ended() == 130
    assert_clean(screen)
    note = "cucmctl: job 3f2a00112233 goes on; to cancel it: cucmctl cancel 3f2a00112233"
    assert screen.screen.splitlines()[-1] == note
    assert "Traceback" not in screen.raw
    assert [method for method, _ in canned.calls] == ["Watch"]


def test_no_hint_of_ctrl_c_where_it_is_ignored(canned, environ, cluster, go_on):
    canned.watch(cluster, then=go_on)
    watch = [sys.executable, "-m", "cucmctl", "--socket", str(canned.path), "watch", "3f2a"]
    ignoring = ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", *watch]
    screen = Terminal(ignoring, environ, 80, 24)
    try:
        screen.until("ccm-sub2 pending")
        assert "Ctrl-C" not in screen.screen
        screen.interrupt()
        screen.process.send_signal(signal.SIGTERM)
        assert screen.ended() == 128 + signal.SIGTERM
        assert_clean(screen)
    finally:
        screen.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_that_ends_it_leaves_the_terminal_clean(canned, terminal, cluster, go_on, number):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("ccm-sub2 pending")
    if number == signal.SIGQUIT:
        screen.type("\x1c\x1c")  # Ctrl-\
    else:
        screen.process.send_signal(number)
    assert screen.ended() == 128 + number
    assert_clean(screen)
    assert "Traceback" not in screen.raw


def test_a_terminal_that_is_closed_ends_it(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("ccm-sub2 pending")
    screen.hang_up()
    assert screen.process.wait(30) != 0


@pytest.mark.long
def test_ctrl_z_gives_the_terminal_to_the_shell_and_comes_back(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("ccm-sub2 pending")
    screen.process.send_signal(signal.SIGTSTP)
    screen.until_stopped()
    assert_clean(screen)
    screen.process.send_signal(signal.SIGCONT)
    screen.until("ccm-sub2 pending")
    screen.type("\x03")
    assert screen.ended() == 130
    assert_clean(screen)


def test_a_daemon_that_goes_away_leaves_the_terminal_clean(canned, terminal, cluster):
    canned.on(
        "Watch", canned.reply({"sequence": 0, "missed": 0, "job": cluster}, continues=True), None
    )
    screen = terminal("watch", "3f2a", "--reconnect", "0")
    assert screen.ended() == 69
    assert_clean(screen)
    assert "went away" in screen.screen


def test_a_refusal_shows_no_view(canned, terminal):
    canned.on("Watch", canned.error("JobNotFound", job_id="beef"))
    screen = terminal("watch", "beef")
    assert screen.ended() == 5
    assert "\x1b[?1049h" not in screen.raw
    assert screen.screen.startswith("cucmctl: no job 'beef'")


def test_texts_of_a_node_cannot_steer_the_view(canned, terminal, job, node, go_on):
    evil = "\x1b]0;mine\x07\x1b[2J\x9b31m[bold]"
    nodes = (
        node(evil, "running", phase=evil),
        node("ccm-sub1", "failed", error=evil, notes=[evil]),
    )
    canned.watch(job("running", *nodes), then=go_on)
    screen = terminal("watch", "3f2a", columns=160)
    screen.until(r"\x1b]0;mine\x07\x1b[2J\x9b31m[bold]")
    screen.type("\x03")
    assert screen.ended() == 130
    assert_clean(screen)  # no sequence but our own has come
    assert r"ccm-sub1: note: \x1b]0;mine\x07" in screen.screen


def test_watch_of_all_jobs_shows_them_as_they_change(canned, terminal, job, summary, go_on):
    old = summary(job_id="0000aaaabbbb", nodes_total=9, nodes_done=9)
    canned.on(
        "Watch",
        canned.reply({"sequence": 0, "missed": 0, "jobs": [old]}, continues=True),
        canned.reply({"sequence": 1, "missed": 0, "job": job("running")}, continues=True),
        go_on,
    )
    screen = terminal("watch")
    screen.until("3f2a00112233  running")
    lines = [line.split()[0] for line in screen.screen.splitlines()[:3]]
    assert lines == ["JOB", "3f2a00112233", "0000aaaabbbb"]  # newest first
    assert canned.calls == [("Watch", {})]
    screen.type("\x03")
    assert screen.ended() == 130
    assert_clean(screen)


def test_start_watch_shows_the_view_beside_the_id(canned, terminal, job, cluster):
    canned.on("Start", canned.reply({"job": cluster}))
    canned.watch(cluster, job("succeeded"))
    screen = terminal("start", "a", "--path", "x", "--credential", "lab", "--watch")
    assert screen.ended() == 0
    assert_clean(screen)
    assert screen.screen.splitlines()[0] == "3f2a00112233"
    assert "\x1b[?1049h" in screen.raw


@pytest.mark.long
@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_can_only_print_gets_lines(canned, terminal, job, more):
    canned.watch(job("running"), job("succeeded"))
    screen = terminal("watch", "3f2a", **more)
    assert screen.ended() == 0
    assert "\x1b" not in screen.raw
    assert "transfer, 1/4 files" in screen.screen


@pytest.mark.long
def test_no_colours_where_they_are_switched_off(canned, terminal, job):
    canned.on("Status", canned.reply({"job": job("succeeded")}))
    coloured, plain = terminal("status", "3f2a"), terminal("status", "3f2a", NO_COLOR="1")
    assert coloured.ended() == plain.ended() == 0
    assert "\x1b[32msucceeded" in coloured.raw
    assert "\x1b" not in plain.raw


def test_an_ascii_terminal_gets_a_bar_of_ascii(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    screen.until("ccm-sub2 pending")
    assert "##-" in screen.screen
    assert screen.screen.isascii()


NAMES = [f"call-manager-sub{n}.the-branch-office.voice.example.org" for n in (1, 2)]


@pytest.mark.long
@pytest.mark.parametrize("ascii_only", [False, True])
def test_a_table_of_long_names_does_not_wrap_on_a_terminal(canned, terminal, job, node, ascii_only):
    canned.on("Status", canned.reply({"job": job("succeeded", *map(node, NAMES))}))
    more = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} if ascii_only else {}
    screen = terminal("status", "3f2a", NO_COLOR="1", **more)
    assert screen.ended() == 0
    table = screen.screen.splitlines()[5:8]
    assert max(map(len, table)) == 80
    first, second = (line.split()[0] for line in table[1:])
    assert first != second
    assert first.endswith("~" if ascii_only else "…")


def test_a_table_of_long_names_is_whole_where_it_is_piped(canned, ctl, job, node):
    canned.on("Status", canned.reply({"job": job("succeeded", *map(node, NAMES))}))
    assert [line.split()[0] for line in ctl("status", "3f2a").stdout.splitlines()[-2:]] == NAMES
