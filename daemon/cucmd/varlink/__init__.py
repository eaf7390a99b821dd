"""Serves Varlink over Unix sockets. It knows nothing of jobs.

framing.py      PURE  bytes -> frames -> calls, replies -> bytes
interface.py    `Interface`, `Method`, what handlers give and raise, and `Caller`: who calls
requests.py     PURE  a call's parameters -> the method's struct, or what is wrong with them
service.py      org.varlink.service, and the table of all methods by full name
limits.py       what one user may hold at a time, and how fast it may go on
connection.py   one connection: calls in order, streams, upgrades, hang-ups
server.py       accepts connections; a peer's credentials, and its hang-up, from the kernel
listener.py     a socket at a path, or the one that systemd passed
"""

from cucmd.varlink.interface import (
    Caller,
    Interface,
    Method,
    PermissionDenied,
    StreamReply,
    Upgrade,
    VarlinkError,
    read_description,
    trace,
)
from cucmd.varlink.limits import SocketLimits
from cucmd.varlink.listener import SocketInUse, open_unix_listener
from cucmd.varlink.server import serve
from cucmd.varlink.service import ServiceInfo

__all__ = [
    "Caller",
    "Interface",
    "Method",
    "PermissionDenied",
    "ServiceInfo",
    "SocketInUse",
    "SocketLimits",
    "StreamReply",
    "Upgrade",
    "VarlinkError",
    "open_unix_listener",
    "read_description",
    "serve",
    "trace",
]
