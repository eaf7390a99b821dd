"""Declares a Varlink interface with every kind of method, for tests of the server."""

from collections.abc import AsyncGenerator

import msgspec
import trio

from cucmd.varlink import Caller, Interface, Method, ServiceInfo, StreamReply, VarlinkError

NAME = "io.example.Test"
TEXT = f"""\
# A test.
interface {NAME}

type Inner (ratio: ?float, password: ?string)

method Echo(
  text: string, numbers: []int, inner: ?Inner, secret: ?Inner, labels: ?[string]string
) -> (text: string)
method Who() -> (uid: int, gid: int, groups: []int, pid: int)
method Wait() -> ()
method Change() -> ()
method Refuse(text: string) -> ()
method Fail(text: string) -> ()
method Count(upto: ?int) -> (number: int)
method Falter(text: string) -> (number: int)

error Invalid (parameter: string, reason: string)
error TooMany (limit: string, maximum: int)
error NotThere (what: string)
error InternalError ()
"""
INFO = ServiceInfo(vendor="Example", product="Test", version="1", url="https://example.com")


class Nothing(msgspec.Struct):
    pass


class Inner(msgspec.Struct):
    ratio: float | None = None
    password: str | None = None


class Echo(msgspec.Struct):
    text: str
    numbers: tuple[int, ...] = ()
    inner: Inner | None = None
    secret: Inner | None = None
    labels: dict[str, str] | None = None


class Text(msgspec.Struct):
    text: str


class Count(msgspec.Struct):
    upto: int | None = None


class Number(msgspec.Struct):
    number: int


class Who(msgspec.Struct):
    uid: int
    gid: int
    groups: tuple[int, ...]
    pid: int


class Invalid(msgspec.Struct):
    parameter: str
    reason: str


class TooMany(msgspec.Struct):
    limit: str
    maximum: int


class NotThere(msgspec.Struct):
    what: str


class InternalError(msgspec.Struct):
    pass


def error(parameters: msgspec.Struct) -> VarlinkError:
    return VarlinkError(f"{NAME}.{type(parameters).__name__}", parameters)


def too_many(limit: str, maximum: int) -> VarlinkError:
    return error(TooMany(limit, maximum))


class Example:
    """Implements the interface, and notes finished calls in `done`.

    `wait`, `change` and an endless `count` wait until the test opens `gate`.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self._noted = trio.Event()
        self.gate = trio.Event()
        self.begun = trio.Event()  # set when a call begins to wait for `gate`
        self.ended = trio.Event()  # set when that call has ended in any way

    async def until_done(self, count: int) -> None:
        while len(self.done) < count:
            await self._noted.wait()

    def _note(self, what: str) -> None:
        self.done.append(what)
        self._noted.set()
        self._noted = trio.Event()

    async def echo(self, _caller: Caller, request: Echo) -> Text:
        self._note(f"echo {request.text}")
        return Text(request.text)

    async def who(self, caller: Caller, _request: Nothing) -> Who:
        return Who(caller.uid, caller.gid, tuple(sorted(caller.groups)), caller.pid)

    async def wait(self, _caller: Caller, _request: Nothing) -> Nothing:
        await self._gated("wait")
        return Nothing()

    async def change(self, _caller: Caller, _request: Nothing) -> Nothing:
        await self._gated("change")
        return Nothing()

    async def refuse(self, _caller: Caller, request: Text) -> Nothing:
        raise error(NotThere(request.text))

    async def fail(self, _caller: Caller, request: Text) -> Nothing:
        raise ValueError(request.text)

    async def count(self, _caller: Caller, request: Count) -> AsyncGenerator[StreamReply, None]:
        """Counts up to `upto`. Without it, sends 0, waits for the gate, and counts on for ever."""
        if request.upto is not None:
            for number in range(1, request.upto + 1):
                yield StreamReply(Number(number), continues=number < request.upto)
            return
        yield StreamReply(Number(0))
        await self._gated("count")
        number = 0
        while True:
            number += 1
            self._note(f"counted {number}")
            yield StreamReply(Number(number))

    async def falter(self, _caller: Caller, request: Text) -> AsyncGenerator[StreamReply, None]:
        """Yields 1, then fails, or returns without a last reply, or refuses, as `text` says."""
        yield StreamReply(Number(1))
        if request.text == "fail":
            raise ValueError
        if request.text != "return":
            raise error(NotThere("more"))

    async def _gated(self, name: str) -> None:
        self.begun.set()
        try:
            await self.gate.wait()
        except trio.Cancelled:
            self._note(f"{name} cancelled")
            raise
        else:
            self._note(name)
        finally:
            self.ended.set()

    def interface(self, **changes: object) -> Interface:
        methods = (
            Method("Echo", Echo, Text, self.echo),
            Method("Who", Nothing, Who, self.who),
            Method("Wait", Nothing, Nothing, self.wait),
            Method("Change", Nothing, Nothing, self.change, effect=True),
            Method("Refuse", Text, Nothing, self.refuse),
            Method("Fail", Text, Nothing, self.fail),
            Method("Count", Count, Number, self.count, streaming=True),
            Method("Falter", Text, Number, self.falter, streaming=True),
        )
        parts = {
            "name": NAME,
            "description": TEXT,
            "methods": methods,
            "invalid": lambda parameter, reason: error(Invalid(parameter, reason)),
            "too_many": too_many,
            "secrets": frozenset({"secret"}),
        }
        return Interface(**{**parts, **changes})
