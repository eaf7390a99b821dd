"""`cucmd check`: what it prints can be used as it is."""

import io
import os
import re
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace

from cucmd import paths
from cucmd.config import check, load
from cucmd.config.profiles import BUILT_IN

FILE = """
[daemon]
socket = "/x/a \\"quoted\\" name.sock"
[timeouts]
connect = 12.25
answer = 61.5
stall = 100
[access]
may_speak_for = ["root", "61001"]
[limits]
free_space_percent = 2.5
[retention]
days = 90
bytes = 500_000_000_000
[receiver]
listen = "[::]:2222"
advertise = "192.0.2.5"
[credentials]
directory = "/etc/cucmd/credentials"
[credential."cucmd.lab"]
nodes = ["10.0.0.3"]
clusters = ["lab.1"]
[clusters."lab.1"]
publisher = "10.0.0.1"
nodes = ["10.0.0.2:2022"]
credential = "lab"
host_keys = "strict"
command = 700
node_bytes = 5
[profiles.sip]
last = ""
[profiles.mine]
description = "umlaut \u00fc, back\\\\slash"
paths = ["syslog/*", "core"]
match = "a\\\\.b|c"
recurs = true
"""


@pytest.fixture
def checked():
    def _checked(path, environ=None, **more):
        out, err = io.StringIO(), io.StringIO()
        return check(path, environ or {}, out, err, **more), out.getvalue(), err.getvalue()

    return _checked


@pytest.mark.parametrize("everything", [True, False])
def test_what_it_prints_is_the_same_configuration(write, checked, everything):
    before = load(write(FILE), {})
    code, out, err = checked(write(FILE), everything=everything)
    assert code == 78  # there are no such credentials
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        'credential."cucmd.lab"',
        "clusters.lab.1.credential",
    ]
    # of a group that is written and does not exist it has more to say
    assert replace(load(write(out), {}), notices=()) == before


def test_the_defaults_are_printed_with_all(write, checked):
    path = write("[limits]\njobs = 3\nqueued = 1000\n")
    socket = {"CUCMD_SOCKET": "/run/cucmd/cucmd.sock", "STATE_DIRECTORY": "/var/lib/cucmd"}
    assert tomllib.loads(checked(path, socket)[1]) == {"limits": {"jobs": 3}}
    everything = tomllib.loads(checked(path, socket, everything=True)[1])
    assert everything["limits"]["queued"] == 1000
    assert everything["profiles"].keys() == BUILT_IN.keys()


def test_defaults_that_nothing_changes_are_said_to_be_so(write, checked):
    socket = {"CUCMD_SOCKET": "/run/cucmd/cucmd.sock", "STATE_DIRECTORY": "/var/lib/cucmd"}
    out = checked(write(""), socket)[1]
    assert tomllib.loads(out) == {}
    assert out.endswith("\n# nothing differs from the defaults\n")


def test_a_changed_profile_is_printed_whole(write, checked):
    out = tomllib.loads(checked(write("[profiles.sip]\nlast = '6h'\n"))[1])
    assert out["profiles"].keys() == {"sip"}
    assert out["profiles"]["sip"]["paths"] == list(BUILT_IN["sip"].paths)


def test_the_environment_is_part_of_what_is_printed(write, checked):
    environ = {"JOB_CONNECT_TIMEOUT_SEC": "7", "CUCMD_SOCKET": "/env.sock"}
    _, out, err = checked(write(FILE), environ)
    assert "connect = 7\n" in out
    assert 'socket = "/env.sock"\n' in out
    assert any("daemon.socket: " in told and "$CUCMD_SOCKET" in told for told in err.splitlines())


def test_a_path_that_is_not_utf_8_leaves_a_valid_file(write, checked):
    _, out, _ = checked(write(""), {"CUCMD_SOCKET": os.fsdecode(b"/s\xff")})
    assert tomllib.loads(out)["daemon"]["socket"] == "/s?"
    assert out.encode()


def test_what_is_wrong_goes_to_standard_error(write, checked):
    path = write("[timeouts]\nconect = 0\nx = 1\n")
    code, out, err = checked(path)
    assert (code, out) == (78, "")
    assert err.startswith(f"{path}:2: timeouts.conect: ")
    assert err.count("\n") == 1


