"""Ctrl-C never shows a traceback, at whatever moment it comes."""

import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from contextlib import suppress

import pytest

from rig.hooks import is_quick
from rig.jobs import start
from rig.killed import KILLS, kills, make_dice, wait_closed

pytestmark = pytest.mark.long


# Runs `cucmctl` and sends SIGINT at import number N; for odd N also at all later imports. Prints
# how many imports were missing until N.
PROGRAM = """
import os, sys
left = int(sys.argv.pop(1))
held = left % 2
def interrupt(event, arguments):
    global left
    counts = event == "import" and "cucmctl.__main__" in sys.modules
    left -= counts
    if counts and (left == 0 or (left < 0 and held)):
        os.kill(os.getpid(), 2)
sys.addaudithook(interrupt)
from cucmctl.__main__ import run
code = run()
print(left)
sys.stdout.flush()
os._exit(code)
"""
MANY = 1000


@pytest.mark.timeout(300)
def test_ctrl_c_while_loading(canned, environ, summary, request):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    whole = interrupted(canned, environ, MANY)
    imports = MANY - int(whole.stdout.split()[-1])
    assert imports > 50
    codes = []
    for number in range(1, imports, 40 if is_quick(request.config) else 1):
        done = interrupted(canned, environ, number)
        assert_no_traceback(done.stderr)
        codes.append(done.returncode)
    # Until `main` is loaded, the kernel ends the process. Later, Python may lose the exception in
    # an import, and the command goes on to its end.
    assert set(codes) <= {-signal.SIGINT, 130, 0}
    assert codes.count(0) < len(codes) / 2


def assert_no_traceback(said):
    """Python reports a Ctrl-C that is lost in a destructor; then people press it again."""
    assert "Traceback" not in said or "Exception ignored" in said, said


def interrupted(canned, environ, number):
    command = [sys.executable, "-c", PROGRAM, str(number), "--socket", str(canned.path), "status"]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def test_ctrl_c_twice(environ):
    """The second Ctrl-C is raised by `signal.signal`, before it changes anything."""
    program = (
        "import signal, sys, types; from cucmctl import __main__\n"
        "whole, pressed = signal.signal, [1, 0, 0]\n"
        "def interrupted(*arguments):\n"
        "    if pressed and pressed.pop(): raise KeyboardInterrupt\n"
        "    whole(*arguments)\n"
        "def main(): raise KeyboardInterrupt\n"
        "signal.signal = interrupted\n"
        "sys.modules['cucmctl.main'] = types.SimpleNamespace(main=main)\n"
        "__main__.command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")


# Runs `cucmctl export`, and says when its module is loaded.
BEGINS = """
import os, sys
from cucmctl.__main__ import run
def begun(event, arguments):
    if event == "import" and arguments[0] == "cucmctl.export.save":
        os.write(2, b"begun\\n")
sys.addaudithook(begun)
sys.exit(run())
"""


FORMATS = ("zip", "tar", "tgz", "dir")


@pytest.mark.timeout(120 + 5 * KILLS)
def test_ctrl_c_during_an_export(daemon, make_lab, environ, tmp_path, request):
    """Ctrl-C is pressed once, or held. The target is complete, or as it was before."""
    dice, lab = make_dice(), make_lab(1, "--files", "3", "--size", "4000000")
    with daemon.client() as client:
        job_id = wait_closed(client, start(client, lab).job_id).job_id
    targets, codes, seconds = tmp_path / "targets", [], 0.0
    targets.mkdir()
    least = 3 if is_quick(request.config) else 4 * KILLS
    for number in kills(lambda: 130 in codes, least):
        form = FORMATS[number % 4]
        piped = form != "dir" and dice.random() < 0.5
        out = "-" if piped else targets / f"out.{form}"
        arguments = ["export", job_id, "--format", form, "-o", out, "--force"]
        export = subprocess.Popen(
            [sys.executable, "-c", BEGINS, "--socket", daemon.socket, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environ,
        )
        assert export.stderr.read(6) == b"begun\n"
        began = time.monotonic()
        wait, held = dice.random() * seconds, dice.random() < 0.5
        if number == 1:  # all others may be quicker than the first one was
            wait, held = 0.0, True
        while number and export.poll() is None:  # the first one shows how long it takes
            with suppress(subprocess.TimeoutExpired):
                export.communicate(timeout=wait)
            export.send_signal(signal.SIGINT)
            wait = 0.003 if held else None
        streamed, said = export.communicate(timeout=60)
        seconds = seconds or time.monotonic() - began
        assert export.returncode in (0, 130), said.decode()
        assert_no_traceback(said.decode())
        codes.append(export.returncode)
        if piped and export.returncode == 0:
            (tmp_path / "stream").write_bytes(streamed)
            check_whole(tmp_path / "stream", form)
        assert {path.name for path in targets.iterdir()} <= {f"out.{one}" for one in FORMATS}
        for path in targets.iterdir():
            check_whole(path, path.suffix[1:])
            if path.is_dir():  # the next one would go into it
                shutil.rmtree(path)


def check_whole(path, form):
    """Asserts that three logs, the transcript and three documents are there."""
    if form == "zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 7
    elif form == "dir":
        assert sum(one.is_file() for one in path.rglob("*")) == 7
    else:
        with tarfile.open(path) as tar:
            assert len([tar.extractfile(member).read() for member in tar]) == 7
