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
`find`, `export`, `verify`, `transcript`, `cancel`, `delete`, `prune`, `watch`, `wait`, `clusters`,
`profiles`, `credentials`, `all_logins`, `keep_login`, `forget_login`, `host_keys`, `add_host_key`,
`forget_host_key`, `figures` and `reload`.
They return structs of `cucmd.protocol`. They raise `ClientError` (each error of the daemon has a
class of its own), `TimeoutError`, or `TypeError` for a wrong call, for example a single text where
a list is expected.

    main.py      finds the verb, runs it, and returns the exit code
    client/      `Client`: blocking, with a method for each method of the daemon
    cli/         the parts of the command line that all verbs share
    commands/    the verbs
    text/        turns jobs and nodes into text for people, one file for each subject
    export/      writes the files of a job into a tar, a zip or a folder
    sites/       reaches the daemons of other sites over SSH
    mask/        masks the files of an archive or a folder, with `cucmmask`
    upload/      encrypts a file and hands it over to a server

The names of this module are loaded on first use. The program `cucmctl` imports this package before
it can handle Ctrl-C, so this file loads no other module, not even `typing`. This package never
loads trio, asyncio or asyncssh.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # mypy takes this name as true
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
        NotAtHub,
        NotPermitted,
        ProfileNotFound,
        ProtocolError,
        Refused,
        ReloadFailed,
        ScanFailed,
        ShuttingDown,
        StorageFailed,
    )
    from cucmd.job.work_request import (
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
    "NotAtHub",
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

# The modules that define the names above, in the order in which they are searched.
_HOMES = ("cucmctl.client.errors", "cucmd.job.work_request", "cucmctl.client.client")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  not before Ctrl-C is handled

    homes = [import_module(home) for home in _HOMES]
    if name == "Client":
        homes[-1].add_signatures()
    return next(getattr(home, name) for home in homes if hasattr(home, name))


def __dir__() -> list[str]:
    return __all__
