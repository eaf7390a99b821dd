"""One wrong password must not lock the account on every node of a cluster.

The one rule: before a login has worked on one node of the job, it is tried on one node at a time;
and after it was refused by two, on none. Where account locking is on, three refused logins lock an
account (vos/NODES.md, section 6.7), and an attempt of ours costs one.

    state of a login        a node that wants it
    untried                 tries it alone; the others wait
    one refusal             the next one tries alone
    worked                  goes on, as do all that wait
    refused by two          fails as `auth_failed`, without a login

A node that fails for another reason passes the turn to the next. The nodes that wait have no
deadline but their job's: none of the node's clocks runs before it is contacted.

A node that is down or frozen must not hold up the others for its timeouts. So before one gets the
turn it is looked whether its SSH server speaks, of all of them at once, and those that do come
first. The others get it when nobody else wants it any more. All this ends as soon as the login is
decided; a node that is the only one with its login is not looked at.

A named credential that has worked on a cluster is not held back there again, until it is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

import trio

from cucmd.failure import Code, Failure, failure
from cucmd.node.ports import NodeTask

# Whether the SSH server at (host, port) speaks. It may never return.
Speaks: TypeAlias = Callable[[str, int], Awaitable[bool]]

# Whether a node is there.
Look: TypeAlias = Callable[[], Awaitable[bool]]

_MOST_REFUSALS = 2
_HINT = "check the password before the account is locked; --try-all tries it on every node"


class Trusted:
    """Which logins have worked on which clusters, since the daemon began. In memory only."""

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
    """Of one job. `speaks`: None: of no node is it looked at. `try_all`: nothing is held back."""

    def __init__(
        self,
        tasks: Sequence[NodeTask | None],
        trusted: Trusted,
        speaks: Speaks | None = None,
        *,
        try_all: bool,
    ) -> None:
        self._trusted = trusted
        self._speaks = speaks
        self._nodes = Counter(_key(task) for task in tasks if task is not None)
        self._logins: dict[tuple[str, str], _Login] = {}
        for task in tasks:
            if task is not None:
                login = self._logins.setdefault(_key(task), _Login())
                login.worked = login.worked or try_all or trusted.has(task)

    async def wait(self, task: NodeTask) -> Failure | None:
        """Returns when the node may be contacted; a failure if it must not be.

        After None the caller calls `ended` in any case, and `worked` before if the login did.
        """
        login = self._logins[_key(task)]
        if not login.decided:
            await login.wait_for_turn(task.node, self._look(task))
        if login.worked or login.trying == task.node:
            return None
        return _not_tried(task, login.refused_by)

    def _look(self, task: NodeTask) -> Look | None:
        if self._speaks is None or self._nodes[_key(task)] == 1:
            return None
        return partial(_within, task.timeouts.connect, self._speaks, task.host, task.port)

    def worked(self, task: NodeTask) -> None:
        """The node has accepted the login."""
        self._trusted.add(task)
        login = self._logins[_key(task)]
        if not login.worked:
            login.worked = True
            login.pass_turn()

    def ended(self, task: NodeTask, ending: Failure | None) -> None:
        """The work on the node has ended. `ending`: why it failed; None: otherwise."""
        login = self._logins[_key(task)]
        refused = ending is not None and ending.code is Code.AUTH_FAILED
        if refused:
            self._trusted.remove(task)
        if login.trying == task.node:
            if refused:
                login.refused_by.append(task.node)
            login.pass_turn()


class _Login:
    def __init__(self) -> None:
        self.worked = False
        self.trying: str | None = None  # the node that tries it alone
        self.refused_by: list[str] = []
        self._turns: dict[str, trio.Event] = {}  # of the nodes that wait
        # Of these, in the order in which it became known whether they are there.
        self._there: list[str] = []
        self._silent: list[str] = []

    @property
    def decided(self) -> bool:
        """No node has to wait: it has worked, or is not to be tried any more."""
        return self.worked or len(self.refused_by) >= _MOST_REFUSALS

    async def wait_for_turn(self, node: str, look: Look | None) -> None:
        """Returns when it is the turn of the node, or none is needed any more. `look`: None: it is
        taken to be there.
        """
        turn = self._turns[node] = trio.Event()
        came = False
        try:
            async with trio.open_nursery() as nursery:
                if look is None:
                    self._queue(node, there=True)
                else:
                    nursery.start_soon(self._queue_after, look, node)
                await turn.wait()
                came = True
                nursery.cancel_scope.cancel()
        finally:
            del self._turns[node]
            for queue in (self._there, self._silent):
                if node in queue:
                    queue.remove(node)
            if self.trying is None or (self.trying == node and not came):
                self.pass_turn()

    async def _queue_after(self, look: Look, node: str) -> None:
        self._queue(node, there=await look())

    def _queue(self, node: str, *, there: bool) -> None:
        (self._there if there else self._silent).append(node)
        if self.trying is None:
            self.pass_turn()

    def pass_turn(self) -> None:
        """To the node that has waited longest; to all, if none is needed any more."""
        self.trying = None
        if self.decided:
            for turn in self._turns.values():
                turn.set()
            return
        # One that may still speak comes before those that do not.
        all_known = len(self._there) + len(self._silent) == len(self._turns)
        queue = self._there or (self._silent if all_known else [])
        if queue:
            self.trying = queue.pop(0)
            self._turns[self.trying].set()


async def _within(seconds: float, speaks: Speaks, host: str, port: int) -> bool:
    with trio.move_on_after(seconds):
        return await speaks(host, port)
    return False


def _key(task: NodeTask) -> tuple[str, str]:
    return task.login.username, task.login.password


def _not_tried(task: NodeTask, refused_by: Sequence[str]) -> Failure:
    who = " and ".join(refused_by)
    message = f"not tried: {who} refused the login of {task.login.username!r}"
    return failure(Code.AUTH_FAILED, message, hint=_HINT)
