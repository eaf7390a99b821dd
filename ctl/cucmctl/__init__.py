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

`start`, `status`, `list`, `cancel`, `watch`, `wait`, `host_keys`, `add_host_key` and
`forget_host_key` are what the command line has, and give the structs of `cucmd.api.structs`. What
a call comes to instead is a `ClientError`, each refusal of the daemon a class of its own, or
`TimeoutError`; a request that the calling program cannot have meant, such as one text where several
are expected, is a `TypeError`.

    client.py    `Client`: blocking, a method for each of the daemon's
    wire.py      frames out, replies in, over one Unix socket
    errors.py    an exception for each error on the wire

The command line:

    main.py      finds the verb, runs it, turns every ending into an exit code
    lean.py      its quick start
    options.py   its grammar
    commands/    the verbs
    unfinished.py  old jobs that a list of the newest would hide
    password.py  a login's password, from wherever it may come
    prompt.py    the terminal's part of that: typed unseen
    views.py     a followed job where there is no live terminal
    live.py      a followed job on one; the only file that loads rich
    rates.py     PURE  bytes per second of each node
    names.py     PURE  nodes' names where there is little room
    render.py    jobs and nodes as plain text for people
    printer.py   standard output and standard error
    exits.py     exit codes, and what each means

The one rule: importing this loads nothing. Names come on first use, so that the command line,
which passes through here, pays only for what it needs. No trio, no asyncio, no asyncssh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cucmctl.client import Client
    from cucmctl.errors import (
        ClientError,
        CredentialNotFound,
        DaemonUnavailable,
        InternalError,
        InvalidParameter,
        InvalidRequest,
        JobNotFound,
        LimitReached,
        MethodNotFound,
        NodeNotFound,
        NotPermitted,
        ProfileNotFound,
        ProtocolError,
        Refused,
        ScanFailed,
        ShuttingDown,
        StorageFailed,
    )
    from cucmd.api.structs import Collection, Login, Timeouts

__all__ = [
    "Client",
    "ClientError",
    "Collection",
    "CredentialNotFound",
    "DaemonUnavailable",
    "InternalError",
    "InvalidParameter",
    "InvalidRequest",
    "JobNotFound",
    "LimitReached",
    "Login",
    "MethodNotFound",
    "NodeNotFound",
    "NotPermitted",
    "ProfileNotFound",
    "ProtocolError",
    "Refused",
    "ScanFailed",
    "ShuttingDown",
    "StorageFailed",
    "Timeouts",
]

# What a request is made of, under the names that it has on the wire.
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
