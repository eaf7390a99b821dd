"""`cucmctl` at other sites: real sshd in a network namespace, in front of real daemons."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cucmctl.sites.connection import Connection
from cucmctl.sites.places import Site
from rig.credentials import named_credential
from rig.daemon import CONFIG, Daemon, running_daemon
from rig.gpg_home import KEY, gpg_home, needs_gpg
from rig.jobs import SDL
from rig.lab import Lab, running_lab
from rig.openssh_node import needs_openssh
from rig.quiet import wait_until
from rig.sites import NO_KEY, USER, WRONG_KEY, Sites, running_sites
from rig.varlink_peer import CORPUS, answer, dial
from rig.web import Web, running_web
from system.ctl.conftest import Canned, make_job, make_summary
from system.ctl.terminal import Terminal

pytestmark = [pytest.mark.long, needs_openssh]

# Accepts nothing more, so that the kernel does not answer to a connection: the host looks dead.
DEAD = """
import socket, time
s = socket.create_server(("127.0.8.1", 23), backlog=0)
more = [socket.create_connection(("127.0.8.1", 23), 1)]
print("ready", flush=True)
time.sleep(600)
"""
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
# Changes the title, clears the screen, turns the direction of text, and ends the line.
HOSTILE = "\x1b]0;x\x07\x1b[2J\u202e\x9b2J\n\r\x00"
FIGURES = {
    **dict.fromkeys(("jobs", "jobs_ended", "nodes", "nodes_ended", "durations"), ()),
    **dict.fromkeys(("files_received", "bytes_received", "worker_restarts"), 0),
    **dict.fromkeys(("node_connections", "node_connections_limit", "node_connections_wanted"), 0),
    **{"receiver_connections": 0, "python": "3", "started_at": "2026-03-01T08:00:00Z"},
}
INFO = {"vendor": "", "product": "cucmd", "url": "", "interfaces": ["io.cucmd.Jobs"]}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with running_lab(2) as lab:
        yield lab


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[tuple[Daemon, Daemon]]:
    folder = tmp_path_factory.mktemp("daemons")
    config = CONFIG + named_credential(folder / "c", "lab", lab.username, lab.password)
    with running_daemon(folder / "a", config) as one, running_daemon(folder / "b", config) as two:
        for daemon in (one, two):  # any user may come to the socket, and is refused there
            daemon.socket.parent.chmod(0o755)
        yield one, two


@pytest.fixture(scope="module")
def _sites_of_a_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sftp = "Subsystem sftp internal-sftp -d /"
    with running_sites(tmp_path_factory.mktemp("sites") / "s", sftp) as sites:
        (sites.folder.parent).chmod(0o755)
        yield sites


@pytest.fixture
def sites(_sites_of_a_module: Sites, daemons: tuple[Daemon, Daemon]) -> Iterator[Sites]:
    sites = _sites_of_a_module
    one, two = daemons
    sites.write(
        {"berlin": f"ssh://127.0.1.1{one.socket}", "munich": f"ssh://127.0.1.2{two.socket}"}
    )
    yield sites
    wait_until(lambda: not sites.connections())


@pytest.fixture
def group(sites: Sites, lab: Lab) -> str:
    """The id of jobs at both sites that have ended."""
    nodes = (f"berlin/{lab.nodes[0]}", f"munich/{lab.nodes[1]}")
    how = ("--credential", "lab", "--path", SDL, "--last", "2h", "--wait")
    done = sites.ctl("start", *nodes, *how)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def canned(stack: ExitStack, folder: Path) -> Canned:
    daemon = Canned(folder / "sock")
    stack.callback(daemon.close)
    daemon.on("org.varlink.service.GetInfo", Canned.reply({**INFO, "version": "0.1.9"}))
    return daemon


def lines(text: str) -> dict[str, dict]:
    """Returns the last JSON line of each site."""
    return {line["site"]: line for line in map(json.loads, text.splitlines())}


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
    assert "0.1.9" in done.stderr, "which version is too old"
    assert "Host key verification failed" in found["key"]["error"]
    # Nobody has waited for the dead site or for the one that hangs.
    assert {*list(found)[-2:]} == {"dead", "hung"}


@pytest.mark.parametrize(("closed", "code"), [("0", 0), ("1", 74), ("2", 0)])
def test_closed_stream_is_no_pipe(sites: Sites, closed: str, code: int) -> None:
    command = " ".join(sites.command("--site", "all", "list", "--json"))
    done = subprocess.run(
        ["sh", "-c", f"exec {command} {closed}>&-"],
        env=sites.environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code


def test_sites_are_listed(sites: Sites) -> None:
    done = sites.ctl("sites", "--json")
    found = lines(done.stdout)
    assert (done.returncode, set(found)) == (0, {"berlin", "munich"})
    assert found["berlin"]["reply"]["jobs"] == {"queued": 0, "running": 0}


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


@pytest.mark.parametrize("form", [(), ("-C", "1"), ("--json",)])
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
            | ({"before": ["around"], "after": ["around"]} if "-C" in form else {})
            for number, time in enumerate(times, 1)
        ]
        site.on("Find", Canned.reply({"files": 1, "bytes": 1, "matches": matches}))
        sites.add(name, f"ssh://127.0.1.1{site.path}")

    done = sites.ctl("find", "3f2a91c4@berlin,munich", "x", *form)

    found = [int(second) for second in re.findall(r'(?:: |"line":")(\d\d)"?', done.stdout)]
    assert (done.returncode, found) == (0, [*range(8)]), done.stdout
    if "-C" in form:
        assert done.stdout.count("around") == 16


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


def test_jobs_of_id_are_deleted(sites: Sites, group: str) -> None:
    assert sites.ctl("delete", group).returncode == 2
    assert sites.ctl("delete", group, "--yes").returncode == 0
    assert sites.ctl("status", group).returncode == 5


def test_missing_site_is_named(sites: Sites, group: str, daemons: tuple[Daemon, Daemon]) -> None:
    sites.write({"berlin": f"ssh://127.0.1.1{daemons[0].socket}", "munich": "ssh://127.0.1.2:99"})
    found = sites.ctl("wait", group, "--json")
    assert (found.returncode, lines(found.stdout)["munich"]["code"]) == (3, 69)
    assert sites.ctl("wait", "00000000@munich").returncode == 69


def test_killed_process_of_site_is_reported(sites: Sites, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        socket_path.parent.mkdir()
        hung.bind(str(socket_path))
        hung.listen()
        sites.write(dict.fromkeys(("berlin", "munich"), f"ssh://127.0.1.1{socket_path}"))
        words = ("--site", "all", "list", "--json")
        with sites.start(*words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: len(children.read_text().split()) == 2)
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            found = lines(process.stdout.read().decode())
    assert {name: line["code"] for name, line in found.items()} == {"berlin": 69, "munich": 69}
    assert process.returncode == 69


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("berlin", signal.SIGINT),
        ("berlin", signal.SIGTERM),
        ("all", signal.SIGINT),
        ("all", signal.SIGTERM),
        ("all", signal.SIGKILL),
    ],
)
def test_nothing_is_left_after_signal(
    sites: Sites, at: str, number: signal.Signals, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:  # so the connections stay until the signal
        silent.bind(str(tmp_path / "sock"))
        silent.listen()
        places = {"berlin": "127.0.1.1", "munich": "127.0.1.2"}
        sites.write({name: f"ssh://{host}{tmp_path}/sock" for name, host in places.items()})
        words = ("--site", at, "list")
        process = sites.start(*words, start_new_session=True, stderr=subprocess.DEVNULL)
        wait_until(sites.connections)
        if number == signal.SIGINT:  # as a terminal sends it
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait()
        if number != signal.SIGKILL:
            wait_until(lambda: not sites.connections())
    # After a SIGKILL, ssh stays until its daemon sends something or ends the connection.
    wait_until(lambda: not sites.connections())


def test_bridge_where_sshd_does_not_forward(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    with running_sites(tmp_path / "s", "AllowStreamLocalForwarding no") as sites:
        places = {"berlin": f"ssh://127.0.1.1{daemons[0].socket}", "none": "ssh://127.0.1.1/none"}
        sites.write(places)
        assert sites.ctl("--site", "berlin", "profiles").returncode == 0
        done = sites.ctl("--site", "none", "list")
        assert (done.returncode, "does cucmd run?" in done.stderr) == (69, True)


# Answers as OpenSSH before 9.4, which can forward to a port only.
OLD_SSH = """\
#!/bin/sh
case " $* " in *" -W "*)
    echo "Bad stdio forwarding specification" >&2
    exit 255
