"""Signals, streams that are closed, and sites that are hostile."""

import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from rig.daemon import Daemon
from rig.openssh_node import needs_openssh
from rig.quiet import wait_until
from rig.sites import Sites
from system.ctl.conftest import Canned, make_summary
from system.sites.conftest import INFO, canned, lines

pytestmark = [pytest.mark.long, needs_openssh]

# Changes the title, clears the screen, turns the direction of text, and ends the line.
HOSTILE = "\x1b]0;x\x07\x1b[2J\u202e\x9b2J\n\r\x00"


FIGURES = {
    **dict.fromkeys(("jobs", "jobs_ended", "nodes", "nodes_ended", "durations"), ()),
    **dict.fromkeys(("files_received", "bytes_received", "worker_restarts"), 0),
    **dict.fromkeys(("node_connections", "node_connections_limit", "node_connections_wanted"), 0),
    **{"receiver_connections": 0, "python": "3", "started_at": "2026-03-01T08:00:00Z"},
}


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


def test_killed_process_of_site_is_reported(sites: Sites, socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hung:
        socket_path.parent.mkdir()
        hung.bind(str(socket_path))
        hung.listen()
        sites.write(dict.fromkeys(("berlin", "munich"), f"ssh://127.0.1.1{socket_path}"))
        words = ("--site", "all", "list")
        with sites.start(*words, stderr=subprocess.PIPE) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: len(children.read_text().split()) == 2)
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            told = process.stderr.read().decode()
        wait_until(lambda: not sites.connections())
    assert (process.returncode, "berlin" in told, "munich" in told) == (69, True, True)


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("berlin", signal.SIGINT),
        ("berlin", signal.SIGTERM),
        ("all", signal.SIGINT),
        ("all", signal.SIGTERM),
        ("berlin", signal.SIGKILL),
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
        wait_until(lambda: not sites.connections())


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
