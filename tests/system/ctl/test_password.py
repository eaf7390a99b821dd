"""Where the password of `start` comes from, and when it is asked for."""

import signal
import threading
from pathlib import Path

import pytest

SECRET = "Gr\u00fcn-eHeckeN"


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text(f"{SECRET}\nsecond line\n")
    return path


@pytest.fixture
def started(canned, ctl, job):
    """Returns the request of a `start` with these arguments."""

    def _started(*arguments, **options):
        canned.on("Start", canned.reply({"job": job("running")}))
        done = ctl("start", *arguments, **options)
        assert (done.returncode, done.stdout) == (0, "3f2a00112233\n")
        assert done.stderr == "" or done.stderr.startswith("cucmctl: window  ")
        request = dict(canned.calls[-1][1])
        assert request.pop("start_key")
        return request

    return _started


def test_password_comes_from_standard_input(started):
    arguments = ("a", "--path", "x", "--user", "u", "--password-file", "-")
    request = started(*arguments, typed=f"{SECRET}\r\nmore\n")
    assert request["login"]["password"] == SECRET


def test_password_needs_a_terminal(process, canned):
    """A request without a password would use the credential of the cluster."""
    with process("start", "a", "--path", "x", "--user", "u") as done:
        said = done.stderr.read()
    assert done.returncode == 2
    for named in ("'u'", "--password-file", "--credential"):
        assert named in said
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}


@pytest.mark.parametrize(
    "words",
    [
        ("start", "a", "--path", "x"),
        ("discover", "a"),
        ("check", "a"),
        ("retry", "3f2a"),
    ],
)
def test_viewers_are_not_asked(canned, ctl, job, words):
    canned.on("Status", canned.reply({"job": job("failed")}))
    canned.on("Credentials", canned.error("org.varlink.service.PermissionDenied"))
    assert ctl(*words, "--user", "u").returncode == 77
    assert {method for method, _ in canned.calls} <= {"Status", "Credentials"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "NODE: the login of its cluster cannot be used: credential 'berlin': chmod 600"),
        (("--credential", "berlin"), "--credential: credential 'berlin': chmod 600"),
    ],
)
def test_unusable_credential_is_explained(canned, ctl, given, message):
    wrong = {"parameter": "login.credential", "reason": "credential 'berlin': chmod 600"}
    canned.on("Start", canned.error("InvalidRequest", **wrong))
    done = ctl("start", "berlin", "--path", "x", *given)
    assert (done.returncode, done.stderr) == (65, f"cucmctl: {message}\n")


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (SECRET, 0o644, "others can read it (mode 0644); expected 0600 or less"),
        ("\nsecond", 0o600, "its first line is empty; expected the password"),
        (SECRET * 200, 0o600, "its first line is longer than 1024 bytes; expected a password"),
        (b"\xfc" + SECRET.encode(), 0o600, "its first line is not UTF-8; expected the password"),
    ],
)
def test_bad_password_files_are_refused(ctl, canned, tmp_path, content, mode, why):
    path = tmp_path / "secret"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    done = ctl("start", "a", "--path", "x", "--user", "u", "--password-file", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cucmctl: --password-file: '{path}': {why}\n"
    assert {method for method, _ in canned.calls} <= {"Clusters", "Credentials"}


def test_no_user_means_no_password(canned, ctl):
    """The daemon knows whether the cluster has a credential, with a user of its own."""
    reason = "has neither a password nor a credential"
    canned.on("Start", canned.error("InvalidRequest", parameter="login", reason=reason))
    done = ctl("start", "a", "--path", "x")
    assert done.returncode == 65
    assert all(option in done.stderr for option in ("--password-file", "--credential", "--user"))
    assert [sent["login"] for method, sent in canned.calls if method == "Start"] == [{}]


@pytest.mark.parametrize("option", ["--wait", "--watch"])
def test_start_ends_as_the_job_does(canned, ctl, job, option):
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.watch(job("running"), job("partial"))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", option)
    assert (done.returncode, done.stdout) == (3, "3f2a00112233\n")
    assert "3f2a00112233 partial" in done.stderr


def test_failed_watch_names_the_started_job(canned, ctl, job):
    """Not 75, which would mean that the job may be started again."""
    canned.on("Start", canned.reply({"job": job("running")}))
    canned.on("Watch", canned.error("LimitReached", limit="watchers_per_uid", maximum=32))
    done = ctl("start", "a", "--path", "x", "--credential", "lab", "--wait")
    assert done.returncode == 69
    assert done.stderr.endswith(": 3f2a00112233\n")


def test_id_that_cannot_be_printed(canned, in_shell, job):
    canned.on("Start", canned.reply({"job": job("running")}))
    with in_shell("$CUCMCTL start a --path x --credential c >/dev/full; echo code $?") as shell:
        assert shell.stdout.read() == "code 74\n"
        started, why = shell.stderr.read().splitlines()
        assert started.endswith(": 3f2a00112233")
        assert why.endswith(": No space left on device")


def test_ctrl_c_before_reply_warns(canned, process):
    canned.on("Start", threading.Event())
    with _start(process, "--credential", "c") as one:
        canned.until_called("Start")
        one.send_signal(signal.SIGINT)
        stdout, stderr = one.communicate()
    assert (one.returncode, stdout) == (130, "")
    why = "interrupted before the daemon answered; did the job start? cucmctl list"
    assert stderr == f"cucmctl: {why}\n"


def test_password_is_in_no_command_line(canned, process, secret_file):
    canned.on("Start", threading.Event())
    with _start(process, "--password-file", str(secret_file)) as one:
        canned.until_called("Start")
        for name in ("cmdline", "environ"):
            shown = Path(f"/proc/{one.pid}/{name}").read_bytes()
            assert SECRET.encode() not in shown
        one.send_signal(signal.SIGINT)
        one.communicate()


def _start(process, *login):
    return process("start", "a", "--path", "x", "--user", "u", *login)
