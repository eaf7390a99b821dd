"""The SSH rooms as the work on a node wants them (`collect.doors`).

The one rule: only shapes are changed here; what is decided, is decided on either side.
"""

from __future__ import annotations

from collections.abc import Callable

from cucmd.collect.doors import DropBox, NodeTask, Shell
from cucmd.job import Phase
from cucmd.ssh.known_hosts import KnownHosts
from cucmd.ssh.policy import Policy
from cucmd.ssh.receiver import Quota, Receiver
from cucmd.ssh.shell import open_shell


class Ssh:
    """Opens shells on nodes and drop boxes for them."""

    def __init__(self, receiver: Receiver, known: KnownHosts) -> None:
        self._receiver = receiver
        self._known = known

    @property
    def port(self) -> int:
        return self._receiver.port

    async def open_shell(self, task: NodeTask, on_phase: Callable[[Phase], None]) -> Shell:
        return await open_shell(
            task.host,
            task.port,
            task.login.username,
            task.login.password,
            Policy(task.host_keys, task.legacy_algorithms),
            self._known,
            on_phase=on_phase,
        )

    def open_drop_box(self, task: NodeTask) -> DropBox:
        name = f"{task.job_id}/{task.node}"
        quota = Quota(task.node_bytes or None, task.job_bytes)
        return self._receiver.open_drop_box(task.folder / "files", name=name, quota=quota)
