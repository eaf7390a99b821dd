"""Every error has its exit code and one line on standard error: no traceback, no password."""

import os
import socket

import pytest

from cucmctl.main import VERBS

VARLINK = "org.varlink.service"
UNREACHED = {"code": "connection_refused", "message": "refused", "retryable": True}
# The error, its fields, the exit code, and what the message says of the fields.
ERRORS = [
    ("JobNotFound", {"job_id": "beef"}, 5, "no job 'beef'; cucmctl list"),
    ("JobNotFound", {"job_id": "2cf"}, 5, "no job '2cf': the beginning of an id needs at least 4"),
    ("NodeNotFound", {"job_id": "3f2a", "node": "x"}, 5, "'x'; cucmctl status 3f2a"),
    ("ProfileNotFound", {"profile": "x"}, 5, "no profile 'x'"),
    ("CredentialNotFound", {"credential": "x"}, 5, "no credential 'x'"),
    ("CredentialNotFound", {"credential": "x", "cluster": "b"}, 5, "cluster 'b'"),
    ("InvalidRequest", {"parameter": "timeouts.job", "reason": "why"}, 65, "--job-timeout: why\n"),
    (f"{VARLINK}.InvalidParameter", {"parameter": "job_id"}, 65, "JOB: "),
    ("LimitReached", {"limit": "jobs", "maximum": 16}, 75, "jobs is reached (16); try later"),
    ("ShuttingDown", {}, 75, "try later"),
    ("StorageFailed", {"reason": "disk full"}, 75, "disk full"),
    (f"{VARLINK}.PermissionDenied", {}, 77, "[access]"),
    ("ScanFailed", {"node": "x", "failure": UNREACHED}, 1, "x: refused\n"),
    ("ReloadFailed", {"reason": "x.toml:1: y"}, 1, "x.toml:1: y\n"),
    ("InternalError", {}, 70, "a defect of the daemon"),
    (f"{VARLINK}.MethodNotFound", {"method": "X.Y"}, 70, "no X.Y; is it older than cucmctl?"),
    ("Newer", {"why": "x"}, 70, "io.cucmd.Jobs.Newer {'why': 'x'}\n"),
]


@pytest.mark.parametrize(("name", "parameters", "code", "text"), ERRORS)
def test_each_refusal_has_its_exit_code(canned, ctl, name, parameters, code, text):
    canned.on("Status", canned.error(name, **parameters))
    done = ctl("status", "beef", "--json")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("cucmctl: ")
    assert done.stderr.count("\n") == 1
    assert text in done.stderr


def test_an_error_whose_fields_are_not_as_agreed_is_shown_as_it_came(canned, ctl):
    canned.on("Status", canned.error("JobNotFound", id=7))
    done = ctl("status", "beef")
    assert done.returncode == 70
    assert done.stderr.endswith(" io.cucmd.Jobs.JobNotFound {'id': 7}\n")


def test_texts_of_a_refusal_cannot_steer_a_terminal(canned, ctl):
    canned.on("Status", canned.error("InvalidRequest", parameter="\x1b[2J", reason="\r\x07"))
    shown = ctl("status", "beef").stderr
    assert shown.endswith(": \\r\\x07\n")
    assert shown.removesuffix("\n").isprintable()


@pytest.mark.parametrize("verb", ["status", "list", "cancel beef", "watch", "wait beef"])
def test_no_daemon_is_exit_69(ctl, tmp_path, verb):
    path = tmp_path / "none"
    done = ctl(*verb.split(), "--socket", str(path))
    assert (done.returncode, done.stdout) == (69, "")
    why = f"no daemon at {path} (No such file or directory); does cucmd run?"
    assert done.stderr == f"cucmctl: {why}\n"


def test_a_socket_that_nobody_serves_is_exit_69(ctl, canned):
    path = canned.path.with_name("left")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    done = ctl("status", "--socket", str(path))
    assert done.returncode == 69
    assert "(Connection refused)" in done.stderr


def test_a_path_too_long_for_a_socket_is_exit_69(ctl):
    done = ctl("status", "--socket", "/" + "x" * 200)
    assert done.returncode == 69
    assert "too long" in done.stderr


