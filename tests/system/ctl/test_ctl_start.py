"""`start`: the request that it makes, where the password comes from, and what is printed."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cucmd.job.work_request import LOCATIONS

SECRET = "Gr\u00fcn-eHeckeN"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(f"{SECRET}\nsecond line\n")
    return path


@pytest.fixture
def started(canned, ctl, job):
    """The request that a `start` with these arguments makes."""

    def _started(*arguments, **options):
        canned.on("Start", canned.reply({"job": job("running")}))
        done = ctl("start", *arguments, **options)
        assert (done.returncode, done.stdout) == (0, "3f2a00112233\n")
        assert done.stderr == "" or done.stderr.startswith("cucmctl: window  ")
        request = dict(canned.calls[-1][1])
        assert request.pop("start_key")
        return request

    return _started


def test_start_prints_the_id_alone(started, secret_file):
    request = started(
        *("ccm-pub", "ccm-sub1:2222", "--path", "cm/trace/ccm/sdl", "cm/trace/cti"),
        *("--user", "administrator", "--password-file", str(secret_file), "--last", "2h"),
    )
    assert request == {
        "nodes": ["ccm-pub", "ccm-sub1:2222"],
        "login": {"username": "administrator", "password": SECRET},
        "collection": {
            "paths": ["cm/trace/ccm/sdl", "cm/trace/cti"],
            "last": "2h",
        },
    }


def test_paths_beside_a_profile_are_added_to_it(started):
    request = started(
        *("a", "--profile", "callmanager", "--only", "sdl, syslog", "--credential", "lab"),
        *("--path", "core", "activelog", "/cm/trace", "activelog/x", "--no-snapshot"),
    )
    assert request["snapshot"] is False
    assert request["collection"] == {"profile": "callmanager"}
    assert request["only"] == ["sdl", "syslog"]
    assert request["added_paths"] == ["core", "activelog /cm/trace", "activelog/x"]


def test_a_snapshot_is_left_to_the_profile_unless_it_is_asked_for(started):
    login = ("a", "--credential", "lab", "--path", "x")
    assert "snapshot" not in started(*login)
    assert started(*login, "--snapshot")["snapshot"] is True


def test_a_location_before_a_path_belongs_to_it(started):
    request = started("a", "--credential", "lab", "--path", "activelog", "/cm/x", "y", "install")
    assert request["collection"]["paths"] == ["activelog /cm/x", "y", "install"]


def test_every_option_is_a_field_of_the_request(started):
    request = started(
        *("a", "--profile", "callmanager", "--since", "2026-03-01T09:00:00+01:00"),
        *("--until", "2026-03-01 09:30", "--match", "SDL.*", "--recurs", "--no-compress"),
        *("--location", "inactivelog", "--credential", "lab", "--concurrency", "3"),
        *("--connect-timeout", "1", "--login-timeout", "2", "--command-timeout", "3.5"),
        *("--answer-timeout", "2.5"),
        *("--stall-timeout", "4", "--node-timeout", "5", "--job-timeout", "6"),
    )
    assert request["collection"] == {
        "profile": "callmanager",
        "location": "inactivelog",
        "match": "SDL.*",
        "recurs": True,
        "compress": False,
        "since": "2026-03-01T08:00:00Z",
        "until": "2026-03-01T09:30:00Z",  # the time zone of this test is UTC
    }
    assert request["login"] == {"credential": "lab"}
    assert request["timeouts"] == {
        **{
            "connect": 1.0,
            "login": 2.0,
            "answer": 2.5,
            "command": 3.5,
            "stall": 4.0,
            "node": 5.0,
            "job": 6.0,
        },
    }
    assert request["concurrency"] == 3


@pytest.mark.parametrize("columns", [80, 200])
def test_the_window_that_was_understood_is_said_with_its_zone(canned, terminal, job, columns):
    canned.on("Start", canned.reply({"job": job("running")}))
    asked = ("--path", "x", "--credential", "lab", "--since", "2026-03-01 23:25")
    asked = (*asked, "--until", "2026-03-02 00:25")
    screen = terminal("start", "a", *asked, columns=columns, TZ="Europe/Berlin")
    assert screen.ended() == 0
    first, *_ = screen.screen.splitlines()
    assert first.startswith("cucmctl: window  Sun 01 Mar ")
    assert "23:25 to Mon 02 Mar" in first
    assert first.rstrip().endswith("00:25 CET")


def test_an_end_without_a_day_is_behind_the_beginning(started):
    """`--since -1h --until 00:00` and so on work at any time of the day."""
    login = ("a", "--path", "x", "--credential", "lab", "--since")
    for since, until in (("-20h", "12:00"), ("-3h", "00:00"), ("yesterday 22:00", "06:00")):
        collection = started(*login, since, "--until", until)["collection"]
        assert collection["since"] < collection["until"]


@pytest.mark.parametrize("user", [("-u", "anna"), ("anna@a",)])
def test_the_user_as_ssh_takes_it(started, secret_file, user):
    node = () if "@" in user[-1] else ("a",)
    request = started(*user, *node, "--path", "x", "--password-file", str(secret_file))
    assert (request["nodes"], request["login"]["username"]) == (["a"], "anna")


def test_paths_may_be_given_one_by_one(started):
    request = started("a", "--path", "x", "--path", "y", "--credential", "lab")
    assert request["collection"]["paths"] == ["x", "y"]


def test_the_password_may_come_from_standard_input(started):
    arguments = ("a", "--path", "x", "--user", "u", "--password-file", "-")
    request = started(*arguments, stdin=None, input=f"{SECRET}\r\nmore\n")
    assert request["login"]["password"] == SECRET


def test_without_a_terminal_a_user_needs_a_password(ctl, canned):
    """A request without one would log in with that of the cluster's credential."""
    done = ctl("start", "a", "--path", "x", "--user", "u")
    assert (done.returncode, done.stdout) == (2, "")
    for named in ("'u'", "--password-file", "--credential"):
        assert named in done.stderr
    assert {method for method, _ in canned.calls} <= {"Clusters"}