def test_credentials_are_named_but_not_shown(write, checked, tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir(mode=0o700)
    for name, mode in (("good", 0o600), ("open", 0o644)):
        (directory / f"{name}.password").write_text("hunter2")
        (directory / f"{name}.password").chmod(mode)
    path = write(
        f"[credentials]\ndirectory = '{directory}'\n[clusters.a]\nnodes=['a']\ncredential='gone'"
    )
    code, out, err = checked(path)
    comments = [line for line in out.splitlines() if line.startswith("#")]
    assert comments[1] == f"# credentials in '{directory}': 'good', 'open'"
    assert [line.split(":")[1] for line in comments[2:] if "not usable" in line] == [
        " credential 'open'",
    ]
    assert (code, err.split(": ")[:2]) == (78, ["clusters.a.credential", "no credential 'gone'"])
    assert "hunter2" not in out + err


@pytest.mark.parametrize(
    ("environ", "comment"),
    [
        ({}, "# credentials: no directory"),
        ({"CREDENTIALS_DIRECTORY": "/none"}, "# credentials: '/none': No such file or directory"),
    ],
)
def test_a_credentials_directory_that_is_not_there_is_told(write, checked, environ, comment):
    code, out, _ = checked(write(""), environ)
    assert code == 0
    assert comment in out


def test_the_first_line_says_which_file_was_read(write, checked, monkeypatch):
    path = write("")
    assert checked(path)[1].startswith(f"# configuration from '{path}'\n")
    monkeypatch.chdir(path.parent)
    assert checked(Path(path.name))[1].startswith(f"# configuration from '{path}'\n")


def test_the_first_line_cannot_leave_its_comment(write, checked):
    path = write("").rename(write("").with_name("a\n[daemon]"))
    assert tomllib.loads(checked(path, {"CUCMD_SOCKET": "/x"})[1])["daemon"]["socket"] == "/x"


def test_the_first_line_says_where_no_file_was_found(checked, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setattr(paths, "SYSTEM_CONFIG", str(tmp_path / "system.toml"))
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "own")}
    own, system = tmp_path / "own" / "cucmd" / "cucmd.toml", tmp_path / "system.toml"
    said = checked(None, environ)[1].splitlines()
    assert re.findall("'(.+?)'", said[0]) == [str(own), str(system)]
    system.touch()
    assert checked(None, environ)[1].startswith(f"# configuration from '{system}'\n")


def not_tied(out):
    return [line.split("'")[1] for line in out.splitlines() if line.startswith("# credential ")]


def test_a_credential_that_can_be_sent_to_any_machine_is_named(write, checked, tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir(mode=0o700)
    for name in ("cucmd.tied", "cucmd.free", "no\nname"):
        (directory / f"{name}.password").touch(0o600)
    tied = f"[credentials]\ndirectory = '{directory}'\n[credential.'cucmd.tied']\nnodes = ['a']\n"
    cluster = "[clusters.c]\nnodes = ['b']\ncredential = 'of-cluster'\n"
    _, out, _ = checked(write(tied + cluster))
    assert not_tied(out) == ["cucmd.free"]


def test_only_root_sees_credentials_of_systemd(write, checked):
    code, out, _ = checked(write("[clusters.c]\nnodes = ['b']\ncredential = 'cucmd.c'\n"))
    assert (code, not_tied(out)) == (0, ["cucmd.c"])


def test_root_sees_what_the_service_gets(write, checked, tmp_path):
    for name in ("cucmd.c.password", "cucmd.c.username", "cucmd.d.password", "other.password"):
        (tmp_path / name).touch()
    clusters = [f"[clusters.{name}]\nnodes = ['{name}']\n" for name in ("c", "e", "f")]
    names = ("cucmd.c", "cucmd.e", "of-unit")
    text = "".join(
        f"{one}credential = '{name}'\n" for one, name in zip(clusters, names, strict=True)
    )
    code, out, err = checked(write(text), stores=(str(tmp_path), "/none"))
    assert (code, err.count("\n")) == (78, 1)
    assert err.startswith("clusters.e.credential: no credential 'cucmd.e': ")
    said = [line for line in out.splitlines() if line.startswith("#")]
    at = next(at for at, line in enumerate(said) if f" {tmp_path} " in line)
    gets, of_unit = (re.findall("'(.+?)'", line) for line in said[at : at + 2])
    assert (gets, of_unit) == (["cucmd.c", "cucmd.d"], ["of-unit"])
