"""`cucmd check --running` asks what is not its daemon: one of before, another program."""

import io
import re

import pytest

from cucmd import __version__
from cucmd.running import check_running

GET_INFO = "org.varlink.service.GetInfo"
INFO = {"vendor": "v", "product": "cucmd", "version": "0.1.0", "url": "", "interfaces": []}
RUNS = {
    "started_at": "2026-11-27T22:25:00Z",
    "configuration": "[limits]\njobs = 16\n",
    "origin": "no file",
    "differences": [],
    "credentials": [],
    "credentials_by_systemd": False,
    "live": 3,
    "not_resumable": 1,
}


@pytest.fixture
def ask(canned):
    def _ask():
        out, err = io.StringIO(), io.StringIO()
        code = check_running(canned.path, out, err)
        return code, out.getvalue(), err.getvalue()

    return _ask


def test_a_daemon_of_before_that_cannot_say_it_differs_by_its_version(canned, ask):
    canned.on(GET_INFO, canned.reply(INFO))
    unknown = "org.varlink.service.MethodNotFound"
    canned.on("Configuration", canned.error(unknown, method="io.cucmd.Jobs.Configuration"))
    code, out, err = ask()
    assert (code, err) == (1, "")
    assert any("0.1.0" in line and __version__ in line for line in out.splitlines())


def test_another_version_that_says_it_needs_a_restart(canned, ask):
    canned.on(GET_INFO, canned.reply(INFO))
    canned.on("Configuration", canned.reply(RUNS))
    code, out, _ = ask()
    assert code == 1
    assert re.findall(r"\d+", out.splitlines()[-1]) == ["3", "1"]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"parameters": {"vendor": "v", "product": "another"}}\0',
        b'{"error": "org.varlink.service.MethodNotFound", "parameters": {"method": "x"}}\0',
        b"HTTP/1.1 400 Bad Request\r\n\r\n\0",
        b"[1]\0",
        None,
    ],
    ids=["product", "no-method", "http", "list", "hung-up"],
)
def test_another_program_is_no_daemon(canned, ask, answer):
    canned.on(GET_INFO, answer)
    code, out, err = ask()
    assert (code, out, err.count("\n")) == (69, "", 1)


def test_a_reply_that_is_not_as_agreed_is_no_traceback(canned, ask):
    canned.on(GET_INFO, canned.reply(INFO))
    canned.on("Configuration", canned.reply({**RUNS, "differences": 3}))
    assert ask()[0] == 69


def test_what_it_says_cannot_control_the_terminal(canned, ask):
    canned.on(GET_INFO, canned.reply({**INFO, "version": "\x1b[2J"}))
    odd = {"name": "a\nb", "needs": "reload", "running": "\x9b2J"}
    more = {"origin": "\r", "configuration": "\x1b]0;x\x07\n", "refused": "a\nb"}
    canned.on("Configuration", canned.reply({**RUNS, **more, "differences": [odd]}))
    code, out, _ = ask()
    assert code == 78
    assert all(line.isprintable() for line in out.split("\n"))
