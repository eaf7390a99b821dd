"""Runs unicon, the vendor's own client: a session with a node, or unicon's mock of a node.

`python -m rig.unicon_client` reads a session as JSON from standard input, and prints what came of
it as JSON. With the argument `mock` it plays a node on this terminal. It is a process of its own
because unicon forks to start `ssh`, takes half a second to import, and changes the logging of its
process.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def reason_to_skip() -> str | None:
    """Says why unicon cannot be used here. Returns None if it can."""
    if find_spec("unicon") is None:
        return "needs unicon: pip install -e '.[unicon]'"
    return None if shutil.which("ssh") else "needs OpenSSH's ssh"


def _without_genie() -> None:
    """Makes a stand-in for genie, which is large and not a dependency of unicon.

    unicon imports all its plugins, and one of them, for a switch, needs an exception of genie.
    """
    if find_spec("genie") is None:
        for name in ("genie", "genie.metaparser", "genie.metaparser.util"):
            sys.modules[name] = ModuleType(name)
        exceptions = ModuleType("genie.metaparser.util.exceptions")
        exceptions.SchemaEmptyParserError = type("SchemaEmptyParserError", (Exception,), {})
        sys.modules[exceptions.__name__] = exceptions


def _session(
    address: str, username: str, password: str, commands: list[tuple[str, list[list[str]]]]
) -> dict[str, object]:
    """Logs in, runs the commands and disconnects. A command has answers for its questions.

    Returns the outputs as unicon returns them, and everything that its terminal showed.
    """
    from unicon import Connection
    from unicon.eal.dialogs import Dialog

    host, port = address.split(":")
    ssh = "ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        connection = Connection(
            hostname="node",
            os="vos",
            start=[f"{ssh} -o PubkeyAuthentication=no -p {port} {username}@{host}"],
            credentials={"default": {"username": username, "password": password}},
            log_stdout=False,
            logfile=str(log),
        )
        # Otherwise unicon sleeps for 10 s after it has disconnected.
        connection.settings.POST_DISCONNECT_WAIT_SEC = 0
        connection.connect()
        outputs = [
            connection.execute(
                command,
                reply=Dialog(
                    [[asked, f"sendline({said})", None, True, False] for asked, said in answers]
                ),
            )
            for command, answers in commands
        ]
        connection.disconnect()
        return {"outputs": outputs, "terminal": log.read_text()}


def main() -> None:
    _without_genie()
    if sys.argv[1:] == ["mock"]:
        from unicon.mock import main as mock

        sys.argv[1:] = ["--os", "vos", "--state", "vos_exec"]
        mock()
    else:
        print(json.dumps(_session(**json.load(sys.stdin))))


if __name__ == "__main__":
    main()
