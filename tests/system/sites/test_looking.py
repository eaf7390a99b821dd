"""Verbs that only look, at one site and at many. Some sites are bad, and nobody waits for them."""

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from cucmd import __version__
from rig.daemon import Daemon
from rig.jobs import SDL
from rig.lab import Lab
from rig.openssh_node import needs_openssh
from rig.quiet import wait_until
from rig.sites import USER, WRONG_KEY, Sites
from system.ctl.conftest import Canned
from system.sites.conftest import canned, lines

pytestmark = [pytest.mark.long, needs_openssh]

# Accepts nothing more, so that the kernel does not answer to a connection: the host looks dead.
DEAD = """
import socket, time
s = socket.create_server(("127.0.8.1", 23), backlog=0)
more = [socket.create_connection(("127.0.8.1", 23), 1)]
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("words", [("--site", "berlin", "list"), ("list", "--site=berlin")])
def test_site_before_or_after_verb(sites: Sites, words: tuple[str, ...]) -> None:
    done = sites.ctl("--json", *words)
    assert (done.returncode, type(json.loads(done.stdout))) == (0, list)


def test_forty_sites_and_six_bad_ones(
    sites: Sites, daemons: tuple[Daemon, Daemon], stack: ExitStack, socket_path: Path
) -> None:
    at = daemons[0].socket
    for name in ("old", "hung", "slow"):
        (socket_path.parent / name).mkdir(parents=True)
    old, slow = (canned(stack, socket_path.parent / name) for name in ("old", "slow"))
    old.on("List", Canned.error("org.varlink.service.MethodNotFound", method="List"))
    gate = threading.Event()
    threading.Timer(2, gate.set).start()
    slow.on("List", gate, Canned.reply({"jobs": []}))
    hung = stack.enter_context(socket.socket(socket.AF_UNIX))
    hung.bind(str(socket_path.parent / "hung/sock"))
    hung.listen()
    stack.enter_context(sites.inside(DEAD))
    good = {f"site{number}": f"ssh://127.0.1.{number}{at}" for number in range(1, 35)}
    bad = {
        "dead": f"ssh://127.0.8.1:23{at}",
        "hung": f"ssh://127.0.2.1{hung.getsockname()}",
        "key": f"ssh://{WRONG_KEY}{at}",
        "old": f"ssh://127.0.2.2{old.path}",
        "port": f"ssh://127.0.2.3:99{at}",
    }
    ungrouped = {"user": f"ssh://{USER}@127.0.2.4{at}"}
    sites.write(bad | ungrouped | good | {"slow": f"ssh://127.0.2.5{slow.path}"}, timeout=6)

    done = sites.ctl("list", "--site", "all", "--json")

    found = lines(done.stdout)
    assert done.returncode == 3
    assert {name for name, line in found.items() if "reply" in line} == {*good, "slow"}
    codes = {name: line["code"] for name, line in found.items() if "code" in line}
    assert codes == {**dict.fromkeys(bad, 69), "old": 70, "user": 77}
    assert "cucmd 0.1.9 at the site may be too old" in done.stderr
    assert "Host key verification failed" in found["key"]["error"]
    # Nobody has waited for the dead site or for the one that hangs.
    assert {*list(found)[-2:]} == {"dead", "hung"}


def test_sites_are_listed(sites: Sites) -> None:
    sites.add("away", "ssh://127.0.1.3:99/none")
    done = sites.ctl("sites", "--json")
    found = lines(done.stdout)
    assert (done.returncode, set(found)) == (3, {"berlin", "munich", "away"})
    berlin = found["berlin"]["reply"]
    assert (berlin["version"], berlin["jobs"]) == (__version__, {"queued": 0, "running": 0})
    assert berlin["free_bytes"] > 0
    assert (found["away"]["code"], "refused" in found["away"]["error"]) == (69, True)


@pytest.mark.parametrize(
    "words",
    [
        ("clusters",),
        ("prune", "--keep", "1", "--dry-run"),
        ("check", "NODE", "--credential", "lab"),
        ("health", "NODE", "--credential", "lab"),
        ("run", "NODE", "--credential", "lab", "--", "show status"),
    ],
)
def test_verbs_that_look_take_several_sites(sites: Sites, lab: Lab, words: tuple[str, ...]) -> None:
    words = tuple(lab.nodes[0] if word == "NODE" else word for word in words)
    done = sites.ctl("--json", "--site", "berlin,munich", *words)
    found = lines(done.stdout)
    assert (set(found), done.returncode in (0, 3)) == ({"berlin", "munich"}, True), done.stderr
    assert all("reply" in line for line in found.values())


@pytest.mark.parametrize(
    "words",
    [
        ("--site", "berlin,munich", "start", "x", "--path", SDL),
        ("--site", "all", "prune", "--keep", "1", "--yes"),
        ("--site", "paris", "list"),
        ("--site", "berlin", "--socket", "/x", "list"),
        ("start", "berlin/x", "y", "--path", SDL),
        ("start", "paris/x", "--path", SDL),
        ("--site", "berlin", "start", "munich/x", "--path", SDL),
    ],
)
def test_wrong_usage(sites: Sites, words: tuple[str, ...]) -> None:
    assert sites.ctl(*words).returncode == 2


# Counts as ssh that logs in, until it is killed.
SLOW_SSH = """\
#!/bin/sh
touch {folder}/$$
exec sleep 600
"""


def test_eight_sites_are_logged_in_to_at_a_time(sites: Sites, tmp_path: Path) -> None:
    program = tmp_path / "path/ssh"
    program.parent.mkdir()
    program.write_text(SLOW_SSH.format(folder=tmp_path))
    program.chmod(0o755)
    environ = {**sites.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    sites.write({f"site{number}": "ssh://host" for number in range(12)}, timeout=600)

    def logins() -> set[int]:
        return {int(file.name) for file in tmp_path.iterdir() if file.is_file()}

    words = ("--site", "all", "list")
    quiet = subprocess.DEVNULL
    with sites.start(*words, env=environ, stdout=quiet, stderr=quiet) as process:
        wait_until(lambda: len(logins()) == 8)
        for _ in range(4):
            os.kill(min(logins()), signal.SIGTERM)
            (tmp_path / str(min(logins()))).unlink()
            wait_until(lambda: len(logins()) == 8)
        for pid in logins():
            os.kill(pid, signal.SIGTERM)
        assert process.wait() == 69
