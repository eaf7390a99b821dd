"""The client of `cucmd`, for programs: `from cucmctl import Client`.

    from cucmctl import Client, Collection, LimitReached, Login

    with Client() as client:  # or Client("/path/of/a/socket")
        job = client.start(
            ["ccm-pub", "ccm-sub1"],
            login=Login(username="administrator", password=secret),
            collection=Collection(profile="callmanager", last="2h"),
        )
        for change in client.watch(job.job_id):
            print(change.sequence, change.job.status)

`Client` has the methods `start`, `start_cluster`, `run`, `run_cluster`, `output`, `check`,
`capture`, `stop`, `discover`, `retry`, `status`, `list`, `label`, `files`, `export`,
`export_files`, `verify`, `transcript`, `cancel`, `delete`, `prune`, `watch`, `wait`, `clusters`,
`profiles`, `credentials`, `host_keys`, `add_host_key`, `forget_host_key` and `reload`, as the
command line has. They return structs of `cucmd.api.structs` and its neighbours `structs_*`. They
raise `ClientError` (each error of the daemon has a class of its own), `TimeoutError`, or
`TypeError` for a wrong call, such as one text where several are expected.

    client.py    `Client`: blocking, a method for each of the daemon's
    command_calls.py  its methods about commands and captures on nodes
    cluster_calls.py  its methods about clusters, profiles and credentials
    check_calls.py  its method that checks nodes
    calls.py     makes its calls, over one connection
    once.py      a call that is made again after a broken connection, with one effect
    cluster.py   the nodes of a cluster, before a job is started on them
    reconnect.py  a watch that goes on after a restart of the daemon
    case_calls.py  its methods about what a job has collected
    export_stream.py  `Export`, the bytes of a job's tar as they come
    export_files.py  `OpenExport`, the files of a job as descriptors, hashed and packed here
    wire.py      frames out, replies in, over one Unix socket
    errors.py    an exception for each error on the wire
    service.py   why the service does not start, if systemd knows

The command line:

    main.py      finds the verb, runs it, and exits with the right code
    lean.py      makes the start of the command quick
    options.py   its arguments and their values
    commands/    the verbs
    unfinished.py  old jobs that have not ended, which a list of the newest does not show
    password.py  the password: from a file, standard input or the terminal
    prompt.py    asks for it on the terminal, without echo
    export.py    a job's tar into a tar, a zip or a folder
    export_target.py  where that goes: what is not whole has no name there
    events.py    what happens to jobs, over restarts of the daemon, for `events`
    views.py     shows a job that is followed: as lines, as JSON, or its end alone
    live.py      shows it on a terminal, redrawn
    frame.py     what that shows of a job: lines that fit. Only these two load rich
    times.py     PURE  how long a job has run and will take, and how long a node has been silent
    terminal.py  settings of the terminal while that draws
    rates.py     PURE  bytes per second of each node
    names.py     PURE  nodes' names, cut to a width
    render.py    jobs and nodes as plain text for people
    table.py     tables of text, and their colours
    remarks.py   PURE  why nodes failed, and their notes; what is equal is said once
    job_list.py  a list of jobs as a table
    near.py      PURE  names that are near to a misspelt one
    captured.py  PURE  what is said of a packet capture
    found.py     PURE  what a discovery has found, and a block of it for the configuration
    checked.py   PURE  what a check has seen, as a table
    printer.py   standard output and standard error
    exits.py     exit codes

The one rule: importing this loads nothing. Names are loaded on first use, so that the command line,
which imports this too, loads only what it needs. No trio, no asyncio, no asyncssh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cucmctl.client import Client
    from cucmctl.errors import (
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
    from cucmd.api.structs import Collection, Login, Timeouts

__all__ = [
    "Client",
    "ClientError",
    "Collection",
    "ConnectionLost",
    "CredentialNotFound",
    "DaemonUnavailable",
    "DiscoveryFailed",
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
    "ProfileNotFound",
    "ProtocolError",
    "Refused",
    "ReloadFailed",
    "ScanFailed",
    "ShuttingDown",
    "StorageFailed",
    "Timeouts",
]

# The structs of a request, with the names that they have on the socket.
_STRUCTS = ("Collection", "Login", "Timeouts")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "Client":
        from cucmctl.client import Client  # noqa: PLC0415  # loaded on first use: the rule above

        return Client
    if name in _STRUCTS:
        from cucmd.api import structs  # noqa: PLC0415  # likewise

        return getattr(structs, name)
    from cucmctl import errors  # noqa: PLC0415  # likewise

    return getattr(errors, name)


def __dir__() -> list[str]:
    return __all__
