"""Names in the DNS: all names of a node give one key; a DNS that hangs delays only its nodes."""

import socket
import threading
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from cucmd.config.model import Limits
from cucmd.node.resolver import THREADS, WITHIN, Resolver, locate

V4, V6 = ("10.10.1.9", 22), ("2001:db8::9", 22, 0, 0)


class Answer(trio.abc.HostnameResolver):
    """Answers with addresses or an error, or hangs if `answer` is None."""

    def __init__(self, answer) -> None:
        self.answer = answer

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        if self.answer is None:
            await trio.sleep_forever()
        if isinstance(self.answer, Exception):
            raise self.answer
        kinds = {2: socket.AF_INET, 4: socket.AF_INET6}
        return [(kinds[len(at)], socket.SOCK_STREAM, 6, "", at) for at in self.answer]

    async def getnameinfo(self, sockaddr, flags):
        raise AssertionError("nobody asks for the name of an address")


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ([V4], "10.10.1.9"),
        ([V6, V4], "10.10.1.9"),
        ([("10.10.1.10", 22), V4], "10.10.1.10"),
        ([V6], "2001:db8::9"),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "cucm-pub.example"),
        (UnicodeError("label too long"), "cucm-pub.example"),
        (RuntimeError("can't start new thread"), "cucm-pub.example"),
    ],
)
async def test_locates_name(answer, place) -> None:
    trio.socket.set_custom_hostname_resolver(Answer(answer))
    assert await locate("CUCM-Pub.example.", 22) == (place, 22)


@pytest.mark.parametrize(
    "host", ["10.10.1.9", "::ffff:10.10.1.9", "2001:db8::9", "2001:DB8:0:0::9"]
)
async def test_address_is_not_looked_up(host) -> None:
    trio.socket.set_custom_hostname_resolver(Answer(AssertionError("looked up")))
    assert await locate(host, 2022) in (("10.10.1.9", 2022), ("2001:db8::9", 2022))
    assert await locate("fe80::1%lo", 22) == ("fe80::1%lo", 22)


async def test_hanging_dns_costs_seconds(autojump_clock) -> None:
    trio.socket.set_custom_hostname_resolver(Answer(None))
    began = trio.current_time()
    assert await locate("cucm-pub", 22) == ("cucm-pub", 22)
    assert trio.current_time() - began == pytest.approx(WITHIN)


class Dns:
    """Answers at once, but for names that begin with `hung` only when `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def __call__(self, host: str, *_: object) -> list[str]:
        if host.startswith("hung"):
            self.answers.wait()
        return [host]


@pytest.fixture
def dns() -> Iterator[Dns]:
    dns = Dns()
    yield dns
    dns.answers.set()


async def test_hanging_lookups_delay_no_others(dns) -> None:
    resolver = Resolver(look_up=dns)
    async with trio.open_nursery() as nursery:
        for number in range(100):  # trio has 40 threads for everybody
            nursery.start_soon(resolver.getaddrinfo, f"hung-{number}", 22)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(5):
            assert await resolver.getaddrinfo("node", 22) == ["node"]
            assert await trio.to_thread.run_sync(lambda: "a thread") == "a thread"
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        assert await resolver.getaddrinfo("node", 22) == ["node"]


async def test_threads_are_limited_and_returned(dns) -> None:
    resolver = Resolver(threads=2, look_up=dns)
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(resolver.getaddrinfo, f"hung-{number}", 22)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with trio.move_on_after(0.05) as waited:  # for a thread; and that can be cancelled
        await resolver.getaddrinfo("node", 22)
    assert waited.cancelled_caught
    dns.answers.set()
    with trio.fail_after(5):
        assert await resolver.getaddrinfo("node", 22) == ["node"]


def test_default_limits_leave_threads() -> None:
    limits = Limits()
    assert 2 * limits.jobs * limits.concurrency < THREADS  # each locates a node, then connects


async def test_real_names_and_numbers() -> None:
    resolver = Resolver()
    trio.socket.set_custom_hostname_resolver(resolver)
    assert await locate("localhost", 22) == ("127.0.0.1", 22)
    name, port = await resolver.getnameinfo(("127.0.0.1", 22), socket.NI_NUMERICHOST)
    assert (name, port) == ("127.0.0.1", "ssh")
