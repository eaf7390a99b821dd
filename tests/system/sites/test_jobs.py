"""Jobs that were started together at several sites, under one id."""

import io
import json
import re
import subprocess
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.gpg_home import KEY, gpg_home, needs_gpg
from rig.jobs import SDL
from rig.lab import Lab
from rig.openssh_node import needs_openssh
from rig.sites import Sites
from system.ctl.conftest import Canned, make_job, make_node, make_summary
from system.ctl.terminal import Terminal
from system.sites.conftest import canned, lines

pytestmark = [pytest.mark.long, needs_openssh]

# Cuts each connection to sshd after so many bytes.
CUTTING = """
import socket, threading
def copy(a, b, left):
    while left > 0 and (data := a.recv(4096)):
        b.sendall(data)
        left -= len(data)
    for one in (a, b):
        one.shutdown(socket.SHUT_RDWR)
def cut(*a):
    try:
        copy(*a)
    except OSError:
        pass
listener = socket.create_server(("127.0.8.2", 24))
print("ready", flush=True)
while True:
    a, _ = listener.accept()
    b = socket.create_connection(("127.0.0.1", 22))
    threading.Thread(target=cut, args=(a, b, 1 << 30), daemon=True).start()
    threading.Thread(target=cut, args=(b, a, 1_000_000), daemon=True).start()
"""


def test_jobs_are_started_under_one_id(sites: Sites, group: str, tmp_path: Path) -> None:
    found = lines(sites.ctl("wait", group, "--json").stdout)
    label, _, names = group.partition("@")
    assert names == "berlin,munich"
    assert {name: line["reply"]["labels"] for name, line in found.items()} == {
        "berlin": {"sites": label},
        "munich": {"sites": label},
    }
    listed = lines(sites.ctl("--site", "all", "list", "--label", f"sites={label}", "--json").stdout)
    assert [len(line["reply"]) for line in listed.values()] == [1, 1]
    assert sites.ctl("cancel", group).returncode == 0
    assert sites.ctl("retry", group).returncode == 65, "all nodes have succeeded"

    done = sites.ctl("export", group, "-o", str(tmp_path / "all.zip"))

    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "all.zip") as bundle:
        names = set(bundle.namelist())
        assert {name.partition("/")[0] for name in names} == {"berlin", "munich", "sites.txt"}
        assert b"coverage" in bundle.read("berlin/summary.txt")
        assert len([name for name in names if name.endswith(".gz") or "SDL" in name]) == 24


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_matches_are_in_order_of_time(
    form: tuple[str, ...], sites: Sites, stack: ExitStack, socket_path: Path
) -> None:
    seconds = {"berlin": (1, 2, 5, 6), "munich": (0, 3, 4, 7)}
    for name, own in seconds.items():
        (socket_path.parent / name).mkdir(parents=True)
        site = canned(stack, socket_path.parent / name)
        site.on("List", Canned.reply({"jobs": [make_summary()]}))
        site.on("Status", Canned.reply({"job": make_job()}))
        times = [f"2026-03-01T08:00:0{second}{'.5' * (second % 2)}Z" for second in own]
        matches = [
            {"node": "n", "path": "a", "line": time[17:19], "number": 10 * number, "time": time}
            for number, time in enumerate(times, 1)
        ]
        site.on("Find", Canned.reply({"files": 1, "bytes": 1, "matches": matches}))
        sites.add(name, f"ssh://127.0.1.1{site.path}")

    done = sites.ctl("find", "3f2a91c4@berlin,munich", "x", *form)

    found = [int(second) for second in re.findall(r'(?:: |"line":")(\d\d)"?', done.stdout)]
    assert (done.returncode, found) == (0, [*range(8)]), done.stdout


def test_only_failed_site_is_retried(sites: Sites, lab: Lab) -> None:
    nodes = (f"berlin/{lab.nodes[0]}", "munich/127.0.0.1:1")
    how = ("--credential", "lab", "--path", SDL, "--last", "2h", "--wait")
    started = sites.ctl("start", *nodes, *how)
    assert started.returncode == 3
    group = started.stdout.strip()
    before = lines(sites.ctl("status", group, "--json").stdout)["munich"]["reply"]["nodes"][0]
    done = sites.ctl("retry", group, "--credential", "lab", "--wait", "--json")
    found = lines(done.stdout)
    assert found["berlin"]["code"] == 65, "nothing to retry"
    assert found["munich"]["reply"]["nodes"][0]["attempt"] > before["attempt"]
    assert done.returncode == 3


def test_jobs_are_watched_on_terminal(sites: Sites, group: str) -> None:
    terminal = Terminal(sites.command("watch", group), sites.environ, 80, 24)
    try:
        assert terminal.ended() == 0
    finally:
        terminal.close()
    shown = terminal.screen.split("\n")
    assert {line.split()[0] for line in shown if "1 succeeded" in line} == {"berlin", "munich"}
    assert "cucmctl --site berlin export" in terminal.screen


