"""The question for the password: the answer is never shown, and the terminal is restored."""

import os
import signal
import sys
import termios

import pytest

SECRET = "Gr\u00fcn-eHeckeN"
QUESTION = "Password of u on the nodes: "

# Behaves as bash: when a job stops, takes the terminal back, switches echo on, and continues
# the job after the next line, which stands for `fg`.
SHELL = """
import os, signal, sys, termios

job = os.fork()
if not job:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    print("job", os.getpid(), flush=True)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
while os.WIFSTOPPED(status := os.waitpid(job, os.WUNTRACED)[1]):
    os.tcsetpgrp(0, os.getpid())
    settings = termios.tcgetattr(0)
    print("stopped, echo", "on" if settings[3] & termios.ECHO else "off", flush=True)
    settings[3] |= termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, settings)
    print("$ ", end="", flush=True)
    sys.stdin.readline()
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
os.tcsetpgrp(0, os.getpid())
print("ended", os.waitstatus_to_exitcode(status), flush=True)
"""
ARGUMENTS = ("start", "a", "--path", "x", "--user", "u")


@pytest.fixture
def asked(terminal):
    """A terminal that asks for the password."""
    screen = terminal(*ARGUMENTS)
    screen.until(QUESTION)
    assert not echo(screen)
    return screen


@pytest.fixture
def asked_in_shell(terminal):
    """The same, as a job of a shell."""
    screen = terminal(*ARGUMENTS, within=[sys.executable, "-c", SHELL])
    screen.until(QUESTION)
    return screen


def echo(screen):
    return bool(screen.settings[3] & termios.ECHO)


def job_of(screen):
    return int(screen.screen.split("job ")[1].split()[0])


@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_nothing_typed_after_stop_is_seen(canned, asked_in_shell, job, number):
    screen = asked_in_shell
    canned.on("Start", canned.reply({"job": job("running")}))
    screen.type("half of")  # and what was typed before is forgotten
    os.kill(job_of(screen), number)
    screen.until("stopped, echo " + ("on" if number == signal.SIGTSTP else "off"))
    screen.until("$ ")
    screen.type("fg\n")
    screen.until_again(QUESTION)
    assert not echo(screen)
    screen.type(f"{SECRET}\n")
    screen.until("ended 0")
    assert canned.calls[-1][1]["login"]["password"] == SECRET
    assert echo(screen)
    assert SECRET not in screen.raw
    assert "half of" not in screen.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_restore_the_terminal(canned, asked, number):
    asked.process.send_signal(number)
    assert asked.ended() == 128 + number
    assert asked.process.returncode == -number  # ended by the signal itself, as its sender expects
    assert asked.settings == asked.before
    assert asked.screen.splitlines() == [QUESTION]
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (b"\x03", "interrupted; nothing was started"),
        (b"\n", "no password was given; nothing was started"),
        (b"se\xffcret\n", "the password that was typed is not UTF-8"),
    ],
)
def test_message_follows_on_its_own_line(canned, asked, typed, message):
    asked.type(typed)
    assert asked.ended() in (2, 130)
    assert asked.screen.splitlines() == [QUESTION, f"cucmctl: {message}"]
    assert asked.settings == asked.before
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}
