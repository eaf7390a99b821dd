"""One wrong password must not lock the account on every node of a cluster.

Each cluster has its own accounts, so a job tries a login on each of its clusters anew. What one
cluster answers decides nothing about another one. All nodes of a job whose cluster is not known
count as one cluster, because they may well be one.

The logins of a job on one cluster that were refused, and those whose password was sent and that are
not judged, are two together at most, but for a credential that has worked before (at the end).
Where account locking is on, three refused logins lock an account (vos/NODES.md, section 6.7). A
node may count an attempt before it has judged it, so one that hangs after the password, or ends
without an answer, counts as one that was refused.

    a node that wants the login         what becomes of it
    the login is undecided              waits for its turn to be asked
    asked                               it is contacted. The next one is asked once it has failed,
                                        or after `NEXT_AFTER`, unless the password was sent twice
    the password is to be sent to it    it is sent, as the first or the second; else the node is
                                        postponed, and waits again (`Postponed`)
    the login has worked on one         goes on, as do all that wait
    two have failed after the password  fails as `auth_failed`, without a login

So a node that is down or frozen before its password was sent holds the others up for `NEXT_AFTER`
only. Nodes that wait have no deadline but their job's: none of the node's clocks runs before it is
contacted.

A named credential that has worked on a cluster is not held back there again, until it is refused.
So where the password was changed on the nodes alone, the next job sends the old one to each of its
nodes, once, and the job after that to two. One that was changed in the credential, too, has not
worked yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from cucmd.failure import Code, NodeFailed, fail, failure
from cucmd.job.failure import Failure
from cucmd.node.ports import NodeTask, Postponed

# Seconds. A node that is well asks for the password within one or two.
NEXT_AFTER = 3.0

_MOST = 2
_HINT = "check the password before the account is locked; --try-all tries it on every node"


class Trusted:
    """Notes which logins have worked on which clusters, since the daemon began. In memory only."""

    def __init__(self) -> None:
        self._worked: dict[tuple[str, str], str] = {}  # (credential, cluster) -> password

    def has(self, task: NodeTask) -> bool:
        return (name := _name(task)) is not None and self._worked.get(name) == task.login.password

    def add(self, task: NodeTask) -> None:
        if (name := _name(task)) is not None:
            self._worked[name] = task.login.password

    def remove(self, task: NodeTask) -> None:
        if (name := _name(task)) is not None:
            self._worked.pop(name, None)


def _name(task: NodeTask) -> tuple[str, str] | None:
    if task.credential is None or task.cluster is None:
        return None
    return task.credential, task.cluster


class HoldBack:
    """Decides when a node of one job may be contacted. `try_all`: nothing is held back."""

    def __init__(
        self, tasks: Sequence[NodeTask | None], trusted: Trusted, *, try_all: bool
    ) -> None:
        self._trusted = trusted
        self._logins: dict[tuple[str | None, str, str], _LoginTries] = {}
        for task in tasks:
            if task is not None:
                login = self._logins.setdefault(_key(task), _LoginTries())
                login.worked = login.worked or try_all or trusted.has(task)

    async def wait(self, task: NodeTask) -> Failure | None:
        """Returns when the node may be contacted; a failure if it must not be.

        After None the caller calls `ended` in any case, and meanwhile `password` and `worked`.
        """
        login = self._logins[_key(task)]
        if not login.decided:
            await login.wait_for_turn(task.node)
        return None if login.worked or task.node in login.asked else login.not_tried(task)

    def password(self, task: NodeTask) -> None:
        """Lets the password be sent to the node now, or raises `NodeFailed` or `Postponed`."""
        login = self._logins[_key(task)]
        if login.worked:
            return
        if len(login.sent) < _MOST:
            login.sent.append(task.node)
        elif not login.decided_without(task.node):
            raise Postponed
        elif task.node in login.sent:  # in an attempt before this one
            lost = "the connection was lost after the password was sent, which is not sent again"
            raise fail(Code.CONNECTION_LOST, lost, hint=_HINT)
        else:
            login.not_sent.add(task.node)
            raise NodeFailed(login.not_tried(task))

    def worked(self, task: NodeTask) -> None:
        """The node has accepted the login."""
        self._trusted.add(task)
        login = self._logins[_key(task)]
        login.worked = True
        login.ask()

    def ended(self, task: NodeTask, ending: Failure | None) -> None:
        """The work on the node has ended. `ending`: why it failed; None: otherwise."""
        login = self._logins[_key(task)]
        refused = ending is not None and ending.code == Code.AUTH_FAILED
        if refused and task.node not in login.not_sent:
            self._trusted.remove(task)
            login.refused(task.node)
        login.asked.pop(task.node, None)
        login.ask()

    def waits_for(self, task: NodeTask) -> tuple[str, ...]:
        """Names the nodes on which the login is being tried, while this one waits for that."""
        login = self._logins[_key(task)]
        return tuple(login.asked) if login.is_waiting(task.node) else ()

    def look(self) -> None:
        """Asks the next nodes if it is time to; to be called now and then."""
        for login in self._logins.values():
            login.ask()


class _LoginTries:
    """Holds the tries of one login on one cluster.

    asked: nodes that were contacted and have not ended, in that order.
    sent: those to which the password was sent. A node stands there twice if it was sent to it in
        two attempts.
    not_sent: those that came so far after two had failed.
    """

    def __init__(self) -> None:
        self.worked = False
        self.asked: dict[str, None] = {}
        self.sent: list[str] = []
        self.not_sent: set[str] = set()
        self._refused: list[str] = []
        self._turns: dict[str, trio.Event] = {}  # of the nodes that wait, in their order
        self._last = ""  # the node that was asked last
        self._last_at = 0.0

    @property
    def decided(self) -> bool:
        """No node has to wait: it has worked, or is not to be tried any more."""
        return self.worked or self.decided_without("")

    def decided_without(self, node: str) -> bool:
        """Says whether it must not be tried any more, whatever becomes of the attempt on `node`."""
        return len(self.sent) >= _MOST and not (self.asked.keys() - {node}).intersection(self.sent)

    def refused(self, node: str) -> None:
        self._refused.append(node)
        if node not in self.sent:  # it could not even be sent
            self.sent.append(node)

    def is_waiting(self, node: str) -> bool:
        return node in self._turns

    async def wait_for_turn(self, node: str) -> None:
        """Returns when the node is asked, or none has to wait any more."""
        turn = self._turns[node] = trio.Event()
        try:
            self.ask()
            await turn.wait()
        except trio.Cancelled:
            self.asked.pop(node, None)
            raise
        finally:
            self._turns.pop(node, None)
            self.ask()

    def ask(self) -> None:
        """Asks the node that has waited longest, if it is time to; all, if none has to wait."""
        if self.decided:
            turns, self._turns = self._turns, {}
            for turn in turns.values():
                turn.set()
        elif self._turns and len(self.sent) < _MOST:
            now = trio.current_time()
            if self._last not in self.asked or now >= self._last_at + NEXT_AFTER:
                self._last, self._last_at = next(iter(self._turns)), now
                self.asked[self._last] = None
                self._turns.pop(self._last).set()

    def not_tried(self, task: NodeTask) -> Failure:
        silent = [node for node in dict.fromkeys(self.sent) if node not in self._refused]
        said = [
            f"{' and '.join(nodes)} {what} the login of {task.login.username!r}"
            for nodes, what in ((self._refused, "refused"), (silent, "did not answer"))
            if nodes
        ]
        return failure(Code.AUTH_FAILED, f"not tried: {', '.join(said)}", hint=_HINT)


def _key(task: NodeTask) -> tuple[str | None, str, str]:
    return task.cluster, task.login.username, task.login.password