def test_long_lines_are_not_mixed(sites: Sites, stack: ExitStack, socket_path: Path) -> None:
    for name in ("berlin", "munich"):
        (socket_path.parent / name).mkdir(parents=True)
        site = canned(stack, socket_path.parent / name)
        site.on("List", Canned.reply({"jobs": []}))
        running = make_job("running", *[make_node(name * 20)] * 200)
        site.watch(*[running] * 200, make_job(nodes=running["nodes"]))
        site.on("Status", Canned.reply({"job": make_job()}))
        sites.add(name, f"ssh://127.0.1.1{site.path}")
    # A pipe takes 4096 bytes at once.
    done = sites.ctl("watch", "3f2a91c4@berlin,munich", "--json")
    found = [json.loads(line)["site"] for line in done.stdout.splitlines()]
    assert (found.count("berlin"), found.count("munich")) == (201, 201), done.stderr


def test_jobs_of_id_are_deleted(sites: Sites, group: str) -> None:
    assert sites.ctl("delete", group).returncode == 2
    assert sites.ctl("delete", group, "--yes").returncode == 0
    assert sites.ctl("status", group).returncode == 5


def test_last_job_at_site(sites: Sites, group: str) -> None:
    job = json.loads(sites.ctl("--site", "berlin", "status", "@last", "--json").stdout)
    assert job["labels"] == {"sites": group.partition("@")[0]}


def test_missing_site_is_named(sites: Sites, group: str, daemons: tuple[Daemon, Daemon]) -> None:
    sites.write({"berlin": f"ssh://127.0.1.1{daemons[0].socket}", "munich": "ssh://127.0.1.2:99"})
    found = sites.ctl("wait", group, "--json")
    assert (found.returncode, lines(found.stdout)["munich"]["code"]) == (3, 69)
    assert sites.ctl("wait", "00000000@munich").returncode == 69


@needs_gpg
def test_bundle_is_masked_and_encrypted(sites: Sites, group: str, tmp_path: Path) -> None:
    with gpg_home(tmp_path / "gpg") as home:
        environ = {**sites.environ, "GNUPGHOME": str(home), "XDG_DATA_HOME": str(tmp_path)}
        options = ("-o", str(tmp_path / "all.zip"), "--mask", "--encrypt-to", KEY)
        done = sites.ctl("export", group, *options, env=environ)
        assert done.returncode == 3, "the end of a file that is cut off cannot be masked"
        path = tmp_path / "all.zip.gpg"
        plain = subprocess.run(["gpg", "-d", path], env=environ, check=True, capture_output=True)
    assert not (tmp_path / "all.zip").exists()
    with zipfile.ZipFile(io.BytesIO(plain.stdout)) as bundle:
        assert bundle.read("sites.txt") == b"".join(
            b"%s: exported, with files left out\n" % name for name in (b"berlin", b"munich")
        )
        assert b"127.0.0.1" not in bundle.read("berlin/summary.txt")


def test_bundle_is_uploaded(sites: Sites, group: str, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    to = ("--upload", f"sftp://127.0.1.1{tmp_path}/inbox/")
    done = sites.ctl("export", group, "-o", str(tmp_path / "all.zip"), *to)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "inbox/all.zip").read_bytes() == (tmp_path / "all.zip").read_bytes()


def test_bundle_without_site_is_not_uploaded(
    sites: Sites, group: str, daemons: tuple[Daemon, Daemon], tmp_path: Path
) -> None:
    sites.write({"berlin": f"ssh://127.0.1.1{daemons[0].socket}", "munich": "ssh://127.0.1.2:99"})
    to = ("--upload", "sftp://127.0.1.1:98/inbox/")
    done = sites.ctl("export", group, "-o", str(tmp_path / "all.zip"), *to)
    assert (done.returncode, "cucmctl upload" in done.stderr) == (3, True), done.stderr
    with zipfile.ZipFile(tmp_path / "all.zip") as bundle:
        assert b"munich: not exported" in bundle.read("sites.txt")


def test_export_goes_on_over_bad_link(
    sites: Sites, group: str, daemons: tuple[Daemon, Daemon], tmp_path: Path
) -> None:
    with sites.inside(CUTTING):
        sites.write({"berlin": f"ssh://127.0.8.2:24{daemons[0].socket}"})
        label = f"sites={group.partition('@')[0]}"
        (job,) = json.loads(
            sites.ctl("--site", "berlin", "list", "--label", label, "--json").stdout
        )
        out = tmp_path / "out"
        done = sites.ctl("--site", "berlin", "export", job["job_id"], "-o", f"{out}/")
    assert done.returncode == 0, done.stderr
    assert "cut off" in done.stderr
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=True)
