"""Gives programs the client of `cucmd`: `from cucmctl import Client`.

    from cucmctl import Client, Collection, LimitReached, Login

    with Client() as client:  # or Client("/path/of/a/socket")
        job = client.start(
            ["ccm-pub", "ccm-sub1"],
            Collection(profile="callmanager", last="2h"),
            login=Login(username="administrator", password=secret),
        )
        for change in client.watch(job.job_id):
            print(change.sequence, change.job.status)

`Client` has the methods `start`, `start_cluster`, `collect`, `run`, `check`, `health`, `capture`,
`follow`, `discover`, `output`, `stop`, `retry`, `status`, `list`, `list_page`, `label`, `files`,
`export`, `verify`, `transcript`, `cancel`, `delete`, `prune`, `watch`, `wait`, `clusters`,
`profiles`, `credentials`, `host_keys`, `add_host_key`, `forget_host_key` and `reload`.
They return structs of `cucmd.protocol`. They raise `ClientError` (each error of the daemon has a
class of its own), `TimeoutError`, or `TypeError` for a wrong call, such as one text where several
are expected.

    main.py      finds the verb, runs it, and exits with the right code
    client/      `Client`: blocking, a method for each of the daemon's
    cli/         what the verbs share of the command line: options, exit codes, printing, passwords
    commands/    the verbs
    text/        what people read of jobs, one file a subject
    export/      a job's files, as they come, into a tar, a zip or a folder

Names are loaded on first use: the program `cucmctl` imports this package before it can take a
Ctrl-C. No trio, no asyncio, no asyncssh.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cucmctl.client.client import Client
    from cucmctl.client.errors import (
        ClientError,
        ConnectionLost,
        CredentialNotFound,
        DaemonUnavailable,
        DiscoveryFailed,
        InternalError,
        InvalidParameter,
        InvalidRequest,
        JobBusy,
        JobNotFound,
        LimitReached,
        MethodNotFound,
        NodeNotFound,
        NotPermitted,
        ProfileNotFound,
        ProtocolError,
        Refused,
        ReloadFailed,
        ScanFailed,
        ShuttingDown,
        StorageFailed,
    )
    from cucmd.job.asked import (
        Checks,
        Collection,
        Commands,
        Discovery,
        Estimate,
        Files,
        HealthChecks,
        How,
        Login,
        Packets,
        Tail,
        Timeouts,
    )

__all__ = [
    "Checks",
    "Client",
    "ClientError",
    "Collection",
    "Commands",
    "ConnectionLost",
    "CredentialNotFound",
    "DaemonUnavailable",
    "Discovery",
    "DiscoveryFailed",
    "Estimate",
    "Files",
    "HealthChecks",
    "How",
    "InternalError",
    "InvalidParameter",
    "InvalidRequest",
    "JobBusy",
    "JobNotFound",
    "LimitReached",
    "Login",
    "MethodNotFound",
    "NodeNotFound",
    "NotPermitted",
    "Packets",
    "ProfileNotFound",
    "ProtocolError",
    "Refused",
    "ReloadFailed",
    "ScanFailed",
    "ShuttingDown",
    "StorageFailed",
    "Tail",
    "Timeouts",
]

# Where they are, in the order in which they are looked for.
_HOMES = ("cucmctl.client.errors", "cucmd.job.asked", "cucmctl.client.client")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return next(getattr(home, name) for home in map(import_module, _HOMES) if hasattr(home, name))


def __dir__() -> list[str]:
    return __all__
