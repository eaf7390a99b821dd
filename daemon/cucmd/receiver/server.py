"""Runs the SFTP server that nodes push their files to: opens upload targets, and closes them.

How a transfer goes. There is one target for each run of a node, with a login of its own that the
node is told at its command line; the node's own sftp client then connects and pushes.

    work on a node   open_upload_target()    -> UploadTarget: login, folder
    the daemon       tells a process of the login, which is to be forked for the node's address
    node             connects                the first process forks that, and hands over
                     key exchange            -> Connection   counted in Unauthenticated
                     password                               the name is that of a Login
                     opens SFTP              -> SftpSession  one for each connection
                     OPEN, WRITE, CLOSE      -> RequestHandler -> Upload -> file, Accounting
    that process     asks for a new file     the daemon opens it (folder.py): it can open none
                     tells the daemon        -> Received: files, bytes
    work on a node   reads the target's counters and files() at any time; aclose() at its end

Which process. One address has one process, as long as it has an upload target, and from its first
connection on: most nodes are at work for long before they push. Of more than `processes` addresses
some share one. All other addresses have one together, from their first connection to the end, which
knows all logins: a node may come from an address that nobody expects. So nobody can take more of
the machine than one process can.

Who may end what.

    the client      closes: what it sent before is still written, then open files are given up.
    revoke()        by the work on the node: cancel, timeout, or a run that has ended. The login is
                    refused, connections are cut, and no write begins after it.
    aclose()        revoke(), and waits until each process has said that the last write has ended;
                    one that does not say so within a second is killed, and what else it serves
                    fails (receiver_lost). After it, files() changes no more.
    a process       cuts a connection that has not logged in within `login_timeout`, whose place
                    another one needs, that has tried three wrong passwords, or that makes it keep
                    replies which it does not read. Of one that sends more than a login takes it
                    reads no more. If it ends, what it serves fails.
    the daemon      leaves `open_receiver`: kills them all.

What is durable when.

    WRITE answered     nothing: the bytes are in the page cache.
    CLOSE answered OK  the file and its name: both are synced before the reply. Only now the file
                       counts as received.
    anything else      a connection that ends, a disk that is full, a revoked target: the file
                       stays on disk as far as it came, and is reported as incomplete.
"""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import trio

from cucmd.allowance import Quota
from cucmd.node_name import source_of
from cucmd.receiver.free_space import FreeSpace
from cucmd.receiver.host_keys import HostKeyUnusable, load_host_keys
from cucmd.receiver.limits import ReceiverLimits
from cucmd.receiver.processes import Process, Seat
from cucmd.receiver.received import FileCount, Received, Side
from cucmd.receiver.upload_target import UploadTarget
from cucmd.worker.frames import Begin, Expect
from cucmd.worker.workers import AGAIN, Workers

__all__ = [
    "HostKeyUnusable",
    "Receiver",
    "ReceiverLimits",
    "UploadTarget",
    "open_receiver",
]

# Connections that the kernel holds until they are accepted: every node at once.
_BACKLOG = 256

_log = logging.getLogger(__name__)


