"""Adapts the SSH client and the receiver to the protocols in node/ports.py and to the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cucmd.config import ClusterSettings
from cucmd.job.node import Phase
from cucmd.node.file_writer import FileWriter
from cucmd.node.ports import NodeTask, Report, Shell, UploadTarget
from cucmd.receiver.server import Receiver
from cucmd.service.readers import Readers
from cucmd.ssh.known_hosts import KnownHosts, Policy
from cucmd.ssh.known_line import PublicKey
from cucmd.ssh.node_login import Steps
from cucmd.ssh.scan import scan_host_keys
from cucmd.ssh.shell import open_shell
from cucmd.vos.arguments import COLUMNS


class NodePorts:
    """Opens shells and upload targets for nodes: implements the `Ports` of node/ports.py."""

    def __init__(
        self,
        receiver: Receiver,
        known: KnownHosts,
        readers: Readers,
        writer: FileWriter,
    ) -> None:
        self.readers = readers
        self.writer = writer
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
        report: Report,
    ) -> Shell:
        return await open_shell(
            task.host,
            task.port,
            task.login.username,
            task.login.password,
            Policy(task.host_keys, task.legacy_algorithms),
            self._known,
            Steps(on_phase, on_connected, report.password, report.authenticated),
            columns=COLUMNS,
            mask=mask,
        )

    def knows_host_key(self, task: NodeTask) -> bool:
        return bool(self._known.trusted(task.host, task.port))

    def open_upload_target(self, task: NodeTask, address: str) -> UploadTarget:
        name = f"{task.job_id}/{task.node}"
        return self._receiver.open_upload_target(
            task.folder / "files",
            name=name,
            node=task.node,
            prefix=f"{task.folder.name}/files/",
            quota=task.quota,
            address=address,
        )

    def shortage(self, descriptor: int) -> str | None:
        return self._receiver.space.current_shortage(descriptor)

    def room(self, descriptor: int) -> tuple[int, int]:
        return self._receiver.space.room(descriptor)


def host_key_scan(
    settings: Callable[[str, int], ClusterSettings],
) -> Callable[[str, int], Awaitable[tuple[PublicKey, ...]]]:
    """Returns a function that asks a node for its host keys, with the node's current settings."""

    async def scan(host: str, port: int) -> tuple[PublicKey, ...]:
        of_node = settings(host, port)
        return await scan_host_keys(
            host,
            port,
            seconds=of_node.timeouts.connect,
            legacy_algorithms=of_node.ssh.legacy_algorithms,
        )

    return scan