esac
exec {ssh} "$@"
"""


def test_bridge_where_ssh_is_old(sites: Sites, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text(OLD_SSH.format(ssh=sites.folder / "path/ssh"))
    (tmp_path / "ssh").chmod(0o755)
    environ = {**sites.environ, "PATH": f"{tmp_path}:{sites.environ['PATH']}"}
    assert sites.ctl("--site", "all", "clusters", env=environ).returncode == 0


def test_key_for_nothing_but_the_daemon(daemons: tuple[Daemon, Daemon], tmp_path: Path) -> None:
    at = daemons[0].socket
    forced = f'restrict,command="cucmctl bridge --socket {at}"'
    with running_sites(tmp_path / "s", key_options=forced) as sites:
        sites.write({"berlin": "ssh://127.0.1.1"})
        assert sites.ctl("--site", "berlin", "profiles").returncode == 0
        with sites.ssh("127.0.1.1", f"touch {tmp_path}/x"):
            pass
        assert not (tmp_path / "x").exists()


# As the manual shows it for a hub. All users of the test are root.
HUB = """\
AllowStreamLocalForwarding remote
AllowTcpForwarding remote
PermitListen none
ForceCommand false
StreamLocalBindUnlink yes
StreamLocalBindMask 0117
"""


def test_site_comes_to_the_hub(
    daemons: tuple[Daemon, Daemon], tmp_path: Path, socket_path: Path
) -> None:
    socket_path.parent.mkdir()
    at, options = daemons[0].socket, "restrict,port-forwarding"
    with running_sites(tmp_path / "s", HUB, key_options=options) as hub:
        with hub.ssh("-N", "-R", f"{socket_path}:{at}", "127.0.1.1") as site:
            wait_until(socket_path.exists)
            assert socket_path.stat().st_mode & 0o777 == 0o660
            done = hub.ctl("--socket", str(socket_path), "profiles")
            assert done.returncode == 0
            site.terminate()
        # The same key can open no socket of the hub, listen at no port, and run no command.
        hub.write({"other": f"ssh://127.0.1.1{at}"})
        assert hub.ctl("--site", "other", "profiles").returncode == 69
        listens = ("-R", "9999:/x", "-o", "ExitOnForwardFailure=yes")
        for more in (("-N", *listens), ("-W", "127.0.0.1:22"), (f"touch {tmp_path}/x",)):
            with hub.ssh("127.0.1.1", *more) as refused:
                pass
            assert refused.returncode
        assert not (tmp_path / "x").exists()


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


def test_one_site_may_ask_at_terminal(sites: Sites, daemons: tuple[Daemon, Daemon]) -> None:
    sites.write({"berlin": f"ssh://{NO_KEY}{daemons[0].socket}"})
    terminal = Terminal(sites.command("--site", "berlin", "profiles"), sites.environ, 120, 24)
    try:
        terminal.until("Are you sure you want to continue connecting")
        terminal.type("no\n")
        assert terminal.ended() == 69
    finally:
        terminal.close()


def test_varlink_corpus_gets_same_answers(
    sites: Sites, daemons: tuple[Daemon, Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{sites.ssh_from_outside()}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(sites.runtime))
    at = daemons[0].socket
    with Connection(Site("berlin", "ssh://127.0.1.1", str(at))) as connection:
        for name, data in CORPUS.items():
            assert answer(connection.connect(), data) == answer(dial(at), data), name


def test_hostile_site_cannot_control_terminal(
    sites: Sites, stack: ExitStack, socket_path: Path
) -> None:
    (socket_path.parent / "x").mkdir(parents=True)
    hostile = canned(stack, socket_path.parent / "x")
    hostile.on("List", Canned.reply({"jobs": [make_summary(job_id=HOSTILE, first_node=HOSTILE)]}))
    hostile.on("Status", Canned.error("JobNotFound", job_id=HOSTILE))
    hostile.on("Figures", Canned.reply(FIGURES | {"version": HOSTILE}))
    hostile.on("org.varlink.service.GetInfo", Canned.reply({**INFO, "version": HOSTILE}))
    sites.write({"berlin": f"ssh://127.0.1.1{hostile.path}"})
    for words in (("--site", "all", "list"), ("--site", "all", "status", "3f2a"), ("sites",)):
        done = sites.ctl(*words)
        assert (done.stdout + done.stderr).replace("\n", "").isprintable()


def test_forged_id_is_asked_of_forger_only(
    sites: Sites, daemons: tuple[Daemon, Daemon], group: str, stack: ExitStack, socket_path: Path
) -> None:
    job = lines(sites.ctl("wait", group, "--json").stdout)["munich"]["reply"]["job_id"]
    (socket_path.parent / "x").mkdir(parents=True)
    forger = canned(stack, socket_path.parent / "x")
    forger.on("List", Canned.reply({"jobs": [make_summary(job_id=job)]}))
    forger.on("Status", Canned.error("JobNotFound", job_id=job))
    sites.write(
        {"berlin": f"ssh://127.0.1.1{forger.path}", "munich": f"ssh://127.0.1.2{daemons[1].socket}"}
    )
    sites.ctl("delete", "--yes", f"{group.partition('@')[0]}@berlin")
    assert [asked["job_id"] for name, asked in forger.calls if name.endswith("Status")] == [job]
    assert sites.ctl("--site", "munich", "status", job).returncode == 0


@pytest.mark.parametrize("name", ["../evil", "/evil"])
def test_export_stays_in_its_folder(
    name: str, sites: Sites, stack: ExitStack, socket_path: Path, tmp_path: Path
) -> None:
    (socket_path.parent / "x").mkdir(parents=True)
    hostile = canned(stack, socket_path.parent / "x")
    counts = dict.fromkeys(("length", "files", "bytes"), 1) | {"left_out": 0}
    name = f"{tmp_path}{name}" if name[0] == "/" else name
    hostile.on("Export", Canned.reply({"job_id": "3f2a", "name": name, **counts}) + b"x")
    sites.write({"berlin": f"ssh://127.0.1.1{hostile.path}"})
    (tmp_path / "in").mkdir()
    done = sites.ctl("--site", "berlin", "export", "3f2a", "-o", str(tmp_path / "in"))
    assert (done.returncode, "leads out" in done.stderr) == (69, True), done.stderr


def test_endless_reply_ends(sites: Sites, stack: ExitStack, socket_path: Path) -> None:
    (socket_path.parent / "x").mkdir(parents=True)
    endless = canned(stack, socket_path.parent / "x")
    endless.on("List", *[b"x" * (1 << 20)] * 200)
    sites.write({"berlin": f"ssh://127.0.1.1{endless.path}"}, timeout=5)
    assert sites.ctl("--site", "all", "list").returncode == 69


@contextmanager
def web_with_sites(
    sites: Sites, folder: Path, own: Daemon, places: dict[str, str]
) -> Iterator[Web]:
    program = sites.program("cucmweb")
    config = "[sites]\n" + "".join(f'{name} = "{place}"\n' for name, place in places.items())
    with running_web(folder, own.socket, config, program=program, environ=sites.environ) as web:
        yield web


def test_web_serves_sites(
    sites: Sites, daemons: tuple[Daemon, Daemon], group: str, tmp_path: Path
) -> None:
    one, two = daemons
    places = {"munich": f"ssh://127.0.1.2{two.socket}", "away": f"ssh://127.0.1.3:99{one.socket}"}
    with web_with_sites(sites, tmp_path / "web", one, places) as web:
        wait_until(lambda: web.ask("GET", "/sites/munich/jobs").status == 200)
        jobs = web.ask("GET", "/sites/munich/jobs").json()["jobs"]
        with two.client() as client:
            assert {job["job_id"] for job in jobs} == {job.job_id for job in client.list()}
        name = jobs[0]["job_id"]

        pages = [f"/ui/jobs/{name}", "/ui/", "/ui/start", "/ui/clusters"]
        for path in pages:
            page = web.ask("GET", f"/sites/munich{path}").body.decode()
            links = set(re.findall(r'(?:href|src|action|connect)="(/[^"]*)"', page))
            others = {link for link in links if not link.startswith("/sites/munich/ui/")}
            assert others == {"/ui/", "/sites/away/ui/"}, "the links to the other sites"
        assert web.ask("GET", "/sites/munich/ui/static/style.css").status == 200
        assert web.ask("GET", "/sites/munich/").status == 404
        moved = web.ask("GET", "/sites/munich/ui", headers={"accept": "text/html"})
        assert (moved.status, moved.headers["location"]) == (303, "/sites/munich/ui/")

        described = web.ask("GET", "/sites/munich/openapi.json").json()
        assert described["servers"] == [{"url": "/sites/munich"}]

        away = web.ask("GET", "/sites/away/jobs")
        assert (away.status, away.json()["code"]) == (503, "SiteUnreachable")
        assert web.ask("GET", "/sites/away/ui/").status == 503
        assert web.ask("GET", "/sites/away/ui/static/style.css").status == 200
        assert web.ask("GET", "/sites/paris/jobs").status == 404
        assert web.ask("GET", "/sites/munich/sites/munich/jobs").status == 404
        wait_until(lambda: "site away: cannot be reached" in web.log.read_text())


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
