"""The SSH rooms as the work on a node wants them (`collect.doors`).

The one rule: only shapes are changed here; what is decided, is decided on either side.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from cucmd.config import NodeSettings
from cucmd.job import Phase
from cucmd.node.ports import NodeTask, Shell, UploadTarget
from cucmd.node_name import parse_node
from cucmd.receiver.server import Receiver
from cucmd.ssh.known_hosts import KnownHost, KnownHosts
from cucmd.ssh.known_line import HostKey, HostLine, parse_key
from cucmd.ssh.policy import Policy
from cucmd.ssh.scan import scan_host_keys
from cucmd.ssh.shell import open_shell


class Ssh:
    """Opens shells on nodes and upload targets for them."""

    def __init__(self, receiver: Receiver, known: KnownHosts) -> None:
        self._receiver = receiver
        self._known = known

    @property
    def port(self) -> int:
        return self._receiver.port

    async def open_shell(
        self,
        task: NodeTask,
        on_connected: Callable[[], None],
        on_phase: Callable[[Phase], None],
        mask: Callable[[str], str],
    ) -> Shell:
        return await open_shell(
            task.host,
            task.port,
            task.login.username,
            task.login.password,
            Policy(task.host_keys, task.legacy_algorithms),
            self._known,
            on_connected=on_connected,
            on_phase=on_phase,
            mask=mask,
        )

    def open_upload_target(self, task: NodeTask) -> UploadTarget:
        name = f"{task.job_id}/{task.node}"
        return self._receiver.open_upload_target(
            task.folder / "files",
            name=name,
            node=task.node,
            prefix=f"{task.folder.name}/files/",
            quota=task.quota,
        )

    def shortage(self, descriptor: int) -> str | None:
        return self._receiver.space.look(descriptor)


class NodeKeys:
    """The host keys of nodes, as the socket wants them (`api.host_keys`)."""

    def __init__(self, known: KnownHosts, settings: Callable[[str, int], NodeSettings]) -> None:
        self._known = known
        self._settings = settings

    def entries(self) -> tuple[KnownHost, ...]:
        return self._known.entries()

    async def add(self, node: str, key: str) -> None:
        await trio.to_thread.run_sync(self._known.add, node, parse_key(key))

    def trusted(self, node: str) -> tuple[HostLine, ...]:
        known = self._known.lookup(*parse_node(node))
        return tuple(line for line in known if not line.revoked)

    async def shown(self, node: str) -> tuple[HostKey, ...]:
        host, port = parse_node(node)
        settings = self._settings(host, port)
        return await scan_host_keys(
            host,
            port,
            seconds=settings.timeouts.connect,
            legacy_algorithms=settings.ssh.legacy_algorithms,
        )

    async def forget(self, node: str) -> int:
        return await trio.to_thread.run_sync(self._known.forget, node)
