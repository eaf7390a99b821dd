"""The client of `cucmd` for programs that use trio: `from cucmtrio import open_client`.

    from cucmctl import Commands
    from cucmtrio import open_client

    async with open_client() as client:  # or open_client("/path/of/a/socket")
        job = await client.start(["ccm-pub"], Commands(("show status",)), login=login)
        async with client.watch(job.job_id) as changes:
            async for change in changes:
                print(change.sequence, change.job.status)

Errors and structs are those of `cucmctl` and `cucmd.protocol`. `cucmctl` has a blocking `Client`
with the same methods and `start_cluster`; the code without I/O is in `cucmctl/client/`, for both.
This package needs neither asyncio nor asyncssh.

    client.py    `Client`, with a method for each method of the daemon, and `open_client`
    events.py    `events`: what happens to jobs, over restarts of the daemon
    calls.py     `Calls`: calls with one reply or several, and calls after which the connection no
                 longer speaks Varlink; a pool of connections
    wire.py      one connection: sends frames, receives replies
    cucmctl_process.py  runs `cucmctl` in a process of its own, for other programs
"""

from cucmctl.client.job_events import JobEvent
from cucmtrio.client import Client, open_client
from cucmtrio.events import events

__all__ = ["Client", "JobEvent", "events", "open_client"]
