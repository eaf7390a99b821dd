"""Keys of sites, over TLS. No daemon runs at the sites."""

import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from cucmctl import InvalidRequest
from cucmfleet.jetstream import JetStream, Last, NoAnswer, connected
from cucmfleet.messages import AGENT, SITE_API, commands_of, states_of
from rig.fleet import CURRENT, DEBIANS, Fleet, ended, run
from rig.quiet import wait_until

pytestmark = pytest.mark.exhaustive


@pytest.fixture(params=[CURRENT, DEBIANS], ids=["current", "debian"])
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    if not Path(request.param).exists():
        pytest.skip("no such nats-server here")
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack, request.param, tls=True)
        fleet.add_site("berlin")
        fleet.add_site("munich")
        fleet.start_nats()
        fleet.start_hub()
        yield fleet


def test_removed_site_is_cut_off(fleet: Fleet) -> None:
    fleet.start_agent("berlin")
    fleet.start_agent("munich")
    wait_until(lambda: fleet.log("hub").count("is heard") == 2)
    before = fleet.log("berlin").count("connected to NATS")
    assert fleet.run("site", "remove", "berlin", "--config", str(fleet.config)).returncode == 0
    wait_until(lambda: "the connection to NATS is broken" in fleet.log("berlin"))
    wait_until(lambda: fleet.log("nats").count("authentication error") > 2)
    assert fleet.log("berlin").count("connected to NATS") == before
    assert "cucmhub site add" in fleet.log("berlin")
    assert "the connection to NATS is broken" not in fleet.log("munich")
    with fleet.client() as client:
        wait_until(lambda: refuses(client, "berlin/a"))
        assert not refuses(client, "munich/a")


def test_good_start_and_stop_are_quiet(fleet: Fleet) -> None:
    fleet.start_agent("berlin")
    wait_until(lambda: "site berlin is heard" in fleet.log("hub"))
    fleet.processes["berlin"].stop()
    assert "WARNING" not in fleet.log("berlin")
    assert "NATS is not reached" not in fleet.log("berlin")


def test_removed_site_ends_its_jobs(fleet: Fleet) -> None:
    with fleet.client() as client:
        job = run(client, "berlin/a")
        wait_until(lambda: fleet.count("cmd.berlin.start") == 1)
        assert fleet.run("site", "remove", "berlin", "--config", str(fleet.config)).returncode == 0
        assert ended(client, job).status == "failed"
        wait_until(lambda: fleet.count("cmd.berlin.start") == 0)
        assert fleet.count("ev.berlin.ended") == 1


def refuses(client, node: str) -> bool:
    try:
        run(client, node)
    except InvalidRequest:
        return True
    return False


def test_replaced_key_leaves_no_forged_state(fleet: Fleet) -> None:
    """The hub sees only that the key is another one."""
    stream, _ = states_of("berlin")
    wait_until(lambda: hub_has(fleet, stream))
    subject = f"$KV.{stream.removeprefix('KV_')}.site"
    trio.run(publish, fleet, "berlin", subject, b"forged")
    assert trio.run(last_of, fleet, stream, subject).data == b"forged"
    fleet.kill("hub")
    for what in ("remove", "add"):
        assert fleet.run("site", what, "berlin", "--config", str(fleet.config)).returncode == 0
    fleet.start_hub()
    wait_until(lambda: trio.run(last_of, fleet, stream, subject).number == 0)


async def publish(fleet: Fleet, site: str, subject: str, data: bytes) -> None:
    async with as_site(fleet, site) as jetstream:
        await jetstream.publish(subject, data)


async def last_of(fleet: Fleet, stream: str, subject: str) -> Last:
    async with fleet.as_hub() as hub:
        while True:
            with suppress(NoAnswer):  # the stream is made again just now
                return await hub.last(stream, subject)
            await trio.sleep(0.1)


