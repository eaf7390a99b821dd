"""Ctrl-C at any moment, from our first line on, is no traceback."""

import subprocess
import sys

import pytest

from rig.hooks import is_quick

# Runs `cucmctl`, sends itself SIGINT at the import of that number after its first line, of every
# second number at all that follow too, and prints how many more there would have had to be.
PROGRAM = """
import os, sys
from cucmctl.__main__ import run
SIGINT = 2  # `signal` is loaded later, if at all
left = int(sys.argv.pop(1))
held = left % 2
def interrupt(event, arguments):
    global left
    left -= event == "import"
    if event == "import" and (left == 0 or (left < 0 and held)):
        os.kill(os.getpid(), SIGINT)
sys.addaudithook(interrupt)
code = run()
print(left)
sys.stdout.flush()
os._exit(code)
"""
MANY = 1000


@pytest.mark.timeout(300)
def test_ctrl_c_while_anything_is_loaded(canned, environ, summary, request):
    canned.on("List", canned.reply({"jobs": [summary()]}))
    whole = interrupted(canned, environ, MANY)
    imports = MANY - int(whole.stdout.split()[-1])
    assert imports > 50
    codes = []
    for number in range(1, imports, 13 if is_quick(request.config) else 1):
        done = interrupted(canned, environ, number)
        assert done.stderr == "", number
        codes.append(done.returncode)
    # Code in C may drop the exception: then the command goes on to its end.
    assert set(codes) <= {130, 0}
    assert codes.count(130) > len(codes) / 2


def interrupted(canned, environ, number):
    command = [sys.executable, "-c", PROGRAM, str(number), "--socket", str(canned.path), "status"]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def test_ctrl_c_that_python_would_lose_is_not(environ):
    """In a destructor; it is printed there, and forgotten."""
    program = (
        "import os, signal, sys, time, types; from cucmctl.__main__ import command\n"
        "class Late:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n"
        "def main():\n"
        "    Late()\n"
        "    time.sleep(30)\n"
        "    return 0\n"
        "sys.modules['cucmctl.main'] = types.SimpleNamespace(main=main)\n"
        "command()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")
