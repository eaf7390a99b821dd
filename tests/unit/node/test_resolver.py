"""Names in the DNS: all names of a node are one, and a DNS that hangs delays no other node."""

import socket
import threading

import pytest
import trio
import trio.testing

from cucmd.node.resolver import WITHIN, Resolver, locate

V4, V6 = ("10.10.1.9", 22), ("2001:db8::9", 22, 0, 0)


class Book(trio.abc.HostnameResolver):
    """Answers with what it was given: addresses, an error, or nothing, ever."""

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
async def test_a_name_stands_for_its_address(answer, place) -> None:
    trio.socket.set_custom_hostname_resolver(Book(answer))
    assert await locate("CUCM-Pub.example.", 22) == (place, 22)


@pytest.mark.parametrize("host", ["10.10.1.9", "2001:db8::9", "2001:DB8:0:0::9"])
async def test_an_address_is_not_looked_up(host) -> None:
    trio.socket.set_custom_hostname_resolver(Book(AssertionError("looked up")))
    assert await locate(host, 2022) in (("10.10.1.9", 2022), ("2001:db8::9", 2022))
    assert await locate("fe80::1%lo", 22) == ("fe80::1%lo", 22)


async def test_a_dns_that_hangs_costs_the_name_a_few_seconds(autojump_clock) -> None:
    trio.socket.set_custom_hostname_resolver(Book(None))
    began = trio.current_time()
    assert await locate("cucm-pub", 22) == ("cucm-pub", 22)
    assert trio.current_time() - began == pytest.approx(WITHIN)


async def test_lookups_that_hang_take_no_thread_of_others(monkeypatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.wait() and [])
    resolver = Resolver(at_once=50)
    try:
        async with trio.open_nursery() as nursery:
            for number in range(50):  # trio has 40 threads for everybody
                nursery.start_soon(resolver.getaddrinfo, f"node-{number}", 22)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            assert await trio.to_thread.run_sync(lambda: "a thread") == "a thread"
        with trio.move_on_after(0.05) as waited:  # the 51st waits, and can be cancelled
            await resolver.getaddrinfo("node-51", 22)
        assert waited.cancelled_caught
    finally:
        answered.set()


class Dns:
    """Counts what it is asked, and answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self.answer: object = ["an address"]

    def __call__(self, *_: object) -> object:
        self.asked += 1
        self.answers.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def dns(monkeypatch) -> Dns:
    dns = Dns()
    monkeypatch.setattr(socket, "getaddrinfo", dns)
    yield dns
    dns.answers.set()


async def test_whoever_asks_the_same_shares_one_lookup(dns) -> None:
    resolver, heard = Resolver(), []

    async def ask() -> None:
        heard.append(await resolver.getaddrinfo("cucm-pub", 22))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
        with trio.move_on_after(0.05):
            await resolver.getaddrinfo("cucm-pub", 22)  # gone, and nobody misses it
        dns.answers.set()
    assert (heard, dns.asked) == ([["an address"]] * 5, 1)
    await resolver.getaddrinfo("cucm-pub", 22)
    assert dns.asked == 2, "an answer is not kept"


async def test_an_error_is_for_all_who_asked(dns) -> None:
    resolver = Resolver()
    dns.answer = socket.gaierror(socket.EAI_NONAME, "unknown")
    dns.answers.set()
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="unknown"):
            await resolver.getaddrinfo("cucm-pub", 22)


async def test_a_machine_without_threads_is_an_error_and_keeps_no_place(monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    resolver = Resolver(at_once=1)
    with monkeypatch.context() as patched:
        patched.setattr(trio.lowlevel, "start_thread_soon", refuse)
        for _ in range(2):  # the second would wait for the place of the first
            with trio.fail_after(5), pytest.raises(RuntimeError, match="new thread"):
                await resolver.getaddrinfo("cucm-pub", 22)


async def test_who_waits_for_a_place_and_goes_takes_no_other_along(dns) -> None:
    resolver = Resolver(at_once=1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(resolver.getaddrinfo, "busy", 22)
        await trio.testing.wait_all_tasks_blocked()
        first = trio.CancelScope()

        async def ask_and_go() -> None:
            with first:
                await resolver.getaddrinfo("cucm-pub", 22)

        nursery.start_soon(ask_and_go)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(resolver.getaddrinfo, "cucm-pub", 22)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
        dns.answers.set()
    assert dns.asked == 2


async def test_real_names_and_numbers() -> None:
    resolver = Resolver()
    trio.socket.set_custom_hostname_resolver(resolver)
    assert await locate("localhost", 22) == ("127.0.0.1", 22)
    name, port = await resolver.getnameinfo(("127.0.0.1", 22), socket.NI_NUMERICHOST)
    assert (name, port) == ("127.0.0.1", "ssh")