class Receiver:
    """Is the server while it runs. `address` and `port` are where it listens."""

    def __init__(
        self,
        limits: ReceiverLimits,
        workers: Workers,
        begin: Begin,
        nursery: trio.Nursery,
    ) -> None:
        self.address = ""
        self.port = 0
        self.limits = limits
        self.space = FreeSpace(limits.min_free_bytes, limits.min_free_ratio)
        self.files = FileCount()
        self._workers = workers
        self._begin = begin
        self._nursery = nursery
        self._targets: dict[str, UploadTarget] = {}
        self._others = self._new_process(ends=False)
        self._processes: dict[str, Process] = {}  # by the address of nodes

    def open_upload_target(
        self,
        folder: Path,
        *,
        name: str,
        node: str = "",
        prefix: str = "",
        quota: Quota | None = None,
        address: str = "",
    ) -> UploadTarget:
        """Opens a target with a login of its own. `folder` is made when the first client logs in.

        `name`: a job and a node, for messages. `node`, `prefix`: see `Received`. `address`: the
        node's, whose connections have a process until the target is closed; "": unknown. Close the
        target with `aclose`.
        """
        received = Received(self.limits, quota or Quota(), self.files, node, prefix)
        source = source_of(address) if address else ""
        target = UploadTarget(folder, received, name, source, self._forget)
        self._targets[target.username] = target
        if source:
            is_new = source not in self._processes
            process = self._process_of(source)
            # One that comes after another that has ended is to know all logins of the address.
            for one in self._targets_of(source) if is_new else (target,):
                self._seat(one, process)
            if is_new:
                process.take_all_of(source)  # once it knows the logins
        self._seat(target, self._others)
        return target

    def _seat(self, target: UploadTarget, process: Process) -> None:
        expect = Expect(
            login=target.username,
            digest=hashlib.sha256(target.password.encode()).digest(),
            source=target.source,
            name=target.name,
        )
        side = Side(target.received, self.limits)
        seat = Seat(expect, side, target.folder, process, target.changed)
        target.seats.append(seat)
        process.expect(seat)

    def _process_of(self, source: str) -> Process:
        """Returns the process that takes the connections of an address."""
        process = self._processes.get(source)
        if process is None:
            running = set(self._processes.values())
            if len(running) >= self.limits.processes:
                process = min(running, key=lambda one: len(one.seats))
            else:
                process = self._new_process(ends=True)
                self._nursery.start_soon(self._run, process)
            self._processes[source] = process
        return process

    def _new_process(self, *, ends: bool) -> Process:
        return Process(self._workers, self._begin, self.limits, ends=ends)

    async def _run(self, process: Process) -> None:
        await process.run()
        for source in [at for at, one in self._processes.items() if one is process]:
            del self._processes[source]

    def _forget(self, target: UploadTarget) -> None:
        """No connection logs in to it any more."""
        self._targets.pop(target.username, None)
        for seat in target.seats:
            seat.process.forget(target.username)
        source = target.source
        if source in self._processes and not self._targets_of(source):
            self._processes.pop(source).take_all_of(source, it_does=False)

    def _targets_of(self, source: str) -> list[UploadTarget]:
        return [target for target in self._targets.values() if target.source == source]

    # For open_receiver.

    async def run_others(self) -> None:
        """Runs the process for all addresses that are not expected; again whenever it has ended."""
        while True:
            began = trio.current_time()
            self._others.take_all_of("")
            await self._others.run()
            self._others = self._new_process(ends=False)
            for target in self._targets.values():
                self._seat(target, self._others)
            await trio.sleep_until(began + AGAIN)

    def close(self) -> None:
        for target in tuple(self._targets.values()):
            target.revoke()


@asynccontextmanager
async def open_receiver(
    listen: tuple[str, int],
    host_key_dir: Path,
    workers: Workers,
    limits: ReceiverLimits | None = None,
    *,
    legacy_algorithms: bool = False,
) -> AsyncIterator[Receiver]:
    """Opens the receiver, which listens at `listen` (port 0: any free one) while the body runs.

    workers: has the role `RECEIVE`. Raises OSError where it cannot listen or write `host_key_dir`,
    and HostKeyUnusable.
    """
    limits = limits or ReceiverLimits()
    keys = await trio.to_thread.run_sync(load_host_keys, host_key_dir)
    begin = Begin(
        host_keys=tuple(key.export_private_key("openssh") for key in keys),
        limits=msgspec.structs.asdict(limits),
        legacy_algorithms=legacy_algorithms,
    )
    host, port = listen
    with ExitStack() as stack:
        sockets = []
        for one in await trio.open_tcp_listeners(port, host=host, backlog=_BACKLOG):
            sockets.append(stack.enter_context(socket.socket(fileno=one.socket.detach())))
            sockets[-1].setblocking(False)
        async with trio.open_nursery() as nursery:
            receiver = Receiver(limits, workers, begin, nursery)
            receiver.address, receiver.port = sockets[0].getsockname()[:2]
            await workers.listen(sockets)
            nursery.start_soon(receiver.run_others)
            try:
                yield receiver
            finally:
                receiver.close()
                workers.stop_listening()
                nursery.cancel_scope.cancel()