def test_a_daemon_that_goes_away_is_exit_69(canned, ctl):
    canned.on("Status", None)
    done = ctl("status", "beef")
    assert done.returncode == 69
    assert str(canned.path) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "frame", [b"HTTP/1.1 400\r\n\0", b"\xff\0", b"[]\0", b'{"parameters":1}\0']
)
def test_something_else_at_the_socket_is_exit_69(canned, ctl, frame):
    canned.on("Status", frame)
    done = ctl("status", "beef")
    assert done.returncode == 69
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "no command was given; expected one of start, run, check, health, capture,"),
        ("sttus", "'sttus' is not a command; did you mean status?"),
        ("logs 3f2a", "'logs' is not a command; cucmctl transcript"),
        ("frobnicate", "'frobnicate' is not a command; cucmctl --help"),
        ("--sockt x list", "--sockt: no such option before the command; expected --socket PATH or"),
        ("--socket /x --jsn list", "--jsn: no such option; did you mean --json? (see"),
        ("list --limit 0", "--limit: '0' is not a whole number from 1 up (see"),
        ("list --status done", "--status: invalid choice: 'done' (choose from"),
        ("wait 3f2a --timeout -1", "--timeout: '-1' is not a positive number of seconds (at most"),
        ("wait", "JOB is missing (see cucmctl wait --help)"),
        ("start", "NODE is missing (see cucmctl start --help)"),
        ("status a b", "'b' is one argument too many (see"),
        ("status --sock x", "--sock: no such option; did you mean --socket? (see"),
        ("start n --last 2x", "--last: '2x': expected a duration such as"),
        ("start n --written-for 2x", "--written-for: '2x': expected a duration such as"),
        ("start n --since soon", "--since: 'soon' is not a time; expected local"),
        ("start n --since today --until yesterday --path x", "--until: "),
        ("start n --frobnicate", "--frobnicate: no such option (see"),
        ("start a@n -u b --path x", "a@n: another user than 'b'; a job has one"),
        ("start n --profile -sdl", "--profile: expected a value, but '-sdl' begins with '-'"),
        ("start n --profile --watch", "--profile: expected a value before '--watch' (see"),
        ("start n --watch --path", "--path: expected a value (see cucmctl start --help)"),
        ("start n --until 2026-03-01T08:00Z", "--until: needs --since, the time to begin at"),
        ("start n --path a --only sdl", "--only: needs --profile, whose paths it chooses from"),
        ("start n --profile a --only sdl,,x", "--only: 'sdl,,x' is not NAME,NAME"),
        ("start n --last 1h --since 2026-03-01T08:00Z", "--since: not allowed with argument"),
        ("start n --wait --watch", "--watch: not allowed with argument --wait"),
        ("start n --user u", "nothing to collect: give --profile or --path"),
        ("start n --path a 127.0.0.2:22 --wait", "--path: '127.0.0.2:22' looks like a node; nodes"),
        ("start --path a n", "NODE is missing; nodes go before --path (see"),
        ("start n --profile a --profile b", "--profile: was given twice, 'a' and 'b'; expected"),
        (
            "start n --path p --since 2026-03-01T08:00Z --since 2026-03-01T09:00Z",
            "--since: was given twice, 2026-03-01T08:00:00Z and 2026-03-01T09:00:00Z; expected",
        ),
        ("hostkeys add", "NODE: none was given; expected the node whose key to add"),
        ("hostkeys list ccm-pub", "NODE: 'ccm-pub' was given, but list shows the keys of all"),
        ("hostkeys forget ccm-pub --key x", "--key: goes with add, not with forget"),
    ],
)
def test_usage_is_exit_2_and_names_what_is_wrong(ctl, canned, arguments, text):
    done = ctl(*arguments.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"cucmctl: {text}")
    assert done.stderr.count("\n") == 1
    assert {method for method, _ in canned.calls} <= {"Clusters"}  # names are looked up before


@pytest.mark.long
@pytest.mark.parametrize("verb", ["", "start", "cancel"])
def test_help_is_a_command_too(ctl, verb):
    by_option = ctl(*verb.split(), "--help")
    done = ctl("help", *verb.split())
    assert (done.returncode, done.stdout) == (0, by_option.stdout)
    assert f"usage: cucmctl {verb}" in done.stdout


@pytest.mark.parametrize(
    "option", ["match", "location", "last", "until", "user", "credential", "password-file"]
)
def test_an_option_of_one_value_takes_no_second(ctl, canned, option):
    value = "1h" if option == "last" else "2026-03-01T08:00:00Z"
    done = ctl("start", "n", "--path", "p", f"--{option}={value}", f"--{option}={value}")
    assert (done.returncode, canned.calls) == (2, [])
    assert done.stderr.startswith(f"cucmctl: --{option}: was given twice, ")


def test_what_is_not_utf8_is_refused_before_it_is_sent(ctl, canned):
    done = ctl("cancel", "3f2a", os.fsdecode(b"node\xff"))
    assert done.returncode == 2
    assert done.stderr.startswith("cucmctl: NODE: 'node\\udcff' ")
    assert canned.calls == []


def test_a_request_that_the_daemon_would_cut_off_is_refused(ctl, canned):
    many = [f"{number:0>6}{'x' * 1000}" for number in range(1100)]
    done = ctl("cancel", "3f2a", *many)
    assert done.returncode == 65
    assert " 1048576" in done.stderr
    assert canned.calls == []


@pytest.mark.long
def test_help_and_version_need_no_daemon(ctl, tmp_path):
    from cucmd import __version__

    nowhere = ("--socket", str(tmp_path / "none"))
    assert ctl("--version", *nowhere).stdout == f"cucmctl {__version__}\n"
    assert ctl("--help", *nowhere).stdout.startswith("usage: cucmctl")
    for verb in VERBS:
        shown = ctl(verb, "--help", *nowhere)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert shown.stdout.startswith(f"usage: cucmctl {verb}")
        assert all(len(line) < 81 for line in shown.stdout.splitlines())


def test_the_socket_comes_from_the_option_the_environment_or_the_user(ctl, canned, environ):
    canned.on("List", canned.reply({"jobs": []}))
    assert (
        ctl("list", "--socket", "/nowhere", env={**environ, "CUCMD_SOCKET": "x"}).returncode == 69
    )
    own = canned.path.parent / "run" / "cucmd"
    own.mkdir(parents=True)
    (own / "cucmd.sock").symlink_to(canned.path)
    without = {**environ, "XDG_RUNTIME_DIR": str(own.parent)}
    assert _found(without) == str(own / "cucmd.sock")
    assert _found({**without, "CUCMD_SOCKET": "/x"}) == "/x"


def _found(environ: dict) -> str:
    from cucmd.paths import socket_to_call

    return socket_to_call(environ, 1000)
