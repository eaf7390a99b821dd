"""A Varlink server over Unix sockets. It knows nothing of jobs.

framing.py      PURE  bytes -> frames -> calls, replies -> bytes
errors.py       errors as handlers raise them, and the standard ones
interface.py    what a server offers: `Interface`, `Method`; and who calls: `Caller`
requests.py     PURE  a call's parameters -> the method's struct, or what is wrong with them
service.py      org.varlink.service: what a server says of itself
peer.py         the kernel's word on who connected, and on who hung up
quota.py        PURE  how much one user may hold, and what is kept for root
connection.py   one connection: calls in order, streams, hang-ups
defect.py       PURE  a defect as the log may show it
server.py       accepts connections
listener.py     a socket at a path, or the one that systemd passed
acl.py          PURE  an access list by which one more group may connect to it
"""

from cucmd.varlink.errors import PermissionDenied, VarlinkError
from cucmd.varlink.interface import Caller, Interface, Method, StreamReply, read_description
from cucmd.varlink.listener import SocketInUse, open_unix_listener
from cucmd.varlink.quota import Limits
from cucmd.varlink.server import serve
from cucmd.varlink.service import ServiceInfo

__all__ = [
    "Caller",
    "Interface",
    "Limits",
    "Method",
    "PermissionDenied",
    "ServiceInfo",
    "SocketInUse",
    "StreamReply",
    "VarlinkError",
    "open_unix_listener",
    "read_description",
    "serve",
]
