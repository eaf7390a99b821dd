"""Stands between a client and a daemon, and makes every text of the daemon hostile.

Whatever a node, a file, a transcript or a person can name has `HOSTILE` at its end, in each reply.
A call that has such a text reaches the daemon without it.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

HOSTILE = (
    "\"'></pre></textarea></title><b>bold</b><img src=x onerror=window.hacked=1>"
    "<script>window.hacked=1</script>{{7*7}}\x1b[2J\x9b\u202e"
)
# Members whose values are chosen by the daemon from few words, or are times.
_CHOSEN = frozenset(
    ("job_id", "status", "kind", "last", "host_key", "receiver", "state", "missing", "location")
)

_TIMES = frozenset(("at", "begin", "end", "since", "time", "until", "modified"))


def made_hostile(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: made_hostile(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [made_hostile(each, name) for each in value]
    is_kept = name.endswith("_at") or name in _TIMES | _CHOSEN
    return value + HOSTILE if isinstance(value, str) and not is_kept else value


def _calls(client: socket.socket, daemon: socket.socket) -> None:
    suffix = json.dumps(HOSTILE)[1:-1].encode()
    plain = json.dumps(HOSTILE, ensure_ascii=False)[1:-1].encode()
    with suppress(OSError):
        while data := client.recv(1 << 16):  # a call is short, and is sent at once
            daemon.sendall(data.replace(suffix, b"").replace(plain, b""))
        daemon.shutdown(socket.SHUT_RDWR)


def _replies(client: socket.socket, daemon: socket.socket) -> None:
    held = b""
    with suppress(OSError), client, daemon:
        while data := daemon.recv(1 << 16):
            *frames, held = (held + data).split(b"\0")
            for frame in frames:
                reply = json.loads(frame)
                if "error" not in reply:
                    reply["parameters"] = made_hostile(reply.get("parameters", {}))
                client.sendall(json.dumps(reply).encode() + b"\0")
        client.shutdown(socket.SHUT_RDWR)


@contextmanager
def hostile_relay(path: Path, daemon: Path) -> Iterator[None]:
    """Listens at `path`, and relays each connection to the socket of a daemon."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    upstream = socket.socket(socket.AF_UNIX)
                    upstream.connect(str(daemon))
                    for relay in (_calls, _replies):
                        threading.Thread(target=relay, args=(client, upstream), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
