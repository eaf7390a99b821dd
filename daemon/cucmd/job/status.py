"""PURE. Names the states of a job and of a node, as the store and the socket have them.

They stand apart from the states themselves, which the client does not need.
"""

from typing import Literal

NodeStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