def test_a_user_may_go_with_a_credential(started):
    login = started("a", "--path", "x", "--user", "u", "--credential", "lab")["login"]
    assert login == {"username": "u", "credential": "lab"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "NODE: the login of its cluster cannot be used: credential 'berlin': chmod 600"),
        (("--credential", "berlin"), "--credential: credential 'berlin': chmod 600"),
    ],
)
def test_the_message_names_why_a_credential_cannot_be_used(canned, ctl, given, message):
    wrong = {"parameter": "login.credential", "reason": "credential 'berlin': chmod 600"}
    canned.on("Start", canned.error("InvalidRequest", **wrong))
    done = ctl("start", "berlin", "--path", "x", *given)
    assert (done.returncode, done.stderr) == (65, f"cucmctl: {message}\n")


@pytest.mark.parametrize("option", ["--wait", "--watch"])
@pytest.mark.parametrize("json_too", [["--json"], []])
def test_a_job_that_cannot_be_followed_was_started_all_the_same(canned, ctl, job, option, json_too):
    """75 would mean that it may be started again."""
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.on("Watch", canned.error("LimitReached", limit="watchers_per_uid", maximum=32))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", option, *json_too)
    assert done.returncode == 69
    assert done.stderr.endswith(": 3f2a00112233\n")


