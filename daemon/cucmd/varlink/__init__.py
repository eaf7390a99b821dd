"""Serves Varlink over Unix sockets. It knows nothing about jobs.

framing.py           PURE  bytes -> frames -> calls, and replies -> bytes
interface.py         `Interface` and `Method`, what handlers return and raise, and `Caller`
request_decoding.py  PURE  the parameters of a call -> the struct of its method, or an error
service.py           org.varlink.service, and the table of all methods by full name
limits.py            how much one user may have open, and how many of a user's calls run at once
connection.py        one connection: calls in order, streams, upgrades, hang-ups
server.py            accepts connections; asks the kernel who connected and who hung up
listener.py          a socket at a path, or the socket that systemd passed
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
from cucmd.varlink.limits import SocketLimits, Users
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
    "Users",
    "VarlinkError",
    "open_unix_listener",
    "read_description",
    "serve",
    "trace",
]
