"""The configuration from file, environment and command line, and what is refused, with its line."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.config import Config, ConfigError, load
from cucmd.config.load import CLUSTER
from cucmd.config.model import SECTIONS, ReceiverSettings
from cucmd.job.timeouts import Timeouts

# Every key that is documented.
WHOLE_FILE = """
[daemon]
socket = "/run/cucmd/cucmd.sock"
state_directory = "/var/lib/cucmd"
[access]
operate_group = "cucm"
view_group = "cucm-view"
[timeouts]
connect = 30
login = 120
answer = 60
command = 600
stall = 120
node = 3600
job = 14400
grace = 5
[limits]
concurrency = 8
connections = 200
jobs = 16
sessions_per_node = 2
[retry]
attempts = 3
[ssh]
host_keys = "accept-new"
legacy_algorithms = false
[receiver]
listen = "0.0.0.0:2222"
advertise = ""
[credentials]
directory = ""
"""


def test_the_defaults_are_those_of_the_documented_file(loaded):
    environ = {"CUCMD_SOCKET": "", "STATE_DIRECTORY": ""}
    # the groups of the documented file need not be there
    assert replace(loaded(WHOLE_FILE, environ), origin="", notices=()) == Config()


def test_no_two_keys_of_a_cluster_are_the_same():
    keys = [key for keys in CLUSTER.values() for key in keys]
    assert len(keys) == len(set(keys))


def test_default_file_may_be_missing(tmp_path):
    if os.path.exists("/etc/cucmd/cucmd.toml"):
        pytest.skip("this machine has a configuration of its own")
    config = load(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert config.timeouts == Timeouts()


def test_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", {})
    assert str(caught.value).startswith(f"{tmp_path}/none.toml: ")
    assert str(caught.value).endswith(": No such file or directory")


def test_directory_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[ssh]\n\nhost_keys = off\n", 3, "", "is not TOML: Invalid value"),
        ("[ssh]\r\n[ssh]\r\n", 2, "", "is not TOML"),
        ('[ssh]\nx = """\n\n', 2, "", "at end of document"),
        (b"[ssh]\n# \xff\n", 2, "", "is not UTF-8"),
        ("[ssh]\nx = " + "[" * 100_000, 2, "ssh.x", "is nested too deeply"),
        ("a = 1\nx = " + "[\n" * 9000 + "1" + "]" * 9000, None, "x", "is nested too deeply"),
        ("x = " + "{a=" * 9000, 1, "x", "is nested too deeply"),
        ("[ssh]\n" + "a." * 100_000 + "a = 1", 2, '"' + "a." * 40 + '"', "is nested too deeply"),
        ("[limits]\njobs = " + "9" * 5000, 2, "limits.jobs", "a number has too many digits"),
        ("#" * 1_100_000, None, "", "is larger than"),
    ],
)
def test_what_is_not_toml_is_refused(problem, text, line, key, reason):
    found_line, found_key, found_reason = problem(text)
    assert (found_key, line) == (key, line and found_line)
    assert reason in found_reason


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[timeouts]\nconect = 3", 2, "timeouts.conect", "did you mean 'connect'?"),
        ("[timeout]\nconnect = 3", 1, "timeout", "did you mean 'timeouts'?"),
        ("[limits]\n\nconnect = 3", 3, "limits.connect", "did you mean 'connections'?"),
        ("connect = 3", 1, "connect", "known are daemon, access"),
        ("[retry]\ncolour = 3", 2, "retry.colour", "known are attempts, base, cap"),
        ("timeouts = 3", 1, "timeouts", "3: expected a table"),
        ("[clusters]\nlab = 3", 2, "clusters.lab", "3: expected a table"),
        ("[[profiles]]\n", 1, "profiles", "a list: expected a table"),
        ("[ssh]\nhost_keys = 'of'", 2, "ssh.host_keys", "expected one of strict, accept-new, off"),
        ("[ssh]\nlegacy_algorithms = 1", 2, "ssh.legacy_algorithms", "expected true or false"),
        ("[limits]\nconcurrency = 0", 2, "limits.concurrency", "0: expected a whole number"),
        ("[limits]\njobs = 0x" + "f" * 5000, 2, "limits.jobs", "many digits: expected a whole"),
        ("[limits]\njobs = true", 2, "limits.jobs", "true: expected a whole number"),
        ("[limits]\nsessions_per_node = 11", 2, "limits.sessions_per_node", "from 1 to 10"),
        ("[clusters.a]\nnode = ['b']", 2, "clusters.a.node", "a list: expected a number"),
        ("[clusters.a]\nnodes = ['b']\nnode = 0", 3, "clusters.a.node", "0 is not a positive"),
        ("[retention]\ndays = -1", 2, "retention.days", "from 0 to 36500"),
        ("[limits]\nnode_bytes = -1", 2, "limits.node_bytes", "from 0 to"),
        ("[limits]\nfree_space_percent = 100", 2, "limits.free_space_percent", "from 0 to 99"),
        ("[limits]\nfree_space_percent = nan", 2, "limits.free_space_percent", "from 0 to 99"),
        ("[retry]\nbase = 9\ncap = 3", 1, "retry", "cap (3 s) is less than base (9 s)"),
        ("[receiver]\nlisten = '2222'", 2, "receiver.listen", 'expected "address:port"'),
        ("[receiver]\nlisten = '::'", 2, "receiver.listen", "has no port"),
        ("[receiver]\nadvertise = '10.0.0.1:22'", 2, "receiver.advertise", "without a port"),
        ("[receiver]\nadvertise = '0.0.0.0'", 2, "receiver.advertise", "can connect to"),
        ("[daemon]\nsocket = 'x.sock'", 2, "daemon.socket", "expected an absolute path"),
        (f"[daemon]\nsocket = '/{'x' * 107}'", 2, "daemon.socket", "107 bytes"),
        ("[daemon]\nstate_directory = ''", 2, "daemon.state_directory", "absolute path"),
        ("[credentials]\ndirectory = 'x'", 2, "credentials.directory", "absolute path"),
        ("[access]\nview_group = 'a b'", 2, "access.view_group", "the name of a group"),
    ],
)
def test_every_error_names_key_line_value_and_expectation(problem, text, line, key, reason):
    found_line, found_key, found_reason = problem(text)
    assert (found_line, found_key) == (line, key)
    assert reason in found_reason


