"""PURE. Declares the names of the states of jobs and nodes, for the store and the socket.

The states themselves are in other modules, which the client need not load.
"""

from typing import Literal

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
