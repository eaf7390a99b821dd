"""Gives programs on trio the client of `cucmd`: `from cucmtrio import open_client`.

    from cucmctl import Commands
    from cucmtrio import open_client

    async with open_client() as client:  # or open_client("/path/of/a/socket")
        job = await client.start(["ccm-pub"], Commands(("show status",)), login=login)
        async with client.watch(job.job_id) as changes:
            async for change in changes:
                print(change.sequence, change.job.status)

Errors and structs are those of `cucmctl` and `cucmd.protocol`, whose blocking `Client` this is
beside: what is no I/O is in `cucmctl/client/`, for both. It needs no asyncio and no asyncssh.

    client.py    `Client`: a method for each of the daemon's, and `open_client`
    events.py    `events`: what happens to jobs, over restarts of the daemon
    calls.py     `Calls`: calls with one reply, with several, and those that leave Varlink, over
                 connections that are kept, used again, and closed when a call is left early
    wire.py      one connection: frames out, replies in
"""

from cucmctl.client.job_events import JobEvent
from cucmtrio.client import Client, open_client
from cucmtrio.events import events

__all__ = ["Client", "JobEvent", "events", "open_client"]