@asynccontextmanager
async def as_site(fleet: Fleet, site: str) -> AsyncIterator[JetStream]:
    """Yields a connection to NATS with the key of a site."""
    key = fleet.seed(site), site, fleet.ca, SITE_API
    async with connected((fleet.url,), *key) as jetstream:
        await jetstream.until_connected()
        yield jetstream


def test_added_site_is_heard(fleet: Fleet) -> None:
    fleet.add_site("paris")
    fleet.start_agent("paris")
    wait_until(lambda: "site paris is heard" in fleet.log("hub"))
    file = fleet.folder / "paris" / "cucmagent.toml"
    assert fleet.run("site", "add", "paris", "--config", str(fleet.config)).returncode == 2
    assert fleet.seed("paris") not in fleet.log("paris") + fleet.log("hub")
    assert file.read_text().count("secret_key") == 1


def test_agent_says_nothing_without_tls(fleet: Fleet) -> None:
    fleet.kill("nats")
    with socket.create_server(("127.0.0.1", int(fleet.port))) as stranger:
        fleet.start_agent("berlin")
        connection = stranger.accept()[0]
        with connection:
            connection.settimeout(20)
            connection.sendall(b'INFO {"nonce":"x","tls_required":false}\r\n')
            said = b"".join(iter(partial(connection.recv, 65536), b""))
    assert said.startswith(b"\x16\x03")  # a TLS handshake
    assert b"CONNECT" not in said


def test_stranger_is_not_let_in(fleet: Fleet) -> None:
    file = fleet.folder / "berlin" / "cucmagent.toml"
    file.write_text(file.read_text().replace(fleet.seed("berlin"), fleet.seed("munich")))
    fleet.start_agent("berlin")
    wait_until(lambda: "is this the key of this site" in fleet.log("berlin"))
    assert "site berlin is heard" not in fleet.log("hub")


def test_site_cannot_acknowledge_for_others(fleet: Fleet) -> None:
    """nats-server 2.10 deletes any message of the stream that a site acknowledges."""
    with fleet.client() as client:
        for site in ("munich", "berlin"):
            run(client, f"{site}/a")
            wait_until(lambda subject=f"cmd.{site}.start": fleet.count(subject) == 1)
    trio.run(acknowledge_first, fleet, "berlin")
    wait_until(lambda: fleet.count("cmd.berlin.start") == 0)
    assert fleet.count("cmd.munich.start") == 1


def test_site_cannot_ask_what_waits_with_others(fleet: Fleet) -> None:
    """nats-server has one queue for all requests of these kinds."""
    (commands, _), (states, _) = commands_of("berlin"), states_of("berlin")
    wait_until(lambda: hub_has(fleet, states))
    requests = f"CONSUMER.INFO.{commands}.{AGENT}", f"STREAM.MSG.GET.{states}"
    assert trio.run(answered, fleet, requests) == []


def hub_has(fleet: Fleet, stream: str) -> bool:
    async def ask() -> bool:
        async with fleet.as_hub() as hub:
            names = (await hub.ask("STREAM.NAMES"))["streams"] or ()
            return stream in names

    return trio.run(ask)


async def answered(fleet: Fleet, requests: Iterable[str]) -> list[str]:
    """Makes requests with the key of berlin. Returns those that are answered."""
    found = []
    async with as_site(fleet, "berlin") as jetstream:
        for request in requests:
            with suppress(NoAnswer):
                await jetstream.ask(request)
                found.append(request)
    return found


async def acknowledge_first(fleet: Fleet, site: str) -> None:
    """Takes a command of a site. Then acknowledges the first message of the stream."""
    stream, _ = commands_of(site)
    async with as_site(fleet, site) as jetstream:
        async with jetstream.pull(stream, AGENT) as receive:
            message = await receive()
        message.reply = f"$JS.ACK.{stream}.{AGENT}.1.1.1.1.0"
        with suppress(NoAnswer):
            await jetstream.acknowledge(message)