@pytest.mark.parametrize(
    ("section", "key"),
    [(name, key) for name, one in SECTIONS.items() for key in one.__struct_fields__],
)
def test_no_key_takes_a_value_of_another_type(problem, section, key):
    line, name, reason = problem(f"[{section}]\n{key} = 1979-05-27")
    assert (line, name) == (2, f"{section}.{key}")
    assert reason.startswith("1979-05-27: expected ")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("password = 'hunter2'\n", "password"),
        (
            "[clusters.a]\npublisher = 'a'\nadmin_password = 'hunter2'\n",
            "clusters.a.admin_password",
        ),
        ("[retry]\ncolour = 'hunter2'\n", "retry.colour"),
    ],
)
def test_the_value_of_an_unknown_key_is_not_repeated(problem, text, key):
    _, found, reason = problem(text)
    assert found == key
    assert "hunter2" not in reason


def test_a_password_in_the_place_of_a_credential_is_not_repeated(problem):
    line, key, reason = problem("[clusters.a]\nnodes = ['a']\ncredential = 'hunter 2'\n")
    assert (line, key) == (3, "clusters.a.credential")
    assert "expected a name" in reason
    assert "hunter" not in reason


@pytest.mark.parametrize(
    "text", ['[ssh]\nhost_keys = "a\\n\\u001b[2J"\n', '"k\\u001b\\u009b" = 1\n']
)
def test_a_value_cannot_forge_lines(problem, text):
    _, key, reason = problem(text)
    assert (key + reason).isprintable()


# Timeouts


@pytest.mark.parametrize(
    ("text", "environ", "line", "key", "reason"),
    [
        ("[timeouts]\nconnect = 0", {}, 2, "timeouts.connect", "0 is not a positive number"),
        ("[timeouts]\n\nstall = -1.5", {}, 3, "timeouts.stall", "not a positive number"),
        ("[timeouts]\nnode = nan", {}, 2, "timeouts.node", "not a positive number"),
        ("[timeouts]\njob = inf", {}, 2, "timeouts.job", "at most a year"),
        (f"[timeouts]\njob = 1{'0' * 400}", {}, 2, "timeouts.job", "out of range"),
        (
            "[timeouts]\ncommand = 20\nconnect = 60",
            {},
            2,
            "timeouts.command",
            "20 s is less than connect (60 s)",
        ),
        # Only `connect` was written, so that is the line that is wrong.
        (
            "[timeouts]\n# patient\nconnect = 700",
            {},
            3,
            "timeouts.connect",
            "700 s is more than command (600 s)",
        ),
        (
            "[timeouts]\nconnect = 60",
            {"JOB_COMMAND_TIMEOUT_SEC": "59"},
            None,
            "JOB_COMMAND_TIMEOUT_SEC",
            "59 s is less than connect (60 s)",
        ),
        (
            "[timeouts]\ncommand = 60",
            {"JOB_CONNECT_TIMEOUT_SEC": "61"},
            2,
            "timeouts.command",
            "60 s is less than connect (61 s)",
        ),
        (
            "",
            {"JOB_CONNECT_TIMEOUT_SEC": "601"},
            None,
            "JOB_CONNECT_TIMEOUT_SEC",
            "601 s is more than command (600 s)",
        ),
        ("", {"JOB_CONNECT_TIMEOUT_SEC": "0"}, None, "JOB_CONNECT_TIMEOUT_SEC", "positive"),
        ("", {"JOB_COMMAND_TIMEOUT_SEC": "10m"}, None, "JOB_COMMAND_TIMEOUT_SEC", "'10m'"),
        ("", {"JOB_COMMAND_TIMEOUT_SEC": "nan"}, None, "JOB_COMMAND_TIMEOUT_SEC", "positive"),
        ("", {"JOB_COMMAND_TIMEOUT_SEC": "1e3"}, None, "JOB_COMMAND_TIMEOUT_SEC", "positive"),
        (
            "[clusters.lab]\npublisher = 'a'\ncommand = 20",
            {},
            3,
            "clusters.lab.command",
            "20 s is less than connect (30 s)",
        ),
        (
            "[clusters.lab]\npublisher = 'a'\nconnect = 601",
            {},
            3,
            "clusters.lab.connect",
            "601 s is more than command (600 s)",
        ),
    ],
)
def test_timeout_configuration_values(problem, text, environ, line, key, reason):
    found_line, found_key, found_reason = problem(text, environ)
    assert (found_line, found_key) == (line, key)
    assert reason in found_reason