def test_json_gives_the_job(canned, ctl, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", "--json")
    assert json.loads(done.stdout)["job_id"] == "3f2a00112233"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (SECRET, 0o644, "others can read it (mode 0644); expected 0600 or less"),
        ("\nsecond", 0o600, "its first line is empty; expected the password"),
        ("", 0o600, "its first line is empty; expected the password"),
        (SECRET * 200, 0o600, "its first line is longer than 1024 bytes; expected a password"),
        (b"\xfc" + SECRET.encode(), 0o600, "its first line is not UTF-8; expected the password"),
    ],
)
def test_a_password_file_that_will_not_do_is_refused(ctl, canned, tmp_path, content, mode, why):
    path = tmp_path / "secret"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    done = ctl("start", "a", "--path", "x", "--user", "u", "--password-file", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cucmctl: --password-file: '{path}': {why}\n"
    assert {method for method, _ in canned.calls} <= {"Clusters"}


def test_a_folder_is_no_password_file(ctl, tmp_path):
    done = ctl("start", "a", "--path", "x", "--user", "u", "--password-file", str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert done.stderr.endswith(": Is a directory\n")


def test_a_refused_start_shows_no_password(canned, ctl, secret_file):
    canned.on("Start", canned.error("InvalidRequest", parameter="$.login.username", reason="no"))
    done = ctl("start", "a", "--path", "x", "--user", "u", "--password-file", str(secret_file))
    assert (done.returncode, done.stderr) == (65, "cucmctl: --user: no\n")


def test_nobody_is_asked_for_a_password_that_no_daemon_would_take(terminal, tmp_path):
    screen = terminal(
        "start", "a", "--path", "x", "--user", "u", "--socket", str(tmp_path / "none")
    )
    assert screen.ended() == 69
    assert "Password" not in screen.screen


def test_the_password_is_asked_for_on_the_terminal_and_not_shown(canned, terminal, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    screen = terminal("start", "a", "--path", "x", "--user", "administrator")
    screen.until("Password of administrator on the nodes: ")
    screen.type(f"{SECRET}\n")
    assert screen.ended() == 0
    assert screen.screen.splitlines()[-2:] == [
        "Password of administrator on the nodes: ",
        "3f2a00112233",
    ]
    assert canned.calls[-1][1]["login"]["password"] == SECRET
    assert SECRET not in screen.raw
    assert screen.settings == screen.before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--user u", "nothing to collect: give --profile or --path"),
        ("--path x --password-file -", "--password-file: needs --user, whose password it is"),
        ("--path x --user=", "--user: '' is empty; expected the platform administrator's name"),
    ],
)
def test_what_is_missing_is_reported_before_a_password_is_asked_for(terminal, arguments, why):
    screen = terminal("start", "a", *arguments.split())
    assert screen.ended() == 2
    assert screen.screen.splitlines() == [f"cucmctl: {why}"]


def test_help_names_the_locations_that_the_daemon_takes(ctl):
    assert f"one of {', '.join(LOCATIONS)}" in " ".join(ctl("start", "--help").stdout.split())


def test_without_a_user_no_password_is_asked_for(canned, terminal):
    """The daemon knows whether the cluster has a credential, with a user of its own."""
    reason = "has neither a password nor a credential"
    canned.on("Start", canned.error("InvalidRequest", parameter="login", reason=reason))
    screen = terminal("start", "a", "--path", "x")
    assert screen.ended() == 65
    for option in ("--password-file", "--credential", "--user"):
        assert option in screen.screen
    assert canned.calls[-1][1]["login"] == {}


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 2), ("\n", 2)])
def test_whoever_gives_no_password_starts_nothing_and_gets_the_terminal_back(
    canned, terminal, key, code
):
    screen = terminal("start", "a", "--path", "x", "--user", "u")
    screen.until("Password of u on the nodes: ")
    screen.type(key)
    assert screen.ended() == code
    assert "nothing was started" in screen.screen
    assert screen.settings == screen.before
    assert {method for method, _ in canned.calls} <= {"Clusters"}


@pytest.mark.parametrize("option", ["--wait", "--watch"])
def test_start_stays_and_ends_as_the_job_does(canned, ctl, job, option):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.watch(job("running"), job("partial"))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", option)
    assert (done.returncode, done.stdout) == (3, "3f2a00112233\n")  # the id alone, always
    assert "3f2a00112233 partial" in done.stderr
    assert [method for method, _ in canned.calls][-2:] == ["Start", "Watch"]


def test_start_wait_json_gives_the_job_as_it_ended(canned, ctl, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.watch(job("running"), job("failed"))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", "--wait", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["status"] == "failed"


@pytest.mark.parametrize("option", ["", "--json", "--wait", "--watch --json"])
def test_an_id_that_cannot_be_printed_is_on_standard_error(canned, in_shell, job, option):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.watch(job("running"), job("succeeded"))
    start = f"$CUCMCTL start a --path x --credential c {option}"
    with in_shell(f"{start} >/dev/full; echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        started, why = shell.stderr.read().splitlines()
        assert started.endswith(": 3f2a00112233")
        assert why.endswith(": No space left on device")


@pytest.mark.parametrize("option", ["--wait", "--watch"])
def test_ctrl_c_while_it_stays_leaves_the_job(canned, environ, job, option):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.watch(job("running"), then=threading.Event())
    with _start(canned, environ, option) as process:
        canned.until_called("Watch")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, "3f2a00112233\n")
    note = "job 3f2a00112233 goes on; to cancel it: cucmctl cancel 3f2a00112233"
    assert stderr.splitlines()[-1] == f"cucmctl: {note}"


def test_ctrl_c_before_the_reply_warns_that_the_job_may_have_begun(canned, environ):
    canned.on("Start", threading.Event())
    with _start(canned, environ) as process:
        canned.until_called("Start")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (130, "")
    why = "interrupted before the daemon answered; did it begin? cucmctl list"
    assert stderr == f"cucmctl: {why}\n"


def test_the_password_is_in_no_command_line(canned, environ, secret_file):
    canned.on("Start", threading.Event())
    with _start(canned, environ, "--password-file", str(secret_file)) as process:
        canned.until_called("Start")
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{process.pid}/{name}").read_bytes()
            assert SECRET.encode() not in shown
        process.send_signal(signal.SIGINT)
        process.communicate()


def _start(canned, environ, *arguments):
    arguments = arguments if "--password-file" in arguments else ("--credential", "c", *arguments)
    command = [
        *(sys.executable, "-m", "cucmctl", "--socket", str(canned.path)),
        *("start", "a", "--path", "x", "--user", "u", *arguments),
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
