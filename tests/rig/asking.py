"""Plans requests as the methods of the socket do, and makes the arguments of clients."""

from collections.abc import Sequence

from cucmd.job.job import Job
from cucmd.job.work import StartRequest
from cucmd.job.work_request import Collection, How, Packets, Tail
from cucmd.plan.planner import Planned, Planner
from cucmd.plan.resolve import errors_below
from cucmd.protocol.jobs import RetryRequest
from cucmd.store import StoredDiscovery


def plan(planner: Planner, request: StartRequest, found: Sequence[StoredDiscovery] = ()) -> Planned:
    member, work = request.work()
    with errors_below(member, work):
        return planner.plan(request.nodes, request.login, work, request, found)


def plan_retry(planner: Planner, job: Job, request: RetryRequest) -> Planned:
    return planner.plan_retry(
        job, names=request.nodes, login=request.login, try_all=bool(request.try_all)
    )


def with_how(fields: dict[str, object]) -> dict[str, object]:
    """Returns the arguments for a method of `Client`: those that `How` has go into a `How`."""
    how = {name: value for name, value in fields.items() if name in How.__struct_fields__}
    others = {name: value for name, value in fields.items() if name not in how}
    return {**others, "how": How(**how)} if how else others


# The methods of a client that start one kind of work, with arguments, and the member of `Start`
# that each of these calls sends.
SHORT_FORMS = [
    ("collect", [["a"], Collection(paths=("x",))], ("collection", {"paths": ["x"]})),
    ("run", [["a"], ["show status"]], ("commands", {"lines": ["show status"]})),
    ("check", [["a"]], ("check", {})),
    ("health", [["a"]], ("health", {})),
    ("capture", [["a"]], ("capture", {})),
    ("capture", [["a"], Packets(port=5060)], ("capture", {"port": 5060})),
    ("follow", [["a"], Tail("syslog/messages")], ("follow", {"path": "syslog/messages"})),
    ("discover", ["a"], ("discovery", {})),
]
