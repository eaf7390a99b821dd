"""What a pull does that `fetch` of nats-py does not, with a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import pytest
import trio

from cucmfleet.jetstream import JetStream, NoAnswer, Receive
from cucmfleet.keys import hub_seed
from rig.fleet import Fleet

pytestmark = pytest.mark.exhaustive


@asynccontextmanager
async def pull(jetstream: JetStream, subject: str) -> AsyncIterator[Receive]:
    """Pulls all messages of a subject, from a stream of these tests."""
    await jetstream.ask("STREAM.CREATE.TEST", {"name": "TEST", "subjects": ["test.*"]})
    config = {"ack_policy": "none", "deliver_policy": "all", "filter_subject": subject}
    wanted = {"stream_name": "TEST", "config": config}
    made = await jetstream.ask("CONSUMER.CREATE.TEST", wanted)
    async with jetstream.pull("TEST", made["name"], batch=10) as receive:
        yield receive


async def test_pull_ends_with_its_connection(fleet: Fleet) -> None:
    async with fleet.as_hub() as jetstream:
        async with pull(jetstream, "test.one") as receive:
            await jetstream.publish("test.one", b"1")
            assert (await receive()).data == b"1"
            fleet.kill("nats")
            with pytest.raises(NoAnswer), trio.fail_after(5):
                await receive()
        fleet.start_nats()
        with trio.fail_after(10):
            await jetstream.until_connected()
        async with pull(jetstream, "test.one") as receive:
            assert (await receive()).data == b"1"


async def test_message_looks_like_an_answer(fleet: Fleet) -> None:
    """A site could send a message with the header of an answer, to stop whoever follows."""
    seed = hub_seed(fleet.state)

    async def forge() -> None:
        client = await nats.connect(fleet.url, nkeys_seed_str=seed, inbox_prefix="_INBOX_test")
        await client.jetstream().publish("test.two", headers={"Status": "409"})
        await client.close()

    async with fleet.as_hub() as jetstream, pull(jetstream, "test.two") as receive:
        await trio.to_thread.run_sync(asyncio.run, forge())
        with trio.fail_after(10):
            assert (await receive()).headers == {"Status": "409"}
