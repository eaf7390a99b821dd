"""`cucmweb demo`: shows the page with simulated nodes, until Ctrl-C.

The nodes, the daemon and cucmweb are processes of their own, on loopback only. The demo removes
everything that it has made, however it ends.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from cucmctl import Client
from cucmd.job.work_request import Collection, How, Login
from cucmlab.demo import (
    EndedBySignal,
    daemon,
    ended_by_signals,
    folder_for_sockets,
    free_port,
    interruptible,
    lab,
    ready_process,
    say,
    temporary_folder,
)
from cucmweb.token_file import add

# The second node is slow, and the third cuts off its first file, so that there is something to see.
_FAULTS = ("--fault", "2=trickle@50000", "--fault", "3=upload-cut*1")


def demo(port: int) -> int:
    """Runs the demo. Returns the exit code of the process.

    port  the TCP port of 127.0.0.1 at which the page is served
    """
    try:
        with ended_by_signals(), ExitStack() as stack:
            _serve(stack, port)
    except EndedBySignal:
        say("Everything is stopped and removed again.")
    return 0


def _serve(stack: ExitStack, port: int) -> None:
    folder = stack.enter_context(temporary_folder())
    sockets = stack.enter_context(folder_for_sockets(folder))
    say("Three simulated nodes, a daemon and a job ...")
    # All nodes have the same port, as real nodes have.
    nodes = stack.enter_context(lab("--stamps", "--port", free_port(), *_FAULTS))
    speaks = f'[access]\nmay_speak_for = ["{os.getuid()}"]\n'
    stack.enter_context(daemon(folder, sockets, speaks, quiet=True))
    token = add(folder / "tokens.toml", "demo", "operate", None)
    (folder / "cucmweb.toml").write_text(f'tokens = "{folder}/tokens.toml"\n')
    daemon_socket = sockets / "cucmd.sock"
    with interruptible():
        _start_jobs(daemon_socket, nodes)
    command = [sys.executable, "-m", "cucmweb", "serve", "--config", str(folder / "cucmweb.toml")]
    command += ["--socket", str(daemon_socket), "--listen", f"127.0.0.1:{port}"]
    web = stack.enter_context(ready_process(command, sockets / "notify-web", quiet=True))
    say(f"Open http://127.0.0.1:{port}/ui/ and sign in with the token {token}")
    say(f"The password of the nodes is {nodes['password']}. Ctrl-C ends the demo.")
    with interruptible():
        web.wait()


def _start_jobs(daemon_socket: Path, nodes: dict[str, Any]) -> None:
    login, names = Login(nodes["username"], nodes["password"]), nodes["nodes"]
    with Client(daemon_socket) as client:
        client.wait(client.discover(names[0], login=login).job_id)
        client.health(names, login=login)
        wanted = Collection(paths=("cm/trace/ccm/sdl",), last="2h")
        client.collect(names, wanted, login=login, how=How(labels={"case": "698123456"}))
