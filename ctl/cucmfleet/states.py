"""Writes the states of a site into the bucket KV_state, each after the older ones of its key.

A state waits here until NATS has it. If a newer state of the same key comes meanwhile, only the
newer one is sent, so a long cut costs no more memory than the jobs themselves.

The server accepts a state only if the last one of its key is the one that this agent knows. So a
state that was delayed, or that comes from another agent with the same name, never replaces a newer
one. If the numbers of the stream begin anew, the stream was lost, and `on_lost` is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
import trio

from cucmfleet.jetstream import WRONG_SEQUENCE, JetStream, NoAnswer, Refused
from cucmfleet.messages import (
    STATES,
    NodeState,
    PartState,
    SiteState,
    decode_state,
    state_subject,
)

_log = logging.getLogger("cucmfleet")

State: TypeAlias = PartState | NodeState | SiteState
# Seconds until a state is sent again.
_PAUSE = 0.5
# States that are on their way at a time.
_MOST = 16
# Subjects whose last number is kept in memory.
_MOST_KNOWN = 10_000


class States:
    """Sends states: see the beginning of this file."""

    def __init__(self, jetstream: JetStream, on_lost: Callable[[], None]) -> None:
        self._jetstream = jetstream
        self._on_lost = on_lost
        self._waiting: dict[str, State] = {}
        self._known: dict[str, int] = {}  # subject -> the number of its last message
        self._revisions: dict[str, int] = {}  # subject -> that of the last state that was put
        self._highest = 0
        self._any = trio.Event()

    def put(self, state: State) -> None:
        """Sends a state, unless a newer one of the same subject was put before."""
        subject = state_subject(state)
        if not isinstance(state, SiteState):
            if state.revision < self._revisions.get(subject, 0):
                return
            self._revisions[subject] = state.revision
        self._waiting[subject] = state
        self._any.set()

    async def run(self) -> None:
        """Sends what is put. Never returns."""
        while True:
            while not self._waiting:
                await self._any.wait()
                self._any = trio.Event()
            waiting, self._waiting = self._waiting, {}
            # A job is sent after its nodes, so that nobody sees an ended job with a running node.
            parts = {name: state for name, state in waiting.items() if isinstance(state, PartState)}
            others = {name: state for name, state in waiting.items() if name not in parts}
            failed = [*await self._send_all(others), *await self._send_all(parts)]
            for name in failed:
                self._waiting.setdefault(name, waiting[name])
            if failed:
                await trio.sleep(_PAUSE)
            if len(self._known) > _MOST_KNOWN:  # the numbers are asked for again if need be
                self._known.clear()
                self._revisions.clear()

    async def _send_all(self, states: Mapping[str, State]) -> list[str]:
        """Sends states, and returns the subjects of those that could not be sent."""
        failed: list[str] = []
        limiter = trio.CapacityLimiter(_MOST)

        async def send(subject: str, state: State) -> None:
            async with limiter:
                try:
                    await self._send(subject, state)
                except NoAnswer:
                    self._known.pop(subject, None)  # it may have come all the same
                    failed.append(subject)
                except Refused as error:
                    _log.error("a state cannot be written: %s", error)
                    failed.append(subject)

        async with trio.open_nursery() as nursery:
            for subject, state in states.items():
                nursery.start_soon(send, subject, state)
        return failed

    async def _send(self, subject: str, state: State) -> None:
        data = msgspec.json.encode(state)
        for _ in range(3):
            after = self._known.get(subject, 0)
            try:
                number = await self._jetstream.publish(subject, data, after=after)
            except Refused as error:
                if error.code != WRONG_SEQUENCE:
                    raise
                last = await self._jetstream.last(STATES, subject)
                self._known[subject] = 0 if last is None else last.sequence
                there = None if last is None else decode_state(subject, last.data)
                if _is_newer(there, state):
                    return
                continue
            self._known[subject] = number
            if number < self._highest:
                _log.warning("the hub has lost the states of this site; they are sent again")
                self._known, self._highest = {subject: number}, number
                self._on_lost()
            self._highest = max(self._highest, number)
            return
        raise NoAnswer("another agent writes the same states")


def _is_newer(there: State | None, state: State) -> bool:
    if isinstance(there, SiteState) or isinstance(state, SiteState) or there is None:
        return False
    return there.revision > state.revision
