"""The methods of `Client` about commands that are run on nodes.

The one rule: that of `client.py`, of which this is a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cucmctl.calls import Calls, texts
from cucmd.api import structs
from cucmd.api.structs_commands import CommandOutput, OutputReply, OutputRequest, RunRequest


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
        does; `output` has what they print, of each node once it has ended.

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
            None if labels is None else dict(labels),
            start_key,
            try_all or None,
            None if discovered is None else texts("discovered", discovered),
            accept_nodes or None,
        )
        return self._ask_once("Run", request)

    def output(self, job_id: str, nodes: Sequence[str] | None = None) -> Iterator[CommandOutput]:
        """What the commands of a job have printed on its nodes, or on these, that have ended.

        An output comes in pieces, the last of which has `ended` and what was `parsed`.
        It has its own connection, as `watch`. Raises `JobNotFound`, `NodeNotFound`.
        """
        chosen = None if nodes is None else texts("nodes", nodes)
        request = OutputRequest(job_id, chosen)
        for reply in self._replies("Output", request, OutputReply, None):
            if reply.output is not None:
                yield reply.output
