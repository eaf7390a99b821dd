"""The method of `Client` that checks nodes.

The one rule: that of `client.py`, of which this is a part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cucmctl.client.calls import Calls, dict_or_none, texts, texts_or_none
from cucmd.protocol import structs
from cucmd.protocol.structs_check import CheckRequest


class CheckCalls(Calls):
    """A part of `Client`."""

    def check(
        self,
        nodes: Sequence[str],
        *,
        login: structs.Login,
        receiver: bool = False,
        timeouts: structs.Timeouts | None = None,
        concurrency: int | None = None,
        request_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        start_key: str | None = None,
        try_all: bool = False,
        discovered: Sequence[str] | None = None,
        accept_nodes: bool = False,
    ) -> structs.Job:
        """Starts a job that looks whether a collection from its nodes can be expected to work.
        Returns as `start` does; each node then has what was `checked`, also if it fails.

        `receiver`: one small file is got too, which proves that the node reaches the receiver.
        The others, and what is raised: as for `start`.
        """
        request = CheckRequest(
            texts("nodes", nodes),
            login,
            receiver or None,
            timeouts,
            concurrency,
            request_id,
            dict_or_none(labels),
            start_key,
            try_all or None,
            texts_or_none("discovered", discovered),
            accept_nodes or None,
        )
        return self._ask_once("Check", request)
