"""Prevents that one wrong password locks an account on every node of a cluster.

A login is tried on at most two nodes of a cluster before it has worked on one of them. Where
account locking is on, three refused logins lock an account (vos/NODES.md, section 6.7).

Each cluster has accounts of its own, so a job tries its login on each of its clusters separately.
All nodes of a job whose cluster is not known count as one cluster, because they may belong to one.

The limit of two counts the logins that were refused, and the logins whose password was sent and
whose answer is still open. A node may count an attempt before it has judged the password. Therefore
a node that hangs after the password, or closes the connection without an answer, counts as a node
that has refused.

    state of the login                  what happens to a node that wants to use the login
    undecided                           waits for its turn
    undecided, and it is its turn       is contacted. The next node gets its turn when this node has
                                        failed, or after `NEXT_AFTER`, unless the password was sent
                                        twice already
    the password is to be sent          gets the password, as the first or second node. Any further
                                        node is postponed, and waits again (`Postponed`)
    has worked on one node              goes on, as do all nodes that wait
    has failed twice after the password  fails with `auth_failed`, and is not logged in to

So a node that is down, or that freezes before it asks for the password, delays the others only by
`NEXT_AFTER`. A node that waits has no deadline except that of its job, because the deadlines of a
node count from the moment at which it is contacted.

A named credential that has worked on a cluster is not limited there any more, until a node refuses
it. So if the password is changed on the nodes alone, the next job still sends the old password once
to each of its nodes; the job after that sends the password to two nodes. If the password is changed
in the credential too, the new password has not worked yet, and is limited.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from cucmd.failure import Code, NodeFailed, fail, failure
from cucmd.job.failure import Failure
from cucmd.node.ports import NodeTask, Postponed

# Seconds until the next node gets its turn. A healthy node asks for the password within one or two
# seconds.
NEXT_AFTER = 3.0

_MOST_NODES = 2
_HINT = "check the password before the account is locked; --try-all tries it on every node"


class WorkingLogins:
    """Notes which credentials have worked on which clusters since the daemon began.

    The passwords are kept in memory only.
    """

    def __init__(self) -> None:
        self._passwords: dict[tuple[str, str], str] = {}  # (credential, cluster) -> password

    def has(self, task: NodeTask) -> bool:
        """Says whether this password of the credential has worked on the cluster."""
        key = _credential_key(task)
        return key is not None and self._passwords.get(key) == task.login.password

    def add(self, task: NodeTask) -> None:
        if (key := _credential_key(task)) is not None:
            self._passwords[key] = task.login.password

    def remove(self, task: NodeTask) -> None:
        if (key := _credential_key(task)) is not None:
            self._passwords.pop(key, None)


def _credential_key(task: NodeTask) -> tuple[str, str] | None:
    if task.credential is None or task.cluster is None:
        return None
    return task.credential, task.cluster


class LoginTrials:
    """Decides when each node of one job may be contacted, and whether it gets the password.

    With `try_all` no node has to wait.
    """

    def __init__(
        self, tasks: Sequence[NodeTask | None], working: WorkingLogins, *, try_all: bool
    ) -> None:
        self._working = working
        self._trials: dict[tuple[str | None, str, str], _LoginTrial] = {}
        for task in tasks:
            if task is not None:
                trial = self._trials.setdefault(_login_key(task), _LoginTrial())
                trial.has_worked = trial.has_worked or try_all or working.has(task)

    async def wait_for_turn(self, task: NodeTask) -> Failure | None:
        """Returns None when the node may be contacted, or its failure if it must not be contacted.

        After None the caller calls `permit_password` before it sends the password, `note_accepted`
        if the node accepts the login, and `note_end` in any case.
        """
        trial = self._trials[_login_key(task)]
        if not trial.is_decided:
            await trial.wait_for_turn(task.node)
        if trial.has_worked or task.node in trial.contacted:
            return None
        return trial.failure_of_untried(task)

    def permit_password(self, task: NodeTask) -> None:
        """Returns if the password may be sent to the node now.

        Raises `Postponed` if the node has to wait again, and `NodeFailed` if the login must not be
        tried any more.
        """
        trial = self._trials[_login_key(task)]
        if trial.has_worked:
            return
        if len(trial.sent) < _MOST_NODES:
            trial.sent.append(task.node)
        elif not trial.is_decided_without(task.node):
            # The answers of other nodes are still open. If one of them accepts the login, this node
            # gets the password when it is contacted again.
            raise Postponed
        elif task.node in trial.sent:  # in an attempt before this one
            lost = "the connection was lost after the password was sent, which is not sent again"
            raise fail(Code.CONNECTION_LOST, lost, hint=_HINT)
        else:
            trial.not_sent.add(task.node)
            raise NodeFailed(trial.failure_of_untried(task))

    def note_accepted(self, task: NodeTask) -> None:
        """Notes that the node has accepted the login, so no node has to wait any more."""
        self._working.add(task)
        trial = self._trials[_login_key(task)]
        trial.has_worked = True
        trial.give_turns()

    def is_refusal(self, task: NodeTask, failed: Failure) -> bool:
        """Says whether the node itself has refused the login, before `note_end` is called."""
        trial = self._trials[_login_key(task)]
        return failed.code == Code.AUTH_FAILED and task.node not in trial.not_sent

    def note_end(self, task: NodeTask, failed: Failure | None) -> None:
        """Notes that the work on the node has ended. `failed` is why it failed, if it did."""
        trial = self._trials[_login_key(task)]
        if failed is not None and self.is_refusal(task, failed):
            self._working.remove(task)
            trial.note_refusal(task.node)
        trial.contacted.pop(task.node, None)
        trial.give_turns()

    def nodes_waited_for(self, task: NodeTask) -> tuple[str, ...]:
        """Returns the nodes on which the login is being tried, if this node waits for its turn."""
        trial = self._trials[_login_key(task)]
        return tuple(trial.contacted) if trial.is_waiting(task.node) else ()

    def give_turns(self) -> None:
        """Gives the next nodes their turn, if `NEXT_AFTER` has passed. Called again and again."""
        for trial in self._trials.values():
            trial.give_turns()


class _LoginTrial:
    """Holds the tries of one login on one cluster.

    has_worked  the login has worked, or is not limited
    contacted   nodes that were contacted and have not ended, in this order
    sent        nodes to which the password was sent. A node to which it was sent in two attempts is
                in the list twice.
    not_sent    nodes that asked for the password after two tries had failed
    """

    def __init__(self) -> None:
        self.has_worked = False
        self.contacted: dict[str, None] = {}
        self.sent: list[str] = []
        self.not_sent: set[str] = set()
        self._refused: list[str] = []
        self._turns: dict[str, trio.Event] = {}  # of the nodes that wait, in their order
        self._last = ""  # the node that was given its turn last
        self._last_at = 0.0

    @property
    def is_decided(self) -> bool:
        """Says whether no node has to wait: the login has worked, or must not be tried again."""
        return self.has_worked or self.is_decided_without("")

    def is_decided_without(self, node: str) -> bool:
        """Says whether the login must not be tried again, whatever the attempt on `node` gives."""
        others = self.contacted.keys() - {node}
        return len(self.sent) >= _MOST_NODES and not others.intersection(self.sent)

    def note_refusal(self, node: str) -> None:
        self._refused.append(node)
        if node not in self.sent:  # the node refused before the password was sent
            self.sent.append(node)

    def is_waiting(self, node: str) -> bool:
        return node in self._turns

    async def wait_for_turn(self, node: str) -> None:
        """Returns when it is the node's turn, or when no node has to wait any more."""
        turn = self._turns[node] = trio.Event()
        try:
            self.give_turns()
            await turn.wait()
        except trio.Cancelled:
            # The node may have got its turn in the same moment. It will not be contacted, so
            # nothing else would end its turn, and the next node would wait for `NEXT_AFTER`.
            self.contacted.pop(node, None)
            raise
        finally:
            self._turns.pop(node, None)
            self.give_turns()

    def give_turns(self) -> None:
        """Gives the node that has waited longest its turn, if the turn of the last node is over.

        If no node has to wait any more, lets all waiting nodes go on.
        """
        if self.is_decided:
            turns, self._turns = self._turns, {}
            for turn in turns.values():
                turn.set()
        elif self._turns and len(self.sent) < _MOST_NODES:
            now = trio.current_time()
            if self._last not in self.contacted or now >= self._last_at + NEXT_AFTER:
                self._last, self._last_at = next(iter(self._turns)), now
                self.contacted[self._last] = None
                self._turns.pop(self._last).set()

    def failure_of_untried(self, task: NodeTask) -> Failure:
        """Returns the failure of a node to which the password is not sent. It names the nodes that
        have refused the login or did not answer.
        """
        silent = [node for node in dict.fromkeys(self.sent) if node not in self._refused]
        reasons = [
            f"{' and '.join(nodes)} {what} the login of {task.login.username!r}"
            for nodes, what in ((self._refused, "refused"), (silent, "did not answer"))
            if nodes
        ]
        return failure(Code.AUTH_FAILED, f"not tried: {', '.join(reasons)}", hint=_HINT)


def _login_key(task: NodeTask) -> tuple[str | None, str, str]:
    return task.cluster, task.login.username, task.login.password
