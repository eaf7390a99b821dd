"""`watch` on a terminal, and the state of the terminal afterwards."""

import signal
import termios
import threading

import pytest


@pytest.fixture
def go_on():
    """Until this is set, the daemon sends nothing more."""
    return threading.Event()


@pytest.fixture
def cluster(job, node):
    """A job on three nodes, one of which still runs."""
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


def test_earlier_lines_stay(canned, terminal, job, cluster):
    canned.watch(cluster, job("succeeded"))
    screen = terminal("watch", "3f2a", within=["/bin/sh", "-c", 'echo above; exec "$@"', "sh"])
    assert screen.ended() == 0
    lines = screen.screen.splitlines()
    assert lines[0] == "above"
    assert lines[-1].endswith(": cucmctl export 3f2a00112233")


def test_view_follows_a_resize(canned, terminal, job, node, go_on):
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


def test_ctrl_c_leaves_terminal_and_job(canned, terminal, cluster, go_on):
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signals_leave_the_terminal_clean(canned, terminal, cluster, go_on, number):
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


def test_closed_terminal_ends_the_view(canned, terminal, cluster, go_on):
    canned.watch(cluster, then=go_on)
    screen = terminal("watch", "3f2a")
    screen.until("ccm-sub2 pending")
    screen.hang_up()
    assert screen.process.wait(30) != 0


@pytest.mark.long
def test_ctrl_z_restores_the_terminal(canned, terminal, cluster, go_on):
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


def test_start_watch_prints_id_and_view(canned, terminal, job, cluster):
    canned.on("Start", canned.reply({"job": cluster}))
    canned.watch(cluster, job("succeeded"))
    screen = terminal("start", "a", "--path", "x", "--credential", "lab", "--watch")
    assert screen.ended() == 0
    assert_clean(screen)
    assert screen.screen.splitlines()[0] == "3f2a00112233"
    assert "\x1b[?1049h" in screen.raw
