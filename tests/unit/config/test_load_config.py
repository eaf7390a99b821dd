"""The configuration from file, environment and command line, and its errors."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd.config import Config, ConfigError, load
from cucmd.config.load import CLUSTER
from cucmd.config.model import SECTIONS
from cucmd.job.timeouts import Timeouts

PAGE = Path(__file__).parents[3] / "daemon/man/cucmd.toml.5.md"


def test_documented_defaults_are_the_defaults(loaded):
    text = PAGE.read_text().rpartition("```toml\n")[2].partition("```")[0]
    config = loaded(
        text, {"CUCMD_SOCKET": "", "STATE_DIRECTORY": "", "JOB_CONNECT_TIMEOUT_SEC": ""}
    )
    # The documented groups need not exist on this machine, which makes notices.
    assert replace(config, origin="", notices=()) == Config()


def test_keys_of_a_cluster_are_distinct():
    keys = [key for keys in CLUSTER.values() for key in keys]
    assert len(keys) == len(set(keys))


def test_named_file_must_exist(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", {})
    assert str(caught.value).startswith(f"{tmp_path}/none.toml: ")
    assert str(caught.value).endswith(": No such file or directory")


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
def test_invalid_toml_is_refused(problem, text, line, key, reason):
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
        ("[[profiles]]\n", 1, "profiles", "a list: expected a table"),
        ("[ssh]\nhost_keys = 'of'", 2, "ssh.host_keys", "expected one of strict, accept-new, off"),
        ("[ssh]\nlegacy_algorithms = 1", 2, "ssh.legacy_algorithms", "expected true or false"),
        ("[limits]\njobs = 0x" + "f" * 5000, 2, "limits.jobs", "many digits: expected a whole"),
        ("[limits]\njobs = true", 2, "limits.jobs", "true: expected a whole number"),
        ("[limits]\nsessions_per_node = 11", 2, "limits.sessions_per_node", "from 1 to 10"),
        ("[clusters.a]\nnode = ['b']", 2, "clusters.a.node", "a list: expected a number"),
        ("[clusters.a]\nnodes = ['b']\nnode = 0", 3, "clusters.a.node", "0 is not a positive"),
        ("[limits]\nfree_space_percent = nan", 2, "limits.free_space_percent", "from 0 to 99"),
        ("[retry]\nbase = 9\ncap = 3", 1, "retry", "cap (3 s) is less than base (9 s)"),
        ("[receiver]\nlisten = '2222'", 2, "receiver.listen", 'expected "address:port"'),
        ("[receiver]\nadvertise = '10.0.0.1:22'", 2, "receiver.advertise", "without a port"),
        ("[receiver]\nadvertise = '0.0.0.0'", 2, "receiver.advertise", "can connect to"),
        ("[daemon]\nsocket = 'x.sock'", 2, "daemon.socket", "expected an absolute path"),
        (f"[daemon]\nsocket = '/{'x' * 107}'", 2, "daemon.socket", "107 bytes"),
        ("[profiles.x]\nmatch = 'a'", 1, "profiles.x.paths", "expected paths"),
        ("[a]\n", 1, "a", "known are"),
        ("\nclusters = {a = {nodes = ['b c']}}", 2, "clusters.a.nodes[0]", "a host name"),
        ("[access]\nview_group = 'a b'", 2, "access.view_group", "the name of a group"),
    ],
)
def test_error_names_key_and_line(problem, text, line, key, reason):
    found_line, found_key, found_reason = problem(text)
    assert (found_line, found_key) == (line, key)
    assert reason in found_reason


@pytest.mark.parametrize(
    ("section", "key"),
    [(name, key) for name, one in SECTIONS.items() for key in one.__struct_fields__],
)
def test_every_key_refuses_a_date(problem, section, key):
    line, name, reason = problem(f"[{section}]\n{key} = 1979-05-27")
    assert (line, name) == (2, f"{section}.{key}")
    assert reason.startswith("1979-05-27: expected ")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("password = 'hunter2'\n", "password"),
        ("[clusters.a]\nadmin_password = 'hunter2'\n", "clusters.a.admin_password"),
        ("[clusters.a]\nnodes = ['a']\ncredential = 'hunter2 '\n", "clusters.a.credential"),
        ("[retry]\ncolour = 'hunter2'\n", "retry.colour"),
    ],
)
def test_secrets_are_not_repeated(problem, text, key):
    _, found, reason = problem(text)
    assert found == key
    assert "hunter2" not in reason


@pytest.mark.parametrize(
    "text", ['[ssh]\nhost_keys = "a\\n\\u001b[2J"\n', '"k\\u001b\\u009b" = 1\n']
)
def test_value_cannot_forge_lines(problem, text):
    _, key, reason = problem(text)
    assert (key + reason).isprintable()


# Timeouts

CONNECT, COMMAND = "JOB_CONNECT_TIMEOUT_SEC", "JOB_COMMAND_TIMEOUT_SEC"


@pytest.mark.parametrize(
    ("text", "environ", "line", "key", "reason"),
    [
        ("[timeouts]\nconnect = 0", {}, 2, "timeouts.connect", "0 is not a positive number"),
        ("[timeouts]\nnode = nan", {}, 2, "timeouts.node", "not a positive number"),
        (f"[timeouts]\njob = 1{'0' * 400}", {}, 2, "timeouts.job", "out of range"),
        ("[timeouts]\ncommand = 20\nconnect = 60", {}, 2, "timeouts.command", "less than connect"),
        ("[timeouts]\nconnect = 700", {}, 1, "timeouts.command", "less than connect (700 s)"),
        ("[timeouts]\nconnect = 60", {COMMAND: "59"}, None, COMMAND, "less than connect (60 s)"),
        ("[timeouts]\ncommand = 60", {CONNECT: "61"}, 2, "timeouts.command", "connect (61 s)"),
        ("", {CONNECT: "601"}, None, "timeouts.command", "600 s is less than connect (601 s)"),
        ("", {CONNECT: "0"}, None, CONNECT, "positive"),
        ("", {COMMAND: "10m"}, None, COMMAND, "'10m'"),
        ("", {COMMAND: "nan"}, None, COMMAND, "positive"),
        ("", {COMMAND: "1e3"}, None, COMMAND, "positive"),
        (
            "[clusters.a]\nnodes = ['a']\ncommand = 20",
            {},
            3,
            "clusters.a.command",
            "connect (30 s)",
        ),
    ],
)
def test_invalid_timeouts(problem, text, environ, line, key, reason):
    found_line, found_key, found_reason = problem(text, environ)
    assert (found_line, found_key) == (line, key)
    assert reason in found_reason


def test_environment_overrides_file(loaded):
    environ = {CONNECT: "12.5", COMMAND: " 90 "}
    text = "[timeouts]\nconnect = 40\n[clusters.lab]\npublisher = 'a'\ncommand = 700\nlogin = 9\n"
    config = loaded(text, environ)
    assert (config.timeouts.connect, config.timeouts.command) == (12.5, 90.0)
    assert config.clusters["lab"].timeouts == Timeouts(connect=12.5, command=90.0, login=9.0)
    notices = [(notice.split(": ")[1], notice.rpartition("$")[2]) for notice in config.notices]
    assert notices == [("timeouts.connect", CONNECT), ("clusters.lab.command", COMMAND)]


# Socket and state directory

FILE = "[daemon]\nsocket = '/file.sock'\nstate_directory = '/file'\n"


def test_order_of_precedence(loaded, tmp_path):
    environ = {"CUCMD_SOCKET": "/env.sock", "STATE_DIRECTORY": "/env:/second"}
    line = Path("/line.sock"), Path("/line")
    assert loaded(FILE, environ, *line).daemon.socket == Path("/line.sock")
    assert loaded(FILE, environ, *line).daemon.state_directory == Path("/line")
    assert loaded(FILE, environ).daemon.socket == Path("/env.sock")
    assert loaded(FILE, environ).daemon.state_directory == Path("/env")
    assert loaded(FILE).daemon.socket == Path("/file.sock")
    assert loaded(FILE).daemon.state_directory == Path("/file")


def test_socket_path_length_is_checked(write):
    for environ, option in (({"CUCMD_SOCKET": "/" + "x" * 200}, None), ({}, Path("/" + "x" * 200))):
        with pytest.raises(ConfigError, match=r"daemon\.socket: .*107 bytes"):
            load(write(""), environ, option)


def test_empty_string_means_default(loaded):
    config = loaded("[access]\noperate_group = ''\n[credentials]\ndirectory = ''\n")
    assert config.access.operate_group == ""
    assert config.credentials.directory is None
