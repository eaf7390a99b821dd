"""`cucmd check` prints a valid file, and names credentials that need attention."""

import io
import re
import tomllib

import pytest
from msgspec.structs import replace

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
def test_output_is_the_same_configuration(write, checked, everything):
    before = load(write(FILE), {})
    code, out, err = checked(write(FILE), everything=everything)
    assert code == 78  # because the credentials do not exist
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        'credential."cucmd.lab"',
        "clusters.lab.1.credential",
    ]
    # The printed file names groups that do not exist here, which makes notices.
    assert replace(load(write(out), {}), notices=()) == before


def test_all_prints_the_defaults(write, checked):
    path = write("[limits]\njobs = 3\nqueued = 1000\n")
    socket = {"CUCMD_SOCKET": "/run/cucmd/cucmd.sock", "STATE_DIRECTORY": "/var/lib/cucmd"}
    assert tomllib.loads(checked(path, socket)[1]) == {"limits": {"jobs": 3}}
    everything = tomllib.loads(checked(path, socket, everything=True)[1])
    assert everything["limits"]["queued"] == 1000
    assert everything["profiles"].keys() == BUILT_IN.keys()


def test_changed_profile_is_printed_completely(write, checked):
    out = tomllib.loads(checked(write("[profiles.sip]\nlast = '6h'\n"))[1])
    assert out["profiles"].keys() == {"sip"}
    assert out["profiles"]["sip"]["paths"] == list(BUILT_IN["sip"].paths)


def test_passwords_are_never_printed(write, checked, tmp_path):
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


def test_file_name_cannot_leave_its_comment(write, checked):
    path = write("").rename(write("").with_name("a\n[daemon]"))
    assert tomllib.loads(checked(path, {"CUCMD_SOCKET": "/x"})[1])["daemon"]["socket"] == "/x"


def unlimited(out):
    return [line.split("'")[1] for line in out.splitlines() if line.startswith("# credential ")]


def test_unlimited_credentials_are_named(write, checked, tmp_path):
    directory = tmp_path / "credentials"
    directory.mkdir(mode=0o700)
    for name in ("cucmd.tied", "cucmd.free", "no\nname"):
        (directory / f"{name}.password").touch(0o600)
    tied = f"[credentials]\ndirectory = '{directory}'\n[credential.'cucmd.tied']\nnodes = ['a']\n"
    cluster = "[clusters.c]\nnodes = ['b']\ncredential = 'of-cluster'\n"
    _, out, _ = checked(write(tied + cluster))
    assert unlimited(out) == ["cucmd.free"]


def test_root_sees_credentials_of_the_service(write, checked, tmp_path):
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
