"""The methods of `Client` about commands and packet captures on nodes.

The one rule: that of `client.py`, of which this is a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cucmctl.client.calls import Calls, dict_or_none, texts, texts_or_none
from cucmd.protocol import structs
from cucmd.protocol.structs_commands import (
    CaptureRequest,
    CommandOutput,
    OutputReply,
    OutputRequest,
    RunRequest,
    StopReply,
    StopRequest,
)


class CommandCalls(Calls):
    """A part of `Client`."""

    def run(
        self,
        nodes: Sequence[str],
        commands: Sequence[str],
        *,
        login: structs.Login,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        start_key: str | None = None,
        try_all: bool = False,
        discovered: Sequence[str] | None = None,
        accept_nodes: bool = False,
    ) -> structs.Job:
        """Starts a job that runs commands on its nodes, one after the other. Returns as `start`
        does; `output` has what they print, of each command once it has ended.

        `commands`: such as "show status"; only forms that read are taken, with their arguments.
        `timeouts`: its `command` is for each of the commands; else each has its own time.
        The others, and what is raised: as for `start`.
        """
        request = RunRequest(
            texts("nodes", nodes),
            login,
            texts("commands", commands),
            timeouts,
            concurrency,
            request_id,
            dict_or_none(labels),
            start_key,
            try_all or None,
            texts_or_none("discovered", discovered),
            accept_nodes or None,
        )
        return self._ask_once("Run", request)

    def output(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[CommandOutput]:
        """What the commands of a job that have ended have printed on its nodes, or on these. Other
        commands of the same node may still run.

        An output comes in pieces, the last of which has `ended` and what was `parsed`.
        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        chosen = texts_or_none("nodes", nodes)
        request = OutputRequest(job_id, chosen)
        for reply in self._replies("Output", request, OutputReply, None):
            if reply.output is not None:
                yield reply.output

    def capture(
        self,
        nodes: Sequence[str],
        *,
        login: structs.Login,
        interface: str | None = None,
        host: str | None = None,
        port: int | None = None,
        count: int | None = None,
        size: int | None = None,
        duration: float | None = None,
        delete: bool = False,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        start_key: str | None = None,
        try_all: bool = False,
        discovered: Sequence[str] | None = None,
        accept_nodes: bool = False,
    ) -> structs.Job:
        """Starts a job that captures packets on all of its nodes at the same time, and collects the
        files. Returns as `start` does; `Node.capture` has what became of it.

        host, port  only packets from or to these; `host` is an IPv4 address
        count       packets of a node after which its capture ends; at most, and by default, 100000
        size        bytes that are kept of a packet; None: all
        duration    seconds after which it is ended: 1 to 1200, 60 by default
        delete      the files are removed from a node once they are safe here
        The others, and what is raised: as for `start`; `InvalidRequest` of `nodes` if these are
        more than may run at once.
        """
        request = CaptureRequest(
            texts("nodes", nodes),
            login,
            interface,
            host,
            port,
            count,
            size,
            duration,
            delete or None,
            timeouts,
            concurrency,
            request_id,
            dict_or_none(labels),
            start_key,
            try_all or None,
            texts_or_none("discovered", discovered),
            accept_nodes or None,
        )
        return self._ask_once("Capture", request)

    def stop(self, job_id: str, *, request_id: str | None = None) -> StopReply:
        """Ends the packet capture of a job on all of its nodes now; its files are collected then.

        Raises `JobNotFound`; `InvalidRequest` of `job_id` if it does not capture.
        """
        return self.call("Stop", StopRequest(job_id, request_id), StopReply)