def test_timeouts_may_be_equal_and_fractions_of_a_second(loaded):
    config = loaded("[timeouts]\nconnect = 0.5\ncommand = 0.5\n")
    assert (config.timeouts.connect, config.timeouts.command) == (0.5, 0.5)


def test_environment_overrides_the_file(loaded):
    environ = {"JOB_CONNECT_TIMEOUT_SEC": "12.5", "JOB_COMMAND_TIMEOUT_SEC": " 90 "}
    text = "[timeouts]\nconnect = 40\n[clusters.lab]\npublisher = 'a'\ncommand = 700\nlogin = 9\n"
    config = loaded(text, environ)
    assert (config.timeouts.connect, config.timeouts.command) == (12.5, 90.0)
    assert config.clusters["lab"].timeouts == Timeouts(connect=12.5, command=90.0, login=9.0)
    told = [(notice.split(": ")[1], notice.rpartition("$")[2]) for notice in config.notices]
    assert told == [
        ("timeouts.connect", "JOB_CONNECT_TIMEOUT_SEC"),
        ("clusters.lab.command", "JOB_COMMAND_TIMEOUT_SEC"),
    ]


def test_empty_variables_say_nothing(loaded):
    assert loaded("", {"JOB_CONNECT_TIMEOUT_SEC": ""}).timeouts == Timeouts()


# Where the daemon is

FILE = "[daemon]\nsocket = '/file.sock'\nstate_directory = '/file'\n"


def test_command_line_then_environment_then_file(loaded, tmp_path):
    environ = {"CUCMD_SOCKET": "/env.sock", "STATE_DIRECTORY": "/env:/second"}
    line = Path("/line.sock"), Path("/line")
    assert loaded(FILE, environ, *line).daemon.socket == Path("/line.sock")
    assert loaded(FILE, environ, *line).daemon.state_directory == Path("/line")
    assert loaded(FILE, environ).daemon.socket == Path("/env.sock")
    assert loaded(FILE, environ).daemon.state_directory == Path("/env")
    assert loaded(FILE).daemon.socket == Path("/file.sock")
    assert loaded(FILE).daemon.state_directory == Path("/file")
    assert loaded(FILE).notices == ()
    assert len(loaded(FILE, environ).notices) == 2


def test_relative_paths_of_the_command_line_are_those_of_its_user(loaded, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert loaded("", {}, Path("x.sock")).daemon.socket == tmp_path / "x.sock"


def test_a_socket_path_from_elsewhere_is_measured_too(write):
    with pytest.raises(ConfigError, match=r"environment: CUCMD_SOCKET: .*107 bytes"):
        load(write(""), {"CUCMD_SOCKET": "/" + "x" * 200})
    with pytest.raises(ConfigError, match=r"command line: --socket: .*107 bytes"):
        load(write(""), {}, Path("/" + "x" * 200))


def test_a_home_directory_with_too_long_a_name_is_blamed_on_no_variable(write, monkeypatch):
    monkeypatch.setattr("os.getuid", lambda: 1000)
    with pytest.raises(ConfigError, match=r"^default: daemon.socket: .*107 bytes"):
        load(write(""), {"HOME": "/" + "x" * 100})


def test_listen_address():
    assert ReceiverSettings().listen_address == ("0.0.0.0", 2222)
    assert ReceiverSettings("[::]:0").listen_address == ("::", 0)


def test_empty_strings_are_the_default_behaviour(loaded):
    config = loaded("[access]\noperate_group = ''\n[credentials]\ndirectory = ''\n")
    assert config.access.operate_group == ""
    assert config.credentials.directory is None
